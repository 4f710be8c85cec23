"""How well pulses are recovered from noisy traces, and the classical filters that a network must beat.

Traces are `(n, 1, time)` everywhere. A recovered trace names a position by the sample of its largest absolute
value, so a filter's output, whatever its unit, can be judged like a network's.
"""

from itertools import pairwise
from math import pi
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

SNR_EDGES = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0)


def peak_hit(recovered: Tensor, clean: Tensor, tolerance: float = 0.02) -> Tensor:
    """Whether the largest |recovered| lies within a share of the trace's length of the largest |clean|.

    Returns:
        `(n,)` bool; a recovered trace of zeros names no position and misses.
    """
    peak, guess = _size(recovered).max(1)
    return ((guess - _size(clean).argmax(1)).abs() <= round(tolerance * clean.shape[-1])) & (peak > 0)


def timing_error(recovered: Tensor, clean: Tensor) -> float:
    """Median distance of the largest |recovered| from the largest |clean|, in samples."""
    return (_size(recovered).argmax(1) - _size(clean).argmax(1)).abs().double().median().item()


def amplitude_hit(recovered: Tensor, clean: Tensor, tolerance: float = 0.02) -> Tensor:
    """Whether the largest |recovered| is as high as the largest |clean|, up to a share: `(n,)` bool."""
    height = _size(clean).amax(1)
    return (_size(recovered).amax(1) - height).abs() <= tolerance * height


def output_snr_db(recovered: Tensor, clean: Tensor) -> float:
    """Mean over traces of 10 log10(sum clean² / sum (clean - recovered)²), for traces with a pulse.

    The zero signal scores 0 dB in every trace. The decibels are averaged, not the energies, so that weak
    pulses count like strong ones; no trace counts more than 120 dB.
    """
    signal, error = _energy(clean), _energy(clean - recovered)
    return 10 * torch.log10(signal / error.clamp(min=1e-12 * signal)).mean().item()


def gain_db(noisy: Tensor, recovered: Tensor, clean: Tensor) -> float:
    """Output SNR of the recovered less that of the noisy traces; zero gains much, so read the SNR first."""
    return output_snr_db(recovered, clean) - output_snr_db(noisy, clean)


def energy_bias_and_resolution(recovered: Tensor, clean: Tensor) -> tuple[float, float]:
    """Median of the energy ratio recovered / clean less 1, and half its central 68 %; traces with a pulse."""
    ratio = _energy(recovered) / _energy(clean)
    low, median, high = torch.quantile(ratio, ratio.new_tensor([0.16, 0.5, 0.84])).tolist()
    return median - 1, (high - low) / 2


def spectral_agreement(recovered: Tensor, clean: Tensor) -> float:
    """Mean cosine between magnitude spectra of recovered and clean: 1 for the same shape, 0 for no signal."""
    return torch.cosine_similarity(_spectrum(recovered).abs(), _spectrum(clean).abs(), dim=-1).mean().item()


def detection(
    score: Tensor,
    is_pulse: Tensor,
    snr: Tensor,
    *,
    false_positive_rate: float = 0.002,
    above: float = 3.0,
) -> float | None:
    """Share of pulses of an SNR above 3 that pass a threshold that 0.2 % of the noise-only traces pass.

    Args:
        score: `(n,)`, larger where a pulse is likelier, such as the largest |recovered|.
        is_pulse: `(n,)` bool.
        snr: `(n,)`.
        false_positive_rate: below one in the number of noise-only traces, none of them may pass.
        above: the smallest SNR that counts.

    Returns:
        None where there is no noise-only trace, or no pulse that strong.
    """
    noise, pulse = score[~is_pulse], score[is_pulse & (snr > above)]
    if not len(noise) or not len(pulse):
        return None
    threshold = noise.sort(descending=True).values[int(false_positive_rate * len(noise))]
    return (pulse > threshold).double().mean().item()


def roc(score: Tensor, is_pulse: Tensor, snr: Tensor, *, above: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rates `(points,)` over all thresholds, noise-only traces against pulses above an SNR.

    Args as in `detection`; empty arrays where it returns None.
    """
    from sklearn.metrics import roc_curve

    kept = ~is_pulse | (snr > above)
    truth = is_pulse[kept]
    if truth.all() or not truth.any():
        return np.zeros(0), np.zeros(0)
    false, true, _ = roc_curve(truth.numpy(), score[kept].numpy(), drop_intermediate=False)
    return false, true


def telling_examples(recovered: Tensor, clean: Tensor) -> dict[str, int]:
    """One trace of each kind of outcome, what is said of it → its number; a kind that does not occur is left out.

    `right` is the hit whose height is nearest to the truth, `right place, weak` the hit nearest to half the height, if
    below 0.8 of it, and `wrong` the miss that claims the tallest peak.
    """
    hit, is_pulse = peak_hit(recovered, clean), _energy(clean) > 0
    height = _size(recovered).amax(1) / _size(clean).amax(1).clamp(min=1e-30)
    kinds = {
        "right": ((height - 1).abs(), is_pulse & hit),
        "right place, weak": ((height - 0.5).abs(), is_pulse & hit & (height < 0.8)),
        "wrong": (-height, is_pulse & ~hit),
    }
    off = (_size(recovered).argmax(1) - _size(clean).argmax(1)).abs().tolist()
    chosen = {kind: int(rank.where(fits, torch.inf).argmin()) for kind, (rank, fits) in kinds.items() if fits.any()}
    return {f"{kind}: {off[k]} samples off, {height[k]:.0%} of the height": k for kind, k in chosen.items()}


def radio_measures(
    noisy: Tensor, clean: Tensor, recovered: Tensor, snr: Tensor, is_pulse: Tensor, sample_rate: float
) -> dict[str, float]:
    """Everything that is said of recovered traces; all but `detection_tpr` over the true pulses alone.

    Args:
        noisy: `(n, 1, time)`, what the network saw, in the unit of `clean`.
        clean: `(n, 1, time)`; zeros where there is no pulse.
        recovered: `(n, 1, time)`, in the unit of `clean`.
        snr: `(n,)`, peak of the pulse's envelope over the noise's RMS.
        is_pulse: `(n,)` bool.
        sample_rate: in Hz.

    Returns:
        The measures by name, those of SNR bins and of detection only where there is a trace to measure.
    """
    measures = _peaks("", recovered, clean, snr, is_pulse) | _detection("", recovered, snr, is_pulse)
    if not is_pulse.any():
        return measures
    noisy, clean, recovered = noisy[is_pulse], clean[is_pulse], recovered[is_pulse]
    bias, resolution = energy_bias_and_resolution(recovered, clean)
    return {
        **measures,
        "amplitude_accuracy": _share(amplitude_hit(recovered, clean)),
        "output_snr_db": output_snr_db(recovered, clean),
        "gain_db": gain_db(noisy, recovered, clean),
        "timing_error_ns": timing_error(recovered, clean) / sample_rate * 1e9,
        "energy_bias": bias,
        "energy_resolution": resolution,
        "spectral_agreement": spectral_agreement(recovered, clean),
    }


class Filters(NamedTuple):
    """The classical filters, with what they learn from training traces.

    Attributes:
        signal: `(bins,)` mean power spectrum of the pulses.
        noise: `(bins,)` mean power spectrum of the noise.
        residue: `(bins,)` mean power spectrum of the noise that is left after the lines are subtracted.
        template: `(time,)` mean pulse, its peak at sample 0.
        width: of the gate in samples, half of it.
        sample_rate: in Hz.
    """

    signal: Tensor
    noise: Tensor
    residue: Tensor
    template: Tensor
    width: int
    sample_rate: float

    def traces(self, noisy: Tensor, clean: Tensor) -> dict[str, Tensor]:
        """What each filter makes of `(n, 1, time)` traces, name to a tensor of that shape.

        `genie` is the matched filter after line subtraction, told each trace's true pulse, all but its position:
        about the most that can be had in Gaussian noise with lines. In bounded noise the largest |x| beats it.
        """
        bare = line_subtraction(noisy)
        return {
            "argmax_abs": argmax_abs(noisy),
            "envelope": envelope(noisy, self.sample_rate),
            "wiener": wiener(noisy, self.signal, self.noise),
            "matched_filter": matched_filter(noisy, self.template, self.noise),
            "line_matched_filter": matched_filter(bare, self.template, self.residue),
            "gated_wiener": gated_wiener(bare, self.template, self.signal, self.residue, self.width),
            "genie": matched_filter(bare, centred(clean), self.residue),
        }


# Those filters whose output has the unit of the trace, so that it can be held against the pulse itself.
RECOVERING = ("wiener", "gated_wiener")
GATES = (8, 12, 16, 24, 32, 48)  # samples


def fit_filters(noisy: Tensor, clean: Tensor, sample_rate: float) -> Filters:
    """Fit the filters to `(n, 1, time)` training traces and their pulses.

    The gate's width is the one of `GATES` that gives the training traces the best output SNR.
    """
    noisy, clean = noisy[_energy(clean) > 0], clean[_energy(clean) > 0]
    signal, noise, template, bare = (
        mean_power(clean),
        mean_power(noisy - clean),
        mean_template(clean),
        line_subtraction(noisy),
    )
    residue = mean_power(bare - clean)
    width = max(GATES, key=lambda w: output_snr_db(gated_wiener(bare, template, signal, residue, w), clean))
    return Filters(signal, noise, residue, template, width, sample_rate)


def radio_baselines(noisy: Tensor, clean: Tensor, snr: Tensor, is_pulse: Tensor, filters: Filters) -> dict[str, float]:
    """The measures of the classical filters on the traces that a network is judged by, as in `radio_measures`.

    Returns:
        `baseline/<filter>_<measure>`: peak accuracy, overall and in bins of the SNR, of all filters but the gated one,
        whose peak is that of its matched filter; detection where there are noise-only traces, of all but the genie, who
        is told where there is none; amplitude accuracy and output SNR of those that recover the trace itself, and the
        0 dB of the zero signal.
    """
    if not is_pulse.any():
        return {}
    measures: dict[str, float] = {}
    for name, trace in filters.traces(noisy, clean).items():
        prefix = f"baseline/{name}_"
        if name != "gated_wiener":
            measures |= _peaks(prefix, trace, clean, snr, is_pulse)
        if name != "genie":
            measures |= _detection(prefix, trace, snr, is_pulse)
        if name in RECOVERING:
            measures[f"{prefix}amplitude_accuracy"] = _share(amplitude_hit(trace, clean)[is_pulse])
            measures[f"{prefix}output_snr_db"] = output_snr_db(trace[is_pulse], clean[is_pulse])
    return {**measures, "baseline/zero_output_snr_db": 0.0}


class Curves(NamedTuple):
    """What figures show of several that look for pulses, by their names.

    Attributes:
        scan: shares of the peaks found in bins of the SNR.
        rates: false and true rates of detection, where there are traces of both kinds.
    """

    scan: dict[str, dict[str, float]]
    rates: dict[str, tuple[np.ndarray, np.ndarray]]


def curves(traces: dict[str, Tensor], clean: Tensor, snr: Tensor, is_pulse: Tensor) -> Curves:
    """The curves of recovered or filtered traces, name to `(n, 1, time)`, as far as `radio_baselines` measures them."""
    pulses, truth = {name: x[is_pulse] for name, x in traces.items() if name != "gated_wiener"}, clean[is_pulse]
    scan = {name: accuracy_in_bins(x, truth, snr[is_pulse]) for name, x in pulses.items()}
    rates = {name: roc(_size(x).amax(1), is_pulse, snr) for name, x in traces.items() if name != "genie"}
    return Curves(scan, {name: rate for name, rate in rates.items() if len(rate[0])})


def argmax_abs(noisy: Tensor) -> Tensor:
    """The traces unchanged: the guess is the largest |x|."""
    return noisy


def envelope(noisy: Tensor, sample_rate: float, band: tuple[float, float] = (30e6, 80e6)) -> Tensor:
    """Hilbert envelope of the traces within a band, in Hz, of a Butterworth filter run both ways: no delay."""
    from scipy.signal import butter, hilbert, sosfiltfilt

    sections = butter(2, band, "bandpass", fs=sample_rate, output="sos")
    return torch.from_numpy(np.abs(hilbert(sosfiltfilt(sections, noisy.double().numpy())))).to(noisy)


def wiener(noisy: Tensor, signal: Tensor, noise: Tensor) -> Tensor:
    """Filter with gain S / (S + N), the least mean square error of a linear filter (Wiener, 1949).

    Args:
        noisy: `(n, 1, time)`.
        signal: `(bins,)` mean power spectrum of the pulses.
        noise: `(bins,)` mean power spectrum of the noise.
    """
    return _inverse(_spectrum(noisy) * signal / (signal + noise), noisy)


def gated_wiener(noisy: Tensor, template: Tensor, signal: Tensor, noise: Tensor, width: int) -> Tensor:
    """Wiener filter within a raised-cosine gate around the matched filter's peak, zero outside.

    All of the pulse but only `width / time` of the noise's energy passes the gate, so that the gain may be higher.

    Args:
        noisy: `(n, 1, time)`.
        template: `(time,)`, with its peak at sample 0.
        signal: `(bins,)` mean power spectrum of the pulses.
        noise: `(bins,)` mean power spectrum of the noise.
        width: half of the gate, in samples.
    """
    samples = noisy.shape[-1]
    peak = matched_filter(noisy, template, noise).abs().argmax(-1, keepdim=True)
    distance = ((torch.arange(samples, device=noisy.device) - peak).abs() / width).clamp(max=1)
    gate = (0.5 * pi * distance).cos().square()
    return gate * wiener(noisy, signal * (samples / width), noise)


def matched_filter(noisy: Tensor, template: Tensor, noise: Tensor) -> Tensor:
    """Correlate with a template, both whitened: the best linear detector of a known pulse (Turin, 1960).

    Args:
        noisy: `(n, 1, time)`.
        template: one of `(time,)`, or one for each trace, with its peak at sample 0.
        noise: `(bins,)` mean power spectrum.

    Returns:
        `(n, 1, time)`, at each sample the template's weight if its peak lay there.
    """
    # Where there is next to no noise the quotient would amplify rounding errors alone.
    power = noise.clamp(min=1e-6 * noise.max())
    return _inverse(_spectrum(noisy) * _spectrum(template).conj() / power, noisy)


def mean_power(traces: Tensor) -> Tensor:
    """Mean power spectrum of `(n, 1, time)` traces: `(bins,)`."""
    return _spectrum(traces).abs().square().mean((0, 1))


def mean_template(clean: Tensor) -> Tensor:
    """Mean of the centred pulses, each of unit energy, empty traces left out: `(n, 1, time)` to `(time,)`."""
    pulses = centred(clean[_energy(clean) > 0])
    return torch.nn.functional.normalize(pulses, dim=-1).mean((0, 1))


def centred(clean: Tensor) -> Tensor:
    """Pulses rolled so that the largest |value| lies at sample 0, and made positive there: `(n, 1, time)`."""
    peak = clean.abs().argmax(-1, keepdim=True)
    index = (peak + torch.arange(clean.shape[-1], device=clean.device)) % clean.shape[-1]
    return clean.gather(-1, index) * clean.gather(-1, peak).sign()


def line_subtraction(noisy: Tensor, lines: int = 3, contrast: float = 24.0) -> Tensor:
    """Fit and subtract, one after the other, the sinusoids that stand out of each trace's spectrum.

    Args:
        noisy: `(n, 1, time)`.
        lines: the most that a trace may lose.
        contrast: power of a line, at least, over the median power of the 31 bins around it.
    """
    for _ in range(lines):
        noisy = noisy - _strongest_line(noisy, contrast)
    return noisy


def _strongest_line(noisy: Tensor, contrast: float) -> Tensor:
    """Least-squares fit of the sinusoid that stands out most, zeros where none does: `(n, 1, time)`."""
    frequency, height = _outstanding(noisy)
    angle = 2 * pi * frequency * torch.arange(noisy.shape[-1], dtype=noisy.dtype, device=noisy.device)
    basis = torch.cat([angle.sin(), angle.cos()], 1)
    # A little ridge: at frequency 0 the sine is nothing.
    gram = basis @ basis.mT + 1e-3 * torch.eye(2, dtype=noisy.dtype, device=noisy.device)
    weight = torch.linalg.solve(gram, basis @ noisy.mT)
    return (weight.mT @ basis) * (height > contrast)


def _outstanding(noisy: Tensor, padding: int = 4, width: int = 31) -> tuple[Tensor, Tensor]:
    """Frequency in cycles a sample, and power over the local median, of the lines: `(n, 1, 1)` each."""
    from scipy.ndimage import median_filter

    samples = noisy.shape[-1]
    window = torch.hann_window(samples, dtype=noisy.dtype, device=noisy.device)
    power = torch.fft.rfft(noisy * window, n=padding * samples).abs().square()
    floor = torch.from_numpy(median_filter(power[..., ::padding].cpu().numpy(), (1, 1, width))).to(noisy)
    ratio = power / floor.repeat_interleave(padding, -1)[..., : power.shape[-1]].clamp(min=1e-30)
    height, peak = ratio.max(-1, keepdim=True)
    left, top, right = (power.log().gather(-1, (peak + k).clamp(0, power.shape[-1] - 1)) for k in (-1, 0, 1))
    shift = ((left - right) / (2 * (left - 2 * top + right))).nan_to_num(0, 0, 0).clamp(-0.5, 0.5)
    return (peak + shift) / (padding * samples), height


def _size(traces: Tensor) -> Tensor:
    return traces.flatten(1).abs()


def _energy(traces: Tensor) -> Tensor:
    return traces.flatten(1).square().sum(1)


def _spectrum(traces: Tensor) -> Tensor:
    return torch.fft.rfft(traces)


def _inverse(spectrum: Tensor, like: Tensor) -> Tensor:
    return torch.fft.irfft(spectrum, n=like.shape[-1])


def _share(hit: Tensor) -> float:
    return hit.double().mean().item()


def accuracy_in_bins(recovered: Tensor, clean: Tensor, snr: Tensor) -> dict[str, float]:
    """Peak accuracy in each bin of the SNR that holds a trace, by the bin's name (`1_1.5`), in rising order.

    The last bin includes its upper edge. All traces `(n, 1, time)` must hold a pulse.
    """
    hit, shares = peak_hit(recovered, clean), {}
    for low, high in pairwise(SNR_EDGES):
        inside = (snr >= low) & ((snr < high) | (snr == SNR_EDGES[-1]) & (high == SNR_EDGES[-1]))
        if inside.any():
            shares[f"{low:g}_{high:g}"] = _share(hit[inside])
    return shares


def _peaks(prefix: str, traces: Tensor, clean: Tensor, snr: Tensor, is_pulse: Tensor) -> dict[str, float]:
    """Peak accuracy of the traces with a pulse, overall and in bins; empty where there is none."""
    if not is_pulse.any():
        return {}
    traces, clean, snr = traces[is_pulse], clean[is_pulse], snr[is_pulse]
    name = f"{prefix}peak_accuracy"
    bins = accuracy_in_bins(traces, clean, snr)
    return {name: _share(peak_hit(traces, clean)), **{f"{name}/snr_{key}": share for key, share in bins.items()}}


def _detection(prefix: str, traces: Tensor, snr: Tensor, is_pulse: Tensor) -> dict[str, float]:
    """The detection measure by the largest |trace|; empty where it cannot be measured."""
    rate = detection(_size(traces).amax(1), is_pulse, snr)
    return {} if rate is None else {f"{prefix}detection_tpr": rate}
