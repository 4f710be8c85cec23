"""Sine waves: samples from the prior, or from a mixture fitted on the codes, against the nearest true sine.

Data: 10,000 waves of amplitude 1 and one frequency, phase uniform on [−π, π], 128 samples, 3 cycles. Measured on 2,000
samples. `good`: the share within RMSE 0.05 of a sine of amplitude 1. Kuiper's statistic of the phases against uniform:
2,000 truly uniform phases have .028 on average and .039 at the 95 % point. The baseline is the one Gaussian with the
training waves' mean and covariance: its samples are sines, too, of wrong amplitudes.

The data are a circle, and a Gaussian's mass lies inside of it, too: there a decoder passes through zero, and samples
shrink. With the experiment's learnt sigma, which becomes small, the bound asks for sharp waves and hardly for codes
that fill the prior: then little of the prior is good (the last rows).
"""

from __future__ import annotations

from evidence._bench import Bench, Case
from evidence._claims import Claim, Range, at_least, at_most

MEASURES = {"good": "good", "amplitude error": "amplitude_error", "SNR (dB)": "snr_db", "Kuiper": "kuiper"}
DIGITS = {"good": 3, "amplitude error": 4, "SNR (dB)": 1, "Kuiper": 3}
Ranges = dict[str, Range]


def ranges(good: float, amplitude: float, snr: float, kuiper: float) -> Ranges:
    """What each measure must reach."""
    return dict(zip(MEASURES, (at_least(good), at_most(amplitude), at_least(snr), at_most(kuiper)), strict=True))


CIRCLE = ranges(1.0, 0.001, 60, 0.04)
PRIOR = ranges(0.8, 0.07, 40, 0.06)
MIXTURE = ranges(0.98, 0.03, 40, 0.05)
ONE = ranges(0.99, 0.02, 42, 0.07)
QUICK_CIRCLE = ranges(0.99, 0.01, 40, 0.05)
QUICK = ranges(0.0, 0.5, 20, 0.3)


def claims(bench: Bench) -> list[Claim]:
    """The circle first, then Gaussian latents of several sizes by their prior and by a mixture."""
    circle = case(bench, [], 25)
    rows = measured(circle, "circle, prior", "", bench.pick(CIRCLE, QUICK_CIRCLE))
    rows += measured(circle, "circle, prior, smoothed", "smoothed/", {})
    for dim in (2, 8, 16):
        ball = case(bench, [*gaussian(dim), "architecture.activation=relu"], 75)
        rows += measured(ball, f"gaussian {dim}, prior", "", bench.pick(PRIOR, QUICK))
        rows += measured(ball, f"gaussian {dim}, mixture", "gmm/", bench.pick(MIXTURE, QUICK))
    rows += measured(case(bench, gaussian(1), 25), "gaussian 1, prior", "", bench.pick(ONE, QUICK))
    sharp = case(bench, ["latent=gaussian", "latent.dim=2"], 25)
    return rows + measured(sharp, "gaussian 2, prior, learnt sigma", "", {})


def gaussian(dim: int) -> list[str]:
    """A Gaussian latent of this size under a likelihood so wide that its codes fill the prior."""
    return ["latent=gaussian", f"latent.dim={dim}", "likelihood=gaussian", "likelihood.sigma=1"]


def case(bench: Bench, words: list[str], epochs: int) -> Case:
    """One setting; 25 epochs are the experiment's own."""
    longer = [f"trainer.max_epochs={epochs}"] if epochs != 25 else []
    return bench.case("experiment=sine", *words, *bench.pick(longer, [f"trainer.max_epochs={epochs // 3}"]))


def measured(case: Case, name: str, prefix: str, expected: Ranges) -> list[Claim]:
    """One row a measure of the samples that `prefix` names."""
    return [
        case.row(
            f"{name}: {told}",
            f"sine/{prefix}{measure}",
            expected.get(told),
            {"one Gaussian": f"sine/baseline/gaussian_{measure}"},
            digits=DIGITS[told],
        )
        for told, measure in MEASURES.items()
    ]
