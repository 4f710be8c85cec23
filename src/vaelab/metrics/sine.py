"""How near generated waves come to true unit sines, and how evenly their phases cover the circle."""

from math import pi

import torch
from torch import Tensor

from vaelab.errors import UserError

GOOD = 0.05
PHASE_BINS = 36
HARMONICS = 10
LOBE = 2.0  # cycles from zero or from half the sampling rate within which a window blurs the strongest frequency
APART = 1000.0  # the largest ratio of the axes of sine and cosine: beyond, noise decides the fitted amplitude
SPECTRA = 128  # waves whose padded spectra are held at once: what stays near the cache
# Added to both powers of every ratio, in units of a unit wave squared: a dead wave then scores 0 dB and 100 %
# distortion, and a perfect one of float32 precision about 117 dB, instead of dividing by zero.
FLOOR = 1e-12


def sine_measures(waves: Tensor, cycles: float) -> dict[str, float]:
    """Measure waves that should be unit sines of a known frequency and of uniform phase.

    Each wave is fitted by least squares with a sine and a cosine at the true frequency. Read the
    amplitude first: a collapsed decoder's clean waves of amplitude 0.1 have a perfect `snr_db` and `thd`.

    Args:
        waves: `(n, 1, time)` or `(n, time)`.
        cycles: the true number of cycles in a wave.

    Returns:
        Without those that this length cannot tell.
        `near_median`, `near_p95`: RMSE to the nearest unit sine, over the waves.
        `good`: share of waves with that error below 0.05.
        `amplitude_error`: mean |A - 1| of the fitted amplitude A.
        `snr_db`: median of fitted over residual power.
        `thd`: median total harmonic distortion, amplitude of harmonics 2 … 10 over the fundamental's; of waves of a
            cycle or more, with room for a harmonic below half the sampling rate.
        `frequency_error`: median relative error of the strongest frequency, which is two cycles or more from zero and
            from half the sampling rate.
        `kuiper`: Kuiper's statistic of the phases against uniform; of 2,000 uniform ones 0.028 ± 0.006.
        `min_bin`: count in the emptiest of 36 phase bins over the count expected there; 1 is perfectly even.
    """
    wave = _flat(waves)
    fit = _fit(wave, cycles)
    phase, amplitude = _phase(fit), fit.norm(dim=1)
    near = (wave - _nearest(wave, cycles)).square().mean(1).sqrt()
    near_median, near_p95 = torch.quantile(near, near.new_tensor([0.5, 0.95])).tolist()
    measures = {
        "near_median": near_median,
        "near_p95": near_p95,
        "good": (near < GOOD).double().mean().item(),
        "amplitude_error": (amplitude - 1).abs().mean().item(),
        "snr_db": _snr_db(wave, fit, cycles).median().item(),
        "kuiper": kuiper(phase),
        "min_bin": min_bin(phase),
    }
    if cycles >= 1 and _harmonics(wave.shape[1], cycles) > 1:
        measures["thd"] = _harmonic_distortion(wave, cycles).median().item()
    if LOBE <= cycles <= wave.shape[1] / 2 - LOBE:
        # Single precision is a millionth of a bin, in half the time.
        frequency = torch.cat([_frequency(part.float()) for part in wave.split(SPECTRA)])
        measures["frequency_error"] = (frequency / cycles - 1).abs().median().item()
    return measures


def check_measurable(samples: int, cycles: float) -> None:
    """Refuse waves of which no measure of a sine could be taken.

    Raises:
        UserError: if they have fewer than three samples, or sine and cosine are nearly the same there.
    """
    told = f"variant=sine cannot measure {cycles:g} cycles in {samples} samples"
    if samples < 3:
        raise UserError(f"{told}: any two numbers are a sine; give at least 3 samples, or use variant=signal")
    # On the processor, wherever the nets are being made.
    with torch.device("cpu"):
        basis = _basis(samples, cycles, torch.empty((), dtype=torch.float64))
    if float(torch.linalg.cond(basis)) > APART:
        raise UserError(
            f"{told}: amplitude and phase cannot be told apart so near to zero or to half the sampling rate; change "
            "dataset.cycles, or use variant=signal"
        )


def smooth(waves: Tensor, window: int = 9, order: int = 3) -> Tensor:
    """Smooth along the last axis with a polynomial in a sliding window (Savitzky & Golay, 1964).

    Waves shorter than the window get the longest odd one that they hold, and a polynomial that it determines.

    With the defaults white noise loses three quarters of its power, and a clean sine of 43 samples a cycle
    0.06 % of its amplitude, where a moving average takes 7 %. A sine of 13 samples a cycle loses 6 %.
    """
    from scipy.signal import savgol_filter

    window = min(window, (waves.shape[-1] - 1) // 2 * 2 + 1)
    order = min(order, window - 1)
    smoothed = savgol_filter(waves.detach().cpu().numpy(), window, order, axis=-1, mode="interp")
    return torch.from_numpy(smoothed).to(waves)


def phase_of(waves: Tensor, cycles: float) -> Tensor:
    """Phase of the least-squares sine in each `(n, 1, time)` or `(n, time)` wave: `(n,)` in [-pi, pi]."""
    return _phase(_fit(_flat(waves), cycles)).to(waves)


def kuiper(phase: Tensor) -> float:
    """Kuiper's statistic D+ + D- of `(n,)` phases in [-pi, pi] against uniform (Kuiper, 1960).

    It does not depend on where the circle is cut; uniform phases score sqrt(pi / 2n) on average.
    """
    u = (phase / (2 * pi) + 0.5).sort().values
    step = torch.arange(len(u) + 1, dtype=u.dtype, device=u.device) / len(u)
    return ((step[1:] - u).max() + (u - step[:-1]).max()).item()


def min_bin(phase: Tensor, bins: int = PHASE_BINS) -> float:
    """Count in the emptiest phase bin over the count expected there, of `(n,)` phases in [-pi, pi]."""
    index = ((phase / (2 * pi) + 0.5) * bins).long().clamp(0, bins - 1)
    return torch.bincount(index, minlength=bins).min().item() * bins / len(phase)


def _flat(waves: Tensor) -> Tensor:
    return waves.detach().cpu().flatten(1).double()


def _basis(samples: int, cycles: float, like: Tensor) -> Tensor:
    """Sine and cosine of `cycles` cycles: `(2, samples)`."""
    angle = 2 * pi * cycles / samples * torch.arange(samples, dtype=like.dtype, device=like.device)
    return torch.stack([angle.sin(), angle.cos()])


def _fit(wave: Tensor, cycles: float) -> Tensor:
    """Least-squares weights of sine and cosine: `(n, time)` to `(n, 2)`."""
    return wave @ torch.linalg.pinv(_basis(wave.shape[1], cycles, wave))


def _phase(fit: Tensor) -> Tensor:
    # A sin(wt + p) = A cos p sin wt + A sin p cos wt
    return torch.atan2(fit[:, 1], fit[:, 0])


def _nearest(wave: Tensor, cycles: float) -> Tensor:
    """The unit sine with the least squared distance from each wave `(n, time)`: shaped alike.

    A whole number of cycles makes sine and cosine equally long and at right angles, and the phase of the fit is the
    nearest. Else their products stretch the plane: what is sought is the least point of a quadratic on the unit circle.
    """
    basis = _basis(wave.shape[1], cycles, wave)
    length, axes = torch.linalg.eigh(basis @ basis.T)
    unit = _least_on_circle(length, wave @ basis.T @ axes)
    return unit @ axes.T @ basis


def _least_on_circle(length: Tensor, pull: Tensor, steps: int = 40) -> Tensor:
    """Where on the unit circle ½ Σ length · u² - pull · u is least: `(2,)` rising and `(n, 2)` to `(n, 2)`.

    There (length + m) · u = pull with length + m ≥ 0 (Moré and Sorensen 1983). Bisection finds the first length + m:
    the larger it is, the shorter is u.
    """
    apart = length[1] - length[0]
    low, high = pull[:, 0].abs(), pull.norm(dim=1)
    for _ in range(steps):
        middle = 0.5 * (low + high)
        longer = torch.hypot(pull[:, 0] / middle, pull[:, 1] / (middle + apart)) > 1
        low, high = torch.where(longer, middle, low), torch.where(longer, high, middle)
    along = (pull[:, 1] / (high + apart)).nan_to_num().clamp(-1, 1)
    # Its sign is that of the pull; without one, both are as near.
    across = (1 - along.square()).sqrt().copysign(pull[:, 0])
    return torch.stack([across, along], 1)


def _snr_db(wave: Tensor, fit: Tensor, cycles: float) -> Tensor:
    fitted = fit @ _basis(wave.shape[1], cycles, wave)
    signal, residual = fitted.square().mean(1), (wave - fitted).square().mean(1)
    return 10 * torch.log10((signal + FLOOR) / (residual + FLOOR))


def _harmonic_distortion(wave: Tensor, cycles: float) -> Tensor:
    """Root of the power in harmonics 2 … 10 (below Nyquist) over the fundamental's: `(n, time)` to `(n,)`."""
    count = _harmonics(wave.shape[1], cycles)
    basis = torch.cat([_basis(wave.shape[1], cycles * k, wave) for k in range(1, count + 1)])
    power = (wave @ torch.linalg.pinv(basis)).square().unflatten(1, (count, 2)).sum(2)
    return ((power[:, 1:].sum(1) + FLOOR) / (power[:, 0] + FLOOR)).sqrt()


def _harmonics(samples: int, cycles: float) -> int:
    """How many of the first ten, the fundamental among them, are below half the sampling rate."""
    return min(HARMONICS, int((samples - 1) / (2 * cycles)))


def _frequency(wave: Tensor, padding: int = 2) -> Tensor:
    """Cycles in a wave of its strongest frequency: a parabola through the peak of the padded log spectrum."""
    window = torch.blackman_window(wave.shape[1], dtype=wave.dtype, device=wave.device)
    spectrum = torch.fft.rfft(wave * window, n=padding * wave.shape[1])
    # Powers, which need no root.
    power = torch.addcmul(spectrum.real.square(), spectrum.imag, spectrum.imag)
    peak = power.argmax(1, keepdim=True)
    around = (power.gather(1, (peak + k).clamp(0, power.shape[1] - 1)) for k in (-1, 0, 1))
    left, top, right = (torch.log(value + FLOOR**2) for value in around)
    shift = ((left - right) / (2 * (left - 2 * top + right))).nan_to_num()
    return (peak + shift).clamp(min=0).squeeze(1) / padding
