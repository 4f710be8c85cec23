"""Wireless channels: taps over delay at a small array, each with its own delay spread and angular spread."""

from collections.abc import Sequence
from dataclasses import dataclass

from vaelab.data.items import Items
from vaelab.memory import NUMBER, check_size
from vaelab.metrics.channel import rms_delay_spread
from vaelab.simulators.channel import BLOCK, Profile, simulate_channels


@dataclass
class Channel:
    """Realisations of a tapped delay line, of expected power 1 at each antenna.

    Attributes:
        channels: how many.
        profile: how the power falls over delay: `exponential`, or in `cluster`s that set in at random.
        decay: of the power by a factor e, in s: one number, or the two ends of a log-uniform law.
        angular_spread: standard deviation of the angle of arrival in degrees, as `decay`.
        k_factor_db: direct path over echoes on the first tap: one number, or the two ends of a uniform law; None
            for Rayleigh fading.
        antennas: in a line, seen from its broadside.
        spacing: of neighbouring antennas, in wavelengths.
        taps: length of a channel.
        sample_rate: in Hz; its inverse is the distance of the taps.
        seed: decides everything drawn.
    """

    channels: int = 20_000
    profile: Profile = "exponential"
    decay: float | tuple[float, float] = (50e-9, 500e-9)
    angular_spread: float | tuple[float, float] = (2.0, 30.0)
    k_factor_db: float | tuple[float, float] | None = None
    antennas: int = 2
    spacing: float = 0.5
    taps: int = 64
    sample_rate: float = 20e6
    seed: int = 0

    def load(self) -> Items:
        """Channels `(items, 2 · antennas, taps)` float32, with the fact `antennas`.

        Factors: `delay_spread` in s, of the expected power, `angular_spread` in degrees and, with a direct path,
        `k_factor_db`. Raises `UserError` if a setting is outside its range.
        """
        numbers = self.channels * 2 * self.antennas * self.taps + BLOCK * self.antennas**2
        check_size(NUMBER * numbers, "dataset.channels", "dataset.antennas", "dataset.taps")
        simulated = simulate_channels(
            self.channels,
            profile=self.profile,
            decay=_law(self.decay),
            angular_spread=_law(self.angular_spread),
            k_factor_db=None if self.k_factor_db is None else _law(self.k_factor_db),
            antennas=self.antennas,
            spacing=self.spacing,
            taps=self.taps,
            sample_rate=self.sample_rate,
            seed=self.seed,
        )
        factors = {
            "delay_spread": rms_delay_spread(simulated.profile, self.sample_rate),
            "angular_spread": simulated.angular_spread,
        }
        if self.k_factor_db is not None:
            factors["k_factor_db"] = simulated.k_factor_db
        facts = {"antennas": float(self.antennas)}
        return Items("signal", simulated.taps, factors=factors, facts=facts, sample_rate=self.sample_rate)


def _law(setting: float | Sequence[float]) -> float | tuple[float, float]:
    return (float(setting[0]), float(setting[1])) if isinstance(setting, Sequence) else setting
