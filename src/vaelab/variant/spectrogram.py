"""Autoencoders of sound, as log-magnitude spectrograms."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

import torch
from torch import Tensor

from vaelab.variant.base import BASELINE_ITEMS, VAE, Examined, Sound

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vaelab.codec.spectrogram import SpectrogramCodec
    from vaelab.data.module import DataModule


class SpectrogramVAE(VAE):
    """Sound, judged by spectral distances beside PCA, the mean spectrum and the ceiling of perfect magnitudes."""

    kinds: ClassVar[tuple[str, ...]] = ("sound",)
    name: ClassVar[str] = "spectrogram"
    prefix: ClassVar[str] = "audio"
    hint: ClassVar[str] = "use variant=signal for signals, image for pictures, denoiser for noisy traces"

    @property
    def spectrogram(self) -> SpectrogramCodec:
        """The codec, by its own type."""
        return cast("SpectrogramCodec", self.codec)

    def decibels(self, x: Tensor, level: Tensor | None) -> Tensor:
        """Encoded items `(n, 1, bins, frames)` in dB re 1, at their own or the typical peak level."""
        peak = self.spectrogram.levels(x, level).view(-1, 1, 1, 1)
        return peak + self.spectrogram.floor_db * (x.clamp(0, 1) - 1)

    def quick_measures(self, examined: Examined, data: DataModule) -> dict[str, float]:  # noqa: D102
        from vaelab.metrics.audio import audio_measures

        original = self.decibels(examined.x, examined.level)
        return audio_measures(original, self.decibels(examined.reconstruction, examined.level))

    def measures(self, examined: Examined, data: DataModule) -> dict[str, float]:  # noqa: D102
        original = self.decibels(examined.x, examined.level)
        key = ("audio", len(original), self.latent.code_size)
        beside = data.once(key, lambda: self._baselines(original, examined.item, data))
        return self.quick_measures(examined, data) | beside

    def _baselines(self, original: Tensor, item: Tensor, data: DataModule) -> dict[str, float]:
        from vaelab.metrics.audio import audio_baselines, griffin_lim_ceiling

        seen = data.batch("train", BASELINE_ITEMS)
        train = self.decibels(seen.x, seen.level)
        ceiling = griffin_lim_ceiling(data.items.raw[item], self.spectrogram.n_fft, self.spectrogram.hop_length)
        return audio_baselines(original, train, self.latent.code_size) | ceiling

    def figures(self, examined: Examined) -> dict[str, Figure]:  # noqa: D102
        from vaelab.figures.spectrograms import spectrogram_pairs

        original = self.decibels(examined.x, examined.level)
        reconstruction = self.decibels(examined.reconstruction, examined.level)
        pairs = spectrogram_pairs(original, reconstruction, self.sample_rate, self.spectrogram.hop_length)
        return {"reconstructions": pairs}

    def sample_figure(self, x: Tensor) -> Figure | None:  # noqa: D102
        from vaelab.figures.spectrograms import spectrogram_grid

        return spectrogram_grid(self.decibels(x, None)[:8], self.sample_rate, self.spectrogram.hop_length)

    def sounds(self, x: Tensor, level: Tensor | None) -> list[Sound]:
        """Waves by Griffin–Lim, each turned down only where it would clip."""
        waves = self.codec.decode(x, level)[:, 0]
        return [Sound(wave / torch.clamp(wave.abs().max(), min=1.0), self.sample_rate) for wave in waves]

    @property
    def sample_rate(self) -> int:
        """In Hz."""
        return round(self.signature.sample_rate or 22050)
