"""Autoencoders of signals over time, and of sine waves among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from vaelab.errors import UserError
from vaelab.latent.densities import Density, sample_codes
from vaelab.variant.base import BASELINE_ITEMS, VAE, Examined, Parts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vaelab.data.module import DataModule


class SignalVAE(VAE):
    """Any signals `(channels, time)`, judged by the share of their variance that comes back."""

    kinds: ClassVar[tuple[str, ...]] = ("signal",)
    name: ClassVar[str] = "signal"
    prefix: ClassVar[str] = "signal"
    hint: ClassVar[str] = "use variant=image for pictures, spectrogram for sound, denoiser for noisy traces"

    def measures(self, examined: Examined, data: DataModule) -> dict[str, float]:  # noqa: D102
        from vaelab.metrics.signal import signal_baselines, signal_measures

        x, train, size = examined.x, data.batch("train", BASELINE_ITEMS).x, self.latent.code_size
        beside = data.once(("signal", len(x), size), lambda: signal_baselines(x, train, size))
        return signal_measures(x, examined.reconstruction, train) | beside

    def quick_measures(self, examined: Examined, data: DataModule) -> dict[str, float]:  # noqa: D102
        from vaelab.metrics.signal import signal_measures

        mean = data.once("mean signal", lambda: data.batch("train", BASELINE_ITEMS).x.mean(0, keepdim=True))
        return signal_measures(examined.x, examined.reconstruction, mean)

    def figures(self, examined: Examined) -> dict[str, Figure]:  # noqa: D102
        from vaelab.figures.waves import wave_pairs

        x, reconstruction = self.codec.decode(examined.x), self.codec.decode(examined.reconstruction)
        return {"reconstructions": wave_pairs(x, reconstruction, self.signature.sample_rate)}

    def sample_figure(self, x: Tensor) -> Figure | None:  # noqa: D102
        from vaelab.figures.waves import wave_samples

        return wave_samples(self.codec.decode(x), sample_rate=self.signature.sample_rate)

    def path_figure(self, x: Tensor) -> Figure | None:  # noqa: D102
        from vaelab.figures.waves import wave_path

        return wave_path(self.codec.decode(x), self.signature.sample_rate)


class SineVAE(SignalVAE):
    """Sine waves of one known frequency: samples are held against the nearest true sine."""

    name: ClassVar[str] = "sine"
    prefix: ClassVar[str] = "sine"
    hint: ClassVar[str] = (
        "it needs sine waves of one known frequency; use variant=signal for other signals, variant=image for pictures, "
        "spectrogram for sound, denoiser for noisy traces"
    )
    samples: ClassVar[int] = 2000

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        if "cycles" not in self.signature.facts:
            raise UserError(f"variant=sine: {self.hint}")
        from vaelab.metrics.sine import check_measurable

        check_measurable(self.signature.raw_shape[-1], self.cycles)

    @property
    def cycles(self) -> float:
        """How many cycles a wave has from end to end."""
        return self.signature.facts["cycles"]

    def measures(self, examined: Examined, data: DataModule) -> dict[str, float]:
        """Measures of samples from the prior (raw, then smoothed) and from a mixture fitted on the posterior.

        The baseline draws from the one Gaussian that has the training waves' mean and covariance.
        """
        from vaelab.metrics.sine import sine_measures, smooth

        found = super().measures(examined, data)
        codes = self.codes(data.loader("train", BASELINE_ITEMS))
        densities: dict[str, Density] = {"": "prior", "gmm/": "gmm"} if self.latent.has_prior else {"": "gmm"}
        for name, density in densities.items():
            drawn = sample_codes(density, self.samples, latent=self.latent, codes=codes, seed=self.seed)
            waves = self.codec.decode(self.decode(drawn))
            found |= {f"{name}{key}": value for key, value in sine_measures(waves, self.cycles).items()}
            smoothed = sine_measures(smooth(waves), self.cycles)
            found |= {f"{name}smoothed/{key}": value for key, value in smoothed.items()}
        return found | data.once("sine", lambda: self._baselines(data))

    def _baselines(self, data: DataModule) -> dict[str, float]:
        from vaelab.metrics.baseline import gaussian_samples
        from vaelab.metrics.sine import sine_measures

        drawn = gaussian_samples(data.items.raw[data.index["train"]], self.samples, self.seed)
        return {f"baseline/gaussian_{name}": value for name, value in sine_measures(drawn, self.cycles).items()}

    def sample_figure(self, x: Tensor) -> Figure | None:  # noqa: D102
        import torch

        from vaelab.figures.waves import wave_samples
        from vaelab.metrics.sine import smooth
        from vaelab.simulators.sine import sine_waves

        waves = self.codec.decode(x)
        reference = sine_waves(torch.zeros(1), samples=waves.shape[-1], cycles=self.cycles)
        return wave_samples(waves, reference.expand_as(waves), smooth(waves))
