"""Wireless channels: realisations of a tapped delay line at a small antenna array.

A channel is a sum of echoes. Sampled at the bandwidth's rate it is a row of complex taps over delay, and each tap, a
sum of many unresolved echoes, is a complex Gaussian (Rayleigh fading) whose variance is the power-delay profile. What
tells one place from another is that profile's width, the delay spread, and how wide the echoes arrive, the angular
spread, which shows in how alike the antennas are.
"""

from math import pi
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from vaelab.errors import UserError
from vaelab.seeding import generator

Profile = Literal["exponential", "cluster"]

CLUSTERS = 16  # drawn for each channel; at one per decay on average, later ones are lost in the first ones' tails
RAY_DECAY = 1 / 3  # of a cluster's rays over the clusters': 20 and 60 ns in Saleh and Valenzuela (1987)
BLOCK = 1_000  # channels drawn at once, to stay near the cache


class Channels(NamedTuple):
    """Simulated channels and the truth about them.

    Attributes:
        taps: `(n, 2 · antennas, taps)` float32: of each antenna the real parts, then the imaginary parts.
        profile: `(n, taps)` float32 expected power of each tap at one antenna; sums to 1.
        angular_spread: `(n,)` float32 standard deviation of the angle of arrival, in degrees.
        k_factor_db: `(n,)` float32 power of the first tap's direct path over that of its echoes, in dB; −inf where
            there is no direct path.
    """

    taps: Tensor
    profile: Tensor
    angular_spread: Tensor
    k_factor_db: Tensor


def simulate_channels(
    n: int,
    *,
    profile: Profile = "exponential",
    decay: float | tuple[float, float] = (50e-9, 500e-9),
    angular_spread: float | tuple[float, float] = (2.0, 30.0),
    k_factor_db: float | tuple[float, float] | None = None,
    antennas: int = 2,
    spacing: float = 0.5,
    taps: int = 64,
    sample_rate: float = 20e6,
    seed: int = 0,
) -> Channels:
    """Simulate `n` channels, each with its own spreads.

    The expected power of a channel is 1 at each antenna; that of a realisation fades. The first channels do not
    depend on how many are asked for.

    Args:
        n: number of channels.
        profile: `exponential` falls as exp(−t / decay) from the first tap; `cluster` is a sum of such falls that set
            in at random (see `cluster_profile`).
        decay: of the profile's power by a factor e, in s: one for all, or the ends of a log-uniform law. It is the
            RMS delay spread of an exponential profile.
        angular_spread: in degrees: one for all, or the ends of a log-uniform law.
        k_factor_db: a direct path on the first tap, of fixed amplitude and uniform phase (Rician fading): one for
            all, or the ends of a uniform law in dB. None: Rayleigh fading everywhere.
        antennas: in a line, the mean direction of arrival at a right angle to it.
        spacing: of neighbours, in wavelengths.
        taps: length of a channel.
        sample_rate: in Hz: the inverse of the taps' distance.
        seed: decides everything.

    Raises:
        UserError: if a setting is outside its range.
    """
    _check(n, profile, decay, angular_spread, k_factor_db, antennas, spacing, taps, sample_rate)
    rng = generator("data", seed)
    delay = torch.arange(taps) / sample_rate
    blocks = []
    for _ in range(0, n, BLOCK):
        width, spread = _log_uniform(decay, rng), _log_uniform(angular_spread, rng)
        power = exponential_profile(delay, width) if profile == "exponential" else cluster_profile(delay, width, rng)
        fading = _fading(antenna_correlation(torch.deg2rad(spread.double()), antennas, spacing), taps, rng)
        k_db = _k_factor(k_factor_db, rng)
        fading[..., 0] = _with_direct_path(fading[..., 0], k_db, rng)
        complex_taps = fading * power.sqrt()[:, None]
        parts = torch.view_as_real(complex_taps).movedim(-1, 2).flatten(1, 2)
        blocks.append(Channels(parts, power, spread, k_db))
    return Channels(*(torch.cat(part)[:n] for part in zip(*blocks, strict=True)))


def exponential_profile(delay: Tensor, decay: Tensor) -> Tensor:
    """Power falling as exp(−delay / decay), of sum 1: delays `(taps,)`, decays `(n,)`, result `(n, taps)`."""
    return _unit_sum(torch.exp(-delay / decay[:, None]))


def cluster_profile(delay: Tensor, decay: Tensor, rng: torch.Generator) -> Tensor:
    """Clusters of rays, both falling exponentially (Saleh and Valenzuela 1987, eq. 25), of sum 1: `(n, taps)`.

    The first cluster arrives at zero, the others as a Poisson process, here one per `decay` on average, so that a
    profile shows several. Rays are too dense to be told apart at these bandwidths: a cluster is an exponential.
    """
    gaps = -torch.log1p(-torch.rand(len(decay), CLUSTERS, generator=rng)) * decay[:, None]
    gaps[:, 0] = 0.0
    arrival = gaps.cumsum(1)[:, :, None]
    width = decay[:, None, None]
    late = delay - arrival
    power = torch.exp(-arrival / width - late.clamp(min=0) / (RAY_DECAY * width)) * (late >= 0)
    return _unit_sum(power.sum(1))


def antenna_correlation(angular_spread: Tensor, antennas: int, spacing: float) -> Tensor:
    """Correlation between the antennas of a line: spreads `(n,)` in radians, result `(n, antennas, antennas)`.

    Echoes arrive from Gaussian angles about the line's broadside (Adachi et al. 1986), small enough that the sine is
    the angle. The correlation at distance d, in wavelengths, is then the Gaussian's characteristic function at
    2 pi d, exp(−(2 pi d sigma)² / 2).
    """
    place = spacing * torch.arange(antennas)
    distance = (place[:, None] - place).abs()
    return torch.exp(-0.5 * (2 * pi * distance * angular_spread[:, None, None]).square())


def _unit_sum(power: Tensor) -> Tensor:
    return power / power.sum(1, keepdim=True)


def _fading(correlation: Tensor, taps: int, rng: torch.Generator) -> Tensor:
    """Complex Gaussians of unit power, alike over the antennas, independent over taps: `(n, antennas, taps)`.

    Correlations `(n, antennas, antennas)` are float64: of antennas all but one, float32 has no Cholesky factor.
    """
    white = torch.randn(len(correlation), correlation.shape[1], taps, dtype=torch.complex64, generator=rng)
    # A touch of independence keeps the factor real where the antennas are all but one.
    near = correlation + 1e-9 * torch.eye(correlation.shape[1], dtype=torch.float64)
    return torch.linalg.cholesky(near).to(torch.complex64) @ white


def _with_direct_path(first: Tensor, k_db: Tensor, rng: torch.Generator) -> Tensor:
    """First taps `(n, antennas)` with their share of a direct path from broadside, the same at all antennas."""
    k = (10 ** (k_db / 10))[:, None]
    phase = 2 * pi * torch.rand(len(first), 1, generator=rng)
    return (k / (1 + k)).sqrt() * torch.polar(torch.ones_like(phase), phase) + first / (1 + k).sqrt()


def _k_factor(law: float | tuple[float, float] | None, rng: torch.Generator) -> Tensor:
    uniform = torch.rand(BLOCK, generator=rng)
    if law is None:
        return torch.full((BLOCK,), -torch.inf)
    low, high = _ends(law)
    return low + (high - low) * uniform


def _log_uniform(law: float | tuple[float, float], rng: torch.Generator) -> Tensor:
    low, high = _ends(law)
    return low * (high / low) ** torch.rand(BLOCK, generator=rng)


def _ends(law: float | tuple[float, float]) -> tuple[float, float]:
    low, high = (law, law) if isinstance(law, int | float) else law
    return low, high


def _check(
    n: int,
    profile: str,
    decay: float | tuple[float, float],
    angular_spread: float | tuple[float, float],
    k_factor_db: float | tuple[float, float] | None,
    antennas: int,
    spacing: float,
    taps: int,
    sample_rate: float,
) -> None:
    known = get_args(Profile)
    weakest, strongest = _ends(0.0 if k_factor_db is None else k_factor_db)
    faults = {
        f"n={n}: at least one channel is needed": n < 1,
        f"profile={profile} is unknown: choose one of {', '.join(known)}": profile not in known,
        f"decay={decay}: it must be above 0 s, and a range must rise": not _rises(decay),
        f"angular_spread={angular_spread}: it must be above 0 degrees, and a range must rise": not _rises(
            angular_spread
        ),
        f"k_factor_db={k_factor_db}: a range must rise": weakest > strongest,
        f"antennas={antennas}: at least one is needed": antennas < 1,
        f"spacing={spacing}: it must be above 0 wavelengths": spacing <= 0,
        f"taps={taps}: a profile needs at least 4": taps < 4,
        f"sample_rate={sample_rate:g} Hz: it must be above 0": sample_rate <= 0,
    }
    for fault, present in faults.items():
        if present:
            raise UserError(fault)


def _rises(law: float | tuple[float, float]) -> bool:
    low, high = _ends(law)
    return 0 < low <= high
