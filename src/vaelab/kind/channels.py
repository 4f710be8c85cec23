"""Wireless channels, whose taps fade."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from vaelab.kind.base import Codes, Examined, Model
from vaelab.kind.signals import Signals

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vaelab.data.items import Signature
    from vaelab.data.module import DataModule


class Channels(Signals):
    """Channels as draws: what an item says is how strong each tap is, and chance how it happens to fade.

    New ones are judged by their delay spreads and the like, beside channels whose taps are independent and as many of
    the simulator's own; paths by how evenly they go from short to long delays, beside mixtures of their ends' taps.
    """

    name: ClassVar[str] = "channels"
    what: ClassVar[str] = "wireless channels"
    prefix = "channel"
    samples: ClassVar[int] = 2000
    quick_samples: ClassVar[int] = 64
    items_are_draws: ClassVar[bool] = True
    paths: ClassVar[int] = 100

    @classmethod
    @override
    def fits(cls, signature: Signature) -> bool:
        return super().fits(signature) and "antennas" in signature.facts

    @property
    def rate(self) -> float:
        """The taps' rate in Hz."""
        return self.signature.sample_rate or 1.0

    # Measures -----------------------------------------------------------------------------------------------------

    def measures(self, examined: Examined, data: DataModule) -> dict[str, float]:
        """None: of a fading tap nothing but its power comes back."""
        return {}

    @override
    def quick_measures(self, examined: Examined, data: DataModule) -> dict[str, float]:
        return {}

    @override
    def sample_measures(self, x: Tensor, item: Tensor, data: DataModule) -> dict[str, float]:
        from vaelab.metrics.channel import channel_measures

        return channel_measures(self.codec.decode(x), data.items.raw[item], self.rate)

    quick_sample_measures = sample_measures

    def sample_baselines(self, item: Tensor, data: DataModule) -> dict[str, float]:
        """Channels of independent taps, and as many of the simulator's own."""
        return data.once(("channel", len(item)), lambda: self._beside(data.items.raw[item], data))

    def _beside(self, true: Tensor, data: DataModule) -> dict[str, float]:
        from vaelab.metrics.channel import channel_measures, independent_taps

        train, drawn = (data.items.raw[rows] for rows in (data.index["train"], data.drawn("train", self.samples)))
        independent = independent_taps(train, self.samples, self.seed)
        beside = _named("baseline/independent_", channel_measures(independent, true, self.rate))
        return beside | _named("ceiling/simulator_", channel_measures(drawn, true, self.rate))

    def path_ends(self, item: Tensor, data: DataModule) -> tuple[Tensor, Tensor] | None:
        """From the shortest to the longest delay spreads."""
        order = data.factors(item)["delay_spread"].argsort()
        pairs = min(self.paths, max(len(order) // 2, 1))
        return order[:pairs], order[-pairs:]

    def path_measures(self, x: Tensor, start: Tensor, end: Tensor, data: DataModule) -> dict[str, float]:
        """The baseline mixes the taps of both ends."""
        from vaelab.metrics.channel import path_measures

        through = self.codec.decode(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        share = torch.linspace(0, 1, x.shape[1])[:, None, None]
        straight = torch.lerp(data.items.raw[start][:, None], data.items.raw[end][:, None], share)
        beside = path_measures(straight, self.rate)
        return path_measures(through, self.rate) | _named("baseline/straight_", beside)

    def code_measures(self, test: Codes, train: Callable[[], Codes], data: DataModule) -> dict[str, float]:
        """How much of both spreads a line through the codes tells, and one through plain estimates of each channel."""
        from vaelab.metrics.channel import factor_r2, plain_estimates

        seen = train()
        known, asked = (data.factors(part.item) for part in (seen, test))
        estimates = [plain_estimates(self.codec.decode(data.rows(part.item).x), self.rate) for part in (seen, test)]
        told = {}
        for name in estimates[0]:
            truth = known[name], asked[name]
            # Of a single tap within the spread there is no delay, and none has no logarithm.
            if truth[0].std() > 0 and min(part.min() for part in truth) > 0:
                told[f"{name}_r2"] = factor_r2(seen.code, truth[0], test.code, truth[1])
                plain = factor_r2(estimates[0][name], truth[0], estimates[1][name], truth[1])
                told[f"baseline/estimate_{name}_r2"] = plain
        return told

    # Figures ------------------------------------------------------------------------------------------------------

    @override
    def figures(self, examined: Examined, model: Model) -> dict[str, Figure]:
        from vaelab.figures.channel import channel_pairs

        true, again = self._power(examined.x), self._power(examined.reconstruction)
        expected = self.expected_power(model.realisations(examined.code[:8]))
        return {"reconstructions": channel_pairs(true, again, expected, self.rate)}

    def expected_power(self, draws: Tensor) -> Tensor:
        """Power of each tap over realisations `(draws, n, *shape)`: `(n, taps)`."""
        return self._power(draws.flatten(0, 1)).unflatten(0, draws.shape[:2]).mean(0)

    def sample_figures(self, x: Tensor, true: Tensor) -> dict[str, Figure]:
        """Power by delay and delay spreads, beside true channels and those of independent taps."""
        from vaelab.figures.channel import delay_spread_distributions, power_profiles
        from vaelab.metrics.channel import independent_taps, power_profile, rms_delay_spread

        channels = self.codec.decode(true)
        independent = independent_taps(channels, self.samples, self.seed)
        sets = {"true": channels, "independent taps": independent, "generated": self.codec.decode(x)}
        powers = {name: power_profile(taps) for name, taps in sets.items()}
        return {
            "power_profiles": power_profiles({name: power.mean(0) for name, power in powers.items()}, self.rate),
            "delay_spreads": delay_spread_distributions(
                {name: rms_delay_spread(power, self.rate) for name, power in powers.items()}
            ),
        }

    def path_shown(self, x: Tensor) -> tuple[int, int] | None:
        """From the shortest delay spread to the longest."""
        from vaelab.metrics.channel import rms_delay_spread

        spread = rms_delay_spread(self._power(x), self.rate)
        return int(spread.argmin()), int(spread.argmax())

    @override
    def sample_figure(self, x: Tensor) -> Figure | None:
        from vaelab.figures.channel import channel_samples

        return channel_samples(self._power(x), self.rate)

    @override
    def path_figure(self, x: Tensor) -> Figure | None:
        from vaelab.figures.channel import channel_path
        from vaelab.metrics.channel import rms_delay_spread

        power = self._power(x)
        return channel_path(power, rms_delay_spread(power, self.rate), self.rate)

    def _power(self, x: Tensor) -> Tensor:
        from vaelab.metrics.channel import power_profile

        return power_profile(self.codec.decode(x))


def _named(prefix: str, measures: dict[str, float]) -> dict[str, float]:
    return {f"{prefix}{name}": value for name, value in measures.items()}
