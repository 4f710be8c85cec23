"""Pulses of cosmic rays in three noises, recovered by a net, beside the classical filters on the same traces.

Data: 500 samples at 180 MHz, SNR (peak of the pulse's envelope over RMS of the noise) log-uniform on [1, 10]; 2,000
test traces. Peak accuracy: the share whose largest absolute value lies within 10 samples of the true one. Output SNR:
mean over traces in dB, in which the zero signal has 0. The genie is a matched filter told the true pulse, no bound
where the noise is bounded. What was published has another, unknown law of the SNR: a neighbour, no yardstick.

The band of `latent=gaussian` should hold nine tenths of the true samples. Its width follows the model's doubt; the
baseline's is the same everywhere. The certain half are the traces of whose peak the model is surest.
"""

from __future__ import annotations

import time

from evidence._bench import Bench, Case
from evidence._claims import Claim, Range, at_least, at_most, of_seeds

BASELINE, PEAK = "radio/baseline/", "_peak_accuracy"
PUBLISHED = {"radio": "0.69", "uniform": "0.95", "cosine": "0.98"}
UNET, CODE = "U-Net", "16 × 31 code"
NETS = {UNET: [], CODE: ["architecture=conv1d", "latent=point"]}
PEAKS = {
    UNET: {"radio": 0.565, "uniform": 0.93, "cosine": 0.995},
    CODE: {"radio": 0.55, "uniform": 0.69, "cosine": 0.93},
}
OUTPUT_SNR = {
    UNET: {"radio": 5.0, "uniform": 7.5, "cosine": 15.0},
    CODE: {"radio": 4.0, "uniform": 0.0, "cosine": 0.0},
}
SHORT = ["dataset.traces=2000", "trainer.max_epochs=-1", "trainer.max_steps=40", "optimizer.warmup_steps=10"]


def claims(bench: Bench) -> list[Claim]:
    """Each noise with each net, then the band."""
    rows = [simulation(bench.pick(50_000, 2_000))]
    for net, words in NETS.items():
        for noise in PUBLISHED:
            experiment = "radio" if noise == "radio" else f"radio_{noise}"
            case = bench.case(f"experiment={experiment}", *words, *bench.pick([], SHORT))
            quick = (0.1 if net == UNET else 0.0, -10.0)
            found, clean = map(at_least, bench.pick((PEAKS[net][noise], OUTPUT_SNR[net][noise]), quick))
            rows.append(peaks(case, f"{noise}, {net}", noise, found))
            rows.append(output_snr(case, f"{noise}, {net}", clean))
    return [*rows, *band(bench)]


def simulation(traces: int) -> Claim:
    """How long the data take."""
    from vaelab.simulators.radio import simulate_traces

    began = time.perf_counter()
    simulate_traces(traces)
    seconds = time.perf_counter() - began
    return Claim(f"{traces:,} traces simulated (s)", [seconds], at_most(10), seconds=seconds, digits=1)


def band(bench: Bench) -> list[Claim]:
    """Whether the band of uncertainty holds what it promises, and what the model's doubt is worth."""
    case = bench.case("experiment=radio", "latent=gaussian", *bench.pick([], SHORT))
    holds = bench.pick(Range(0.88, 0.92), Range(0.7, 1.0))
    constant = {"one width": f"{BASELINE}constant_band_coverage"}
    near, width = "radio/band_coverage_recovered", "radio/band_width_recovered"
    whole = {"all": "radio/peak_accuracy"}
    half = "radio/peak_accuracy_certain_half"
    return [
        case.row("band: share of true samples inside", "radio/band_coverage", holds, constant),
        case.row(
            "band: the same near the recovered peak", near, holds, {"one width": f"{BASELINE}constant_{near[6:]}"}
        ),
        case.row(
            "band: width near the recovered peak (mV)", width, None, {"one width": f"{BASELINE}constant_{width[6:]}"}
        ),
        case.row("certain half: peak accuracy", half, at_least(bench.pick(0.8, 0.0)), whole),
        case.row("probabilistic U-Net: output SNR (dB)", "radio/output_snr_db", None, digits=1),
    ]


def peaks(case: Case, name: str, noise: str, expected: Range | None) -> Claim:
    """How many peaks are found."""
    best = best_of(case.metrics, PEAK, leave_out=("genie",))
    baselines = {"largest value": "argmax_abs", "matched filter": "matched_filter"}
    baselines |= {f"best ({spoken(best)})": best, "genie": "genie"}
    names = {label: f"{BASELINE}{filter_}{PEAK}" for label, filter_ in baselines.items()}
    return case.row(f"{name}: peak accuracy", "radio/peak_accuracy", expected, names, PUBLISHED[noise])


def output_snr(case: Case, name: str, expected: Range | None) -> Claim:
    """How much is left of the noise."""
    best = best_of(case.metrics, "_output_snr_db", leave_out=())
    names = {f"best ({spoken(best)})": f"{BASELINE}{best}_output_snr_db"}
    return case.row(f"{name}: output SNR (dB)", "radio/output_snr_db", expected, names, digits=1)


def best_of(metrics: list[dict[str, float]], ending: str, leave_out: tuple[str, ...]) -> str:
    """The classical filter that has most of a measure, on average over the seeds."""
    names = [name for name in metrics[0] if name.startswith(BASELINE) and name.endswith(ending)]
    filters = {name[len(BASELINE) : -len(ending)]: sum(of_seeds(metrics, name)) for name in names}
    return max(filters.keys() - set(leave_out), key=filters.__getitem__)


def spoken(name: str) -> str:
    """A filter's name in words."""
    return name.replace("_", " ")
