"""Autoencoders of wireless channels, whose taps fade."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from vaelab.errors import UserError
from vaelab.latent.densities import Density, sample_codes
from vaelab.likelihood.zero_mean_gaussian import ZeroMeanGaussian
from vaelab.seeding import seeded, stream_seed
from vaelab.variant.base import BASELINE_ITEMS, Examined, Parts
from vaelab.variant.signal import SignalVAE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vaelab.data.batch import Batch
    from vaelab.data.module import DataModule
    from vaelab.latent.base import Posterior


class ChannelVAE(SignalVAE):
    """Channels as draws: a code says how strong each tap is, the likelihood how it happens to fade.

    The phase of a fading tap is uniform and its amplitude random, so nothing but its variance can be told from the
    other taps. With `likelihood=zero_mean_gaussian` the decoder gives just that, and the code is the channel's
    condition: delay spread, angular spread. A likelihood with a decoded mean and one sigma for all has to carry every
    tap through the code and puts the same noise on the empty taps: with `learned_gaussian` and 64 dimensions the delay
    spreads of all samples lie beyond the true ones (distance 1.00; of independent taps 0.58). A direct path, with
    `dataset.k_factor_db`, has a steady amplitude; it is generated with the right mean power, and fades as the rest.

    `decode` gives realisations that all share one fading, so that what differs between two is their codes' doing;
    `draw` gives each its own.
    """

    name: ClassVar[str] = "channel"
    prefix: ClassVar[str] = "channel"
    hint: ClassVar[str] = (
        "it needs wireless channels, dataset=channel; use variant=signal for other signals, image for pictures, "
        "spectrogram for sound, denoiser for noisy traces"
    )
    samples_are_draws: ClassVar[bool] = True
    samples: ClassVar[int] = 2000
    paths: ClassVar[int] = 100
    steps: ClassVar[int] = 11

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        if "antennas" not in self.signature.facts:
            raise UserError(f"variant=channel: {self.hint}")

    @property
    def rate(self) -> float:
        """The taps' rate in Hz."""
        return self.signature.sample_rate or 1.0

    # The way of the data ------------------------------------------------------------------------------------------

    def posterior(self, x: Tensor) -> Posterior:
        """q(z|x) of encoded items `(batch, *shape)`.

        p(x|z) of a zero-mean Gaussian knows x by its squares alone, and so does p(z|x): the encoder is shown their
        logarithms, from which a decay over many taps is read more easily and which hold no signs to learn by heart.
        """
        if isinstance(self.likelihood, ZeroMeanGaussian):
            x = 0.25 * torch.log(x.square() + self.likelihood.min_sigma**2)
        return super().posterior(x)

    def typical(self, params: Tensor) -> Tensor:
        """A realisation, since the mean of fading is nothing; each with the same fading: `(batch, *shape)`."""
        with seeded(stream_seed("observation", self.seed)):
            return torch.vmap(self.likelihood.sample, randomness="same")(params.cpu())

    def examine(self, batches: Iterable[Batch]) -> Examined:
        """As for every variant, each reconstruction a realisation."""
        examined = super().examine(batches)
        return examined._replace(reconstruction=self.decode(examined.code))

    def expected_power(self, codes: Tensor, draws: int = 100) -> Tensor:
        """Power of each tap over many realisations of each code: `(n, code_size)` → `(n, taps)`."""
        from vaelab.metrics.channel import power_profile

        drawn = self.codec.decode(self.draw(codes.repeat(draws, 1), self.seed))
        return power_profile(drawn).unflatten(0, (draws, len(codes))).mean(0)

    def path(self, start: Tensor, end: Tensor) -> Tensor:
        """Codes on the straight line between those of two lists `(n, code_size)`: `(n, steps, code_size)`."""
        way = torch.lerp(start[:, None], end[:, None], torch.linspace(0, 1, self.steps)[:, None])
        return self.latent.project(way.flatten(0, 1)).unflatten(0, way.shape[:2])

    def quick_measures(self, examined: Examined, data: DataModule) -> dict[str, float]:
        """Of channels from the prior, as many as were examined."""
        from vaelab.metrics.channel import channel_measures

        if not self.latent.has_prior:
            return {}
        drawn = sample_codes("prior", len(examined.x), latent=self.latent, codes=None, seed=self.seed)
        return channel_measures(self._drawn(drawn), self.codec.decode(examined.x), self.rate)

    # Measures -----------------------------------------------------------------------------------------------------

    def measures(self, examined: Examined, data: DataModule) -> dict[str, float]:
        """Measures of channels from the prior and from a mixture fitted on the posterior, of paths, and of the codes.

        The baseline draws every tap by itself; the ceiling is as many of the simulator's own.
        """
        from vaelab.metrics.channel import channel_measures

        true = data.items.raw[examined.item]
        seen = self.examine(data.loader("train", BASELINE_ITEMS))
        found: dict[str, float] = {}
        densities: dict[str, Density] = {"": "prior", "gmm/": "gmm"} if self.latent.has_prior else {"": "gmm"}
        for name, density in densities.items():
            drawn = sample_codes(density, self.samples, latent=self.latent, codes=seen.code, seed=self.seed)
            found |= _named(name, channel_measures(self._drawn(drawn), true, self.rate))
        found |= data.once(("channel", len(true)), lambda: self._beside(true, data))
        return found | self._paths(examined, true, data) | self._told_factors(seen, examined, data)

    def _beside(self, true: Tensor, data: DataModule) -> dict[str, float]:
        """Channels of independent taps, and as many of the simulator's own."""
        from vaelab.metrics.channel import channel_measures, independent_taps

        train, drawn = (data.items.raw[rows] for rows in (data.index["train"], data.drawn("train", self.samples)))
        independent = independent_taps(train, self.samples, self.seed)
        found = _named("baseline/independent_", channel_measures(independent, true, self.rate))
        return found | _named("ceiling/simulator_", channel_measures(drawn, true, self.rate))

    def _drawn(self, codes: Tensor) -> Tensor:
        """Channels in the user's units, each with its own fading."""
        return self.codec.decode(self.draw(codes, self.seed))

    def _paths(self, examined: Examined, true: Tensor, data: DataModule) -> dict[str, float]:
        """From the shortest to the longest delay spreads of the test items; the baseline mixes their taps."""
        from vaelab.metrics.channel import path_measures

        order = data.factors(examined.item)["delay_spread"].argsort()
        pairs = min(self.paths, max(len(order) // 2, 1))
        short, long = order[:pairs], order[-pairs:]
        codes = self.path(examined.code[short], examined.code[long])
        through = self.codec.decode(self.decode(codes.flatten(0, 1))).unflatten(0, codes.shape[:2])
        share = torch.linspace(0, 1, self.steps)[:, None, None]
        straight = torch.lerp(true[short][:, None], true[long][:, None], share)
        beside = path_measures(straight, self.rate)
        return path_measures(through, self.rate) | _named("baseline/straight_", beside)

    def _told_factors(self, seen: Examined, examined: Examined, data: DataModule) -> dict[str, float]:
        """How much of both spreads a line through the codes tells, and one through plain estimates of each channel."""
        from vaelab.metrics.channel import factor_r2, plain_estimates

        factors = [data.factors(part.item) for part in (seen, examined)]
        estimates = [plain_estimates(self.codec.decode(part.x), self.rate) for part in (seen, examined)]
        found = {}
        for name in estimates[0]:
            known, asked = (values[name] for values in factors)
            if known.std() > 0:
                found[f"{name}_r2"] = factor_r2(seen.code, known, examined.code, asked)
                found[f"baseline/estimate_{name}_r2"] = factor_r2(estimates[0][name], known, estimates[1][name], asked)
        return found

    # Figures ------------------------------------------------------------------------------------------------------

    def figures(self, examined: Examined) -> dict[str, Figure]:  # noqa: D102
        from vaelab.figures.channel import channel_pairs, delay_spread_distributions, power_profiles
        from vaelab.metrics.channel import independent_taps, power_profile, rms_delay_spread

        true, again = self.codec.decode(examined.x), self.codec.decode(examined.reconstruction)
        codes = examined.code
        if self.latent.has_prior:
            codes = sample_codes("prior", self.samples, latent=self.latent, codes=None, seed=self.seed)
        sets = {
            "true": true,
            "independent taps": independent_taps(true, self.samples, self.seed),
            "generated": self._drawn(codes),
        }
        powers = {name: power_profile(taps) for name, taps in sets.items()}
        spread = rms_delay_spread(powers["true"], self.rate)
        ends = examined.code[spread.argmin()][None], examined.code[spread.argmax()][None]
        expected = self.expected_power(examined.code[:8])
        return {
            "reconstructions": channel_pairs(powers["true"], power_profile(again), expected, self.rate),
            "power_profiles": power_profiles({name: power.mean(0) for name, power in powers.items()}, self.rate),
            "delay_spreads": delay_spread_distributions(
                {name: rms_delay_spread(power, self.rate) for name, power in powers.items()}
            ),
            "path": self.path_figure(self.decode(self.path(*ends)[0])),
        }

    def sample_figure(self, x: Tensor) -> Figure:  # noqa: D102
        from vaelab.figures.channel import channel_samples
        from vaelab.metrics.channel import power_profile

        return channel_samples(power_profile(self.codec.decode(x)), self.rate)

    def path_figure(self, x: Tensor) -> Figure:  # noqa: D102
        from vaelab.figures.channel import channel_path
        from vaelab.metrics.channel import power_profile, rms_delay_spread

        power = power_profile(self.codec.decode(x))
        return channel_path(power, rms_delay_spread(power, self.rate), self.rate)


def _named(prefix: str, measures: dict[str, float]) -> dict[str, float]:
    return {f"{prefix}{name}": value for name, value in measures.items()}
