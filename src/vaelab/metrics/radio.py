"""How well pulses are recovered from noisy traces, and the classical filters that a network must beat.

Traces are `(n, 1, time)` everywhere. A recovered trace names a position by the sample of its largest absolute
value, so a filter's output, whatever its unit, can be judged like a network's.
"""

from itertools import pairwise
from math import pi

import torch
from torch import Tensor

SNR_EDGES = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0)
TRAINING_TRACES = 2_048  # as many as the baselines' mean spectra and template need


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
    measures = _detection("detection_tpr", recovered, is_pulse, snr)
    if not is_pulse.any():
        return measures
    noisy, clean, recovered = noisy[is_pulse], clean[is_pulse], recovered[is_pulse]
    hit = peak_hit(recovered, clean)
    bias, resolution = energy_bias_and_resolution(recovered, clean)
    return {
        "peak_accuracy": _share(hit),
        **_by_snr("peak_accuracy", hit, snr[is_pulse]),
        "amplitude_accuracy": _share(amplitude_hit(recovered, clean)),
        "output_snr_db": output_snr_db(recovered, clean),
        "gain_db": gain_db(noisy, recovered, clean),
        "timing_error_ns": timing_error(recovered, clean) / sample_rate * 1e9,
        "energy_bias": bias,
        "energy_resolution": resolution,
        "spectral_agreement": spectral_agreement(recovered, clean),
        **measures,
    }


def radio_baselines(
    noisy: Tensor,
    clean: Tensor,
    train_noisy: Tensor,
    train_clean: Tensor,
    sample_rate: float,
    snr: Tensor,
    is_pulse: Tensor,
) -> dict[str, float]:
    """Peak accuracies of the classical filters on the traces that a network is judged by.

    The filters learn mean spectra and template from the first 2,048 training traces. `genie` is the line
    subtraction told each test trace's true pulse, all but its position: about the most that can be had in
    Gaussian noise with lines. In bounded noise the largest |x| beats it.

    Args:
        noisy: `(n, 1, time)` test traces.
        clean: `(n, 1, time)` their pulses.
        train_noisy: `(m, 1, time)` training traces.
        train_clean: `(m, 1, time)` their pulses.
        sample_rate: in Hz.
        snr: `(n,)`, as in `radio_measures`.
        is_pulse: `(n,)` bool.

    Returns:
        `baseline/<filter>` each, the output SNRs that are one (`baseline/wiener_output_snr_db`,
        `baseline/zero_output_snr_db`), and detection by two of them where there are noise-only traces.
    """
    if not is_pulse.any():
        return {}
    train_noisy, train_clean = train_noisy[:TRAINING_TRACES], train_clean[:TRAINING_TRACES]
    noise, signal = mean_power(train_noisy - train_clean), mean_power(train_clean)
    residue = mean_power(line_subtraction(train_noisy) - train_clean)
    template, bare = mean_template(train_clean), line_subtraction(noisy)
    guesses = {
        "argmax_abs": argmax_abs(noisy),
        "envelope": envelope(noisy, sample_rate),
        "wiener": wiener(noisy, signal, noise),
        "matched_filter": matched_filter(noisy, template, noise),
        "line_subtraction": matched_filter(bare, template, residue),
        "genie": matched_filter(bare, centred(clean), residue),
    }
    hits = {f"baseline/{name}": _share(peak_hit(x, clean)[is_pulse]) for name, x in guesses.items()}
    return {
        **hits,
        "baseline/wiener_output_snr_db": output_snr_db(guesses["wiener"][is_pulse], clean[is_pulse]),
        "baseline/zero_output_snr_db": 0.0,
        **_detection("baseline/argmax_abs_detection_tpr", noisy, is_pulse, snr),
        **_detection("baseline/matched_filter_detection_tpr", guesses["matched_filter"], is_pulse, snr),
    }


def argmax_abs(noisy: Tensor) -> Tensor:
    """The traces unchanged: the guess is the largest |x|."""
    return noisy


def envelope(noisy: Tensor, sample_rate: float, band: tuple[float, float] = (30e6, 80e6)) -> Tensor:
    """Hilbert envelope of the traces within a band, in Hz."""
    frequency = torch.fft.rfftfreq(noisy.shape[-1], 1 / sample_rate, device=noisy.device)
    inside = (frequency >= band[0]) & (frequency <= band[1])
    # The positive frequencies alone are the analytic signal, whose modulus is the envelope.
    return torch.fft.ifft(2 * inside * _spectrum(noisy), n=noisy.shape[-1]).abs()


def wiener(noisy: Tensor, signal: Tensor, noise: Tensor) -> Tensor:
    """Filter with gain S / (S + N), the least mean square error of a linear filter (Wiener, 1949).

    Args:
        noisy: `(n, 1, time)`.
        signal: `(bins,)` mean power spectrum of the pulses.
        noise: `(bins,)` mean power spectrum of the noise.
    """
    return _inverse(_spectrum(noisy) * signal / (signal + noise), noisy)


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


def _by_snr(name: str, hit: Tensor, snr: Tensor) -> dict[str, float]:
    """Share of hits in each bin of the SNR that holds a trace; the last bin includes its upper edge."""
    shares = {}
    for low, high in pairwise(SNR_EDGES):
        inside = (snr >= low) & ((snr < high) | (snr == SNR_EDGES[-1]) & (high == SNR_EDGES[-1]))
        if inside.any():
            shares[f"{name}/snr_{low:g}_{high:g}"] = _share(hit[inside])
    return shares


def _detection(name: str, traces: Tensor, is_pulse: Tensor, snr: Tensor) -> dict[str, float]:
    """The detection measure by the largest |trace|, under a name; empty where it cannot be measured."""
    rate = detection(_size(traces).amax(1), is_pulse, snr)
    return {} if rate is None else {name: rate}
