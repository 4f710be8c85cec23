"""Whether generated wireless channels have the spreads and the power of true ones.

Channels are `(n, 2 · antennas, taps)`: of each antenna the real parts, then the imaginary parts.
"""

import torch
from torch import Tensor

from vaelab.seeding import generator

FLOOR_DB = 30.0  # taps so far under the strongest count as none


def power_profile(taps: Tensor) -> Tensor:
    """Power of each tap, averaged over the antennas: `(…, 2 · antennas, taps)` → `(…, taps)`."""
    return 2 * taps.square().mean(-2)


def rms_delay_spread(power: Tensor, sample_rate: float, floor_db: float = FLOOR_DB) -> Tensor:
    """Standard deviation of the delay, each tap weighed by its power: Rec. ITU-R P.1407, section 2.2.3.

    Args:
        power: `(…, taps)`.
        sample_rate: in Hz.
        floor_db: taps further under the strongest are left out, as that recommendation asks: the square of a long
            delay would make much of next to no power.

    Returns:
        `(…,)` in s.
    """
    strong = power * (power >= power.amax(-1, keepdim=True) * 10 ** (-floor_db / 10))
    weight = strong.double() / strong.double().sum(-1, keepdim=True).clamp(min=1e-30)
    delay = torch.arange(power.shape[-1], dtype=torch.float64) / sample_rate
    mean = (weight * delay).sum(-1, keepdim=True)
    return (weight * (delay - mean).square()).sum(-1).sqrt().float()


def neighbour_correlation(taps: Tensor) -> Tensor:
    """|correlation| of neighbouring antennas over a channel's taps, `(n,)` in [0, 1]; wide echoes make it small."""
    antennas = torch.complex(taps[:, 0::2], taps[:, 1::2])
    first, second = antennas[:, :-1], antennas[:, 1:]
    powers = [side.abs().square().sum((1, 2)) for side in (first, second)]
    return (first * second.conj()).sum((1, 2)).abs() / (powers[0] * powers[1]).sqrt().clamp(min=1e-30)


def profile_error_db(taps: Tensor, true: Tensor, floor_db: float = FLOOR_DB) -> Tensor:
    """RMS difference in dB of the mean power of each tap, over taps less than `floor_db` under the strongest true one.

    Args:
        taps: generated channels.
        true: as many or not.
        floor_db: where the true profile ends.

    Returns:
        A scalar.
    """
    level, true_level = (10 * power_profile(x).mean(0).clamp(min=1e-12).log10() for x in (taps, true))
    heard = true_level >= true_level.max() - floor_db
    return (level - true_level)[heard].square().mean().sqrt()


def channel_measures(taps: Tensor, true: Tensor, sample_rate: float) -> dict[str, float]:
    """How generated channels are distributed beside true ones.

    Args:
        taps: generated channels.
        true: held-out ones of the simulator.
        sample_rate: in Hz.

    Returns:
        `delay_spread_ks`: two-sample Kolmogorov–Smirnov distance of the RMS delay spreads, 0 to 1.
        `antenna_correlation_ks`: the same of the neighbouring antennas' correlations; not for one antenna.
        `profile_error_db`: see `profile_error_db`.
    """
    from scipy.stats import ks_2samp

    def distance(values: Tensor, others: Tensor) -> float:
        return float(ks_2samp(values.numpy(), others.numpy()).statistic)

    spreads = [rms_delay_spread(power_profile(x), sample_rate) for x in (taps, true)]
    measures = {"delay_spread_ks": distance(*spreads), "profile_error_db": float(profile_error_db(taps, true))}
    if taps.shape[1] > 2:
        measures["antenna_correlation_ks"] = distance(neighbour_correlation(taps), neighbour_correlation(true))
    return measures


def independent_taps(train: Tensor, n: int, seed: int = 0) -> Tensor:
    """The trivial generator: `n` channels of independent Gaussians with each training tap's variance over all items."""
    noise = torch.randn(n, *train.shape[1:], generator=generator("baselines", seed))
    return noise * train.square().mean(0).sqrt()


def path_measures(paths: Tensor, sample_rate: float) -> dict[str, float]:
    """How channels change on the way from a short to a long delay spread.

    Args:
        paths: `(paths, steps, 2 · antennas, taps)`, the shorter end first.
        sample_rate: in Hz.

    Returns:
        `path_tau`: mean rank correlation of step and delay spread (Kendall 1938): 1 where it only ever grows.
        `path_monotone`: share of paths on which it never falls.
        `path_dip_db`: how far the mean power drops on the way, under the lesser of both ends; 0 or more.
    """
    power = power_profile(paths)
    spread = rms_delay_spread(power, sample_rate)
    steps = spread.shape[1]
    earlier, later = torch.triu_indices(steps, steps, offset=1)
    level = 10 * power.sum(-1).mean(0).clamp(min=1e-12).log10()
    return {
        "path_tau": float((spread[:, later] - spread[:, earlier]).sign().mean()),
        "path_monotone": float((spread.diff(dim=1) >= 0).all(1).double().mean()),
        "path_dip_db": float(torch.minimum(level[0], level[-1]) - level.min()),
    }


def factor_r2(train: Tensor, train_factor: Tensor, test: Tensor, test_factor: Tensor) -> float:
    """R² of the logarithm of a positive factor, predicted from a code by linear regression.

    Args:
        train: `(items, code_size)`, what it is fitted on.
        train_factor: `(items,)`.
        test: `(items, code_size)`.
        test_factor: `(items,)`.
    """
    from sklearn.linear_model import LinearRegression

    fitted = LinearRegression().fit(train.double().numpy(), train_factor.log().double().numpy())
    return float(fitted.score(test.double().numpy(), test_factor.log().double().numpy()))


def plain_estimates(taps: Tensor, sample_rate: float) -> dict[str, Tensor]:
    """What a channel shows of its factors without a model, name to `(n, 1)`, nearly linear in their logarithms.

    `delay_spread` has the logarithm of the realisation's own; `angular_spread`, for more than one antenna, that of
    −log of its neighbouring antennas' correlation (the Gaussian law of `simulators.channel`).
    """
    estimates = {"delay_spread": rms_delay_spread(power_profile(taps), sample_rate).clamp(min=1e-12).log()[:, None]}
    if taps.shape[1] > 2:
        correlation = neighbour_correlation(taps).clamp(1e-6, 1 - 1e-6)
        estimates["angular_spread"] = (-correlation.log()).log()[:, None]
    return estimates
