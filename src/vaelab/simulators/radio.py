"""Radio pulses of cosmic-ray air showers in noise, as an antenna of 30 to 80 MHz records them.

The task of Erdmann, Schlüter & Smida (2019, arXiv:1901.04079), here without a shower simulation: a pulse is a
band-limited spectrum with a random slope, chirp and carrier phase. What can be reached depends above all on
the law of the signal-to-noise ratio (envelope's peak over RMS of the noise): state it with every number.
"""

from collections.abc import Callable
from functools import partial
from math import pi, sqrt
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from vaelab.errors import UserError
from vaelab.seeding import generator

Noise = Literal["radio", "uniform", "cosine"]

LOW, HIGH, EDGE = 30e6, 80e6, 20e6  # Hz: half-amplitude points of the antenna's band, and width of its edges
CENTRE, HALF_WIDTH = (LOW + HIGH) / 2, (HIGH - LOW) / 2
SLOPE, CHIRP = 0.5, 0.8  # largest |slope| and |chirp| of a pulse: nepers and radians at the half-width
NOISE_RMS = 0.1  # mV, before interference lines
THERMAL = 1.2  # flat noise power over the galactic at the centre of the band
LINES, LINE_RMS = 3, (0.1, 0.5)  # most interference lines in a trace, and range of their RMS over the noise's
COSINE = (5e6, 85e6)  # Hz
MARGIN = 0.05  # share of the trace at either end that holds no pulse's centre
BLOCK = 1_000  # traces drawn at once, to stay near the cache


class RadioTraces(NamedTuple):
    """Simulated traces and the truth about them.

    Attributes:
        noisy: `(n, 1, samples)` float32 in mV, noise with or without a pulse.
        clean: `(n, 1, samples)` float32 in mV, the pulse alone; zeros where there is none.
        snr: `(n,)` float32, peak of the pulse's Hilbert envelope over RMS of its noise; 0 without pulse.
        position: `(n,)` int64, sample of the largest |clean|; -1 without pulse.
        is_pulse: `(n,)` bool.
        template: `(n,)` int64, which template the pulse is; -1 where it follows the built-in law.
    """

    noisy: Tensor
    clean: Tensor
    snr: Tensor
    position: Tensor
    is_pulse: Tensor
    template: Tensor


def simulate_traces(
    n: int,
    *,
    noise: Noise = "radio",
    snr: float | tuple[float, float] = (1.0, 10.0),
    noise_only: float = 0.0,
    samples: int = 500,
    sample_rate: float = 180e6,
    seed: int = 0,
    templates: Tensor | None = None,
) -> RadioTraces:
    """Simulate `n` traces with one pulse each, or none.

    The same seed gives the same pulses in all three noises, up to their scale, and the first traces do not
    depend on how many are asked for.

    Args:
        n: number of traces.
        noise: `radio` is galactic f^-2.5 plus thermal noise with 0 to 3 interference lines, in the antenna's
            band; `uniform` is white and bounded; `cosine` is one line of 5 to 85 MHz.
        snr: the one signal-to-noise ratio of all pulses, or the range in which its logarithm is uniform.
        noise_only: expected share of traces without a pulse.
        samples: length of a trace.
        sample_rate: in Hz.
        seed: decides everything.
        templates: `(templates, time)` pulses of one's own, at `sample_rate` and no longer than a trace, to be
            used with random polarity and position in place of the built-in law.

    Raises:
        UserError: if a setting is outside its range.
    """
    _check(n, noise, snr, noise_only, samples, sample_rate, templates)
    # Two streams, so that the noise can be changed under the same pulses.
    pulse_rng, noise_rng = (generator("data", seed, part) for part in range(2))
    spectra = _spectra(samples, sample_rate, templates)
    blocks = []
    for _ in range(0, n, BLOCK):
        spectrum, template = spectra(pulse_rng)
        pulse = _pulses(spectrum, pulse_rng)
        background = NOISES[noise](samples, sample_rate, noise_rng)
        blocks.append(_mix(pulse, template, background, _range(snr), noise_only, pulse_rng))
    return RadioTraces(*(torch.cat(part)[:n] for part in zip(*blocks, strict=True)))


Draw = Callable[[torch.Generator], tuple[Tensor, Tensor]]


def _spectra(samples: int, sample_rate: float, templates: Tensor | None) -> Draw:
    """What draws a block of pulse spectra and their templates: the built-in law, or the choice of a template."""
    if templates is None:
        return partial(_pulse_spectra, _frequencies(samples, sample_rate))
    return partial(_pick, _centred(templates, samples))


def _check(
    n: int,
    noise: str,
    snr: float | tuple[float, float],
    noise_only: float,
    samples: int,
    sample_rate: float,
    templates: Tensor | None,
) -> None:
    low, high = _range(snr)
    faults = {
        f"n={n}: at least one trace is needed": n < 1,
        f"noise={noise} is unknown: choose one of {', '.join(get_args(Noise))}": noise not in get_args(Noise),
        f"snr={snr}: it must be above 0, and a range must rise": not 0 < low <= high,
        f"noise_only={noise_only}: a share lies between 0 and 1": not 0 <= noise_only <= 1,
        f"samples={samples}: a pulse needs at least 32": samples < 32,
        f"sample_rate={sample_rate:g} Hz: the band needs at least {2 * HIGH:g}": sample_rate < 2 * HIGH,
        "templates: each must be a (time) row, not zero, no longer than a trace": templates is not None
        and not (templates.ndim == 2 and templates.shape[1] <= samples and templates.any(1).all()),
    }
    for fault, present in faults.items():
        if present:
            raise UserError(fault)


def _range(snr: float | tuple[float, float]) -> tuple[float, float]:
    low, high = (snr, snr) if isinstance(snr, int | float) else snr
    return low, high


def _uniform(low: float, high: float, rng: torch.Generator, columns: int = 1) -> Tensor:
    return low + (high - low) * torch.rand(BLOCK, columns, generator=rng)


def antenna_response(frequency: Tensor) -> Tensor:
    """The antenna's amplitude response at frequencies in Hz: raised-cosine edges around `LOW` and `HIGH`."""
    rise = ((frequency - LOW) / EDGE + 0.5).clamp(0, 1)
    fall = ((HIGH - frequency) / EDGE + 0.5).clamp(0, 1)
    return (pi / 2 * rise).sin().square() * (pi / 2 * fall).sin().square()


def _frequencies(samples: int, sample_rate: float = 1.0) -> Tensor:
    """Frequencies over twice a trace, which is then cut: an FFT's record is periodic, the world is not."""
    return torch.fft.rfftfreq(2 * samples, 1 / sample_rate)


def _pulse_spectra(frequency: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Spectra of pulses centred at time 0, `(BLOCK, bins)` complex, of no template."""
    slope, chirp, phase = (_uniform(-bound, bound, rng) for bound in (SLOPE, CHIRP, pi))
    offset = (frequency - CENTRE) / HALF_WIDTH
    spectra = torch.polar(antenna_response(frequency) * torch.exp(slope * offset), phase + chirp * offset.square())
    return spectra, torch.full((BLOCK,), -1)


def _centred(templates: Tensor, samples: int) -> Tensor:
    """Spectra of templates whose envelope's peak was moved to time 0: `(templates, bins)` complex."""
    spectra = torch.fft.rfft(templates.float(), n=2 * samples)
    spectra[:, 0] = 0  # no antenna passes a constant
    peak = torch.fft.ifft(spectra, n=2 * samples).abs().argmax(1, keepdim=True)
    return spectra * _delay(-peak, samples)


def _pick(spectra: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    template = torch.randint(len(spectra), (BLOCK,), generator=rng)
    return spectra[template], template


def _delay(shift: Tensor, samples: int) -> Tensor:
    """Factors on spectra that delay by `(n, 1)` samples: `(n, bins)` complex."""
    angle = -2 * pi * shift * _frequencies(samples)
    return torch.polar(torch.ones_like(angle), angle)


def _pulses(spectra: Tensor, rng: torch.Generator) -> Tensor:
    """Pulses of random position and polarity, whose envelope peaks at 1: `(BLOCK, samples)`."""
    samples = spectra.shape[1] - 1
    position = _uniform(MARGIN * samples, (1 - MARGIN) * samples, rng)
    polarity = _uniform(-1, 1, rng).sign()
    # Inverting the positive frequencies alone gives the analytic signal: pulse and envelope in one.
    analytic = torch.fft.ifft(polarity * spectra * _delay(position, samples), n=2 * samples)[:, :samples]
    return analytic.real / analytic.abs().amax(1, keepdim=True)


def _radio(samples: int, sample_rate: float, rng: torch.Generator) -> Tensor:
    return _coloured(samples, sample_rate, rng) + _interference(samples, sample_rate, rng)


def _coloured(samples: int, sample_rate: float, rng: torch.Generator) -> Tensor:
    """Galactic noise, whose temperature falls as f^-2.5 (Cane, 1979), and thermal noise, in the band."""
    frequency = _frequencies(samples, sample_rate).clamp(min=1.0)
    amplitude = antenna_response(frequency) * ((frequency / CENTRE) ** -2.5 + THERMAL).sqrt()
    rms = (2 * amplitude.square().sum()).sqrt() / (2 * samples)
    white = torch.randn(BLOCK, len(frequency), dtype=torch.complex64, generator=rng)
    return torch.fft.irfft(white * (amplitude * NOISE_RMS / rms), n=2 * samples)[:, :samples]


def _interference(samples: int, sample_rate: float, rng: torch.Generator) -> Tensor:
    """Sum of 0 … `LINES` narrow-band lines in each trace."""
    low, high = LINE_RMS
    present = torch.arange(LINES) < torch.randint(LINES + 1, (BLOCK, 1), generator=rng)
    rms = NOISE_RMS * low * (high / low) ** _uniform(0, 1, rng, LINES) * present
    lines = (_lines(rms[:, k : k + 1], (LOW, HIGH), samples, sample_rate, rng) for k in range(LINES))
    return sum(lines, torch.zeros(()))


def _uniform_noise(samples: int, sample_rate: float, rng: torch.Generator) -> Tensor:
    bound = sqrt(3) * NOISE_RMS
    return _uniform(-bound, bound, rng, samples)


def _cosine(samples: int, sample_rate: float, rng: torch.Generator) -> Tensor:
    return _lines(torch.tensor(NOISE_RMS), COSINE, samples, sample_rate, rng)


def _lines(rms: Tensor, band: tuple[float, float], samples: int, sample_rate: float, rng: torch.Generator) -> Tensor:
    """One line of random frequency and phase in each trace: `(BLOCK, samples)`."""
    turn, phase = _uniform(*band, rng) / sample_rate, _uniform(-pi, pi, rng)
    return sqrt(2) * rms * torch.cos(2 * pi * turn * torch.arange(samples) + phase)


NOISES: dict[str, Callable[[int, float, torch.Generator], Tensor]] = {
    "radio": _radio,
    "uniform": _uniform_noise,
    "cosine": _cosine,
}


def _mix(
    pulse: Tensor,
    template: Tensor,
    noise: Tensor,
    snr: tuple[float, float],
    noise_only: float,
    rng: torch.Generator,
) -> RadioTraces:
    """Scale each pulse to its signal-to-noise ratio, leave out the share without pulse, and add the noise."""
    low, high = snr
    is_pulse = _uniform(0, 1, rng) >= noise_only
    ratio = (low * (high / low) ** _uniform(0, 1, rng)).clamp(low, high) * is_pulse
    clean = pulse * ratio * noise.square().mean(1, keepdim=True).sqrt()
    is_pulse, ratio = is_pulse.squeeze(1), ratio.squeeze(1)
    position = clean.abs().argmax(1).where(is_pulse, -1)
    return RadioTraces((clean + noise)[:, None], clean[:, None], ratio, position, is_pulse, template)
