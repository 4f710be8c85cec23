"""Sound, as log-magnitude spectrograms."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

import torch
from torch import Tensor
from typing_extensions import override

from vaelab.kind.base import BASELINE_ITEMS, Examined, Kind, Sound

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vaelab.codec.spectrogram import SpectrogramCodec
    from vaelab.data.items import Signature
    from vaelab.data.module import DataModule
    from vaelab.kind.base import Model

FINEST = 128  # pixels of a spectrogram's side: more would be lost on a sheet of many


class Sounds(Kind):
    """Sound, judged by spectral distances beside linear codes, the mean spectrum and the ceiling of perfect magnitudes.

    Of these `pca` is of the training items, and `linear` the best that there is of them as they are augmented.
    """

    name: ClassVar[str] = "sounds"
    what: ClassVar[str] = "sound"
    prefix = "audio"
    part: ClassVar[str] = "chunk"
    gap: ClassVar[int] = 1

    @classmethod
    @override
    def fits(cls, signature: Signature) -> bool:
        return signature.kind == "sound"

    @property
    def spectrogram(self) -> SpectrogramCodec:
        """The codec, by its own type."""
        return cast("SpectrogramCodec", self.codec)

    @property
    def sample_rate(self) -> int:
        """In Hz."""
        return round(self.signature.sample_rate or 22050)

    def decibels(self, x: Tensor, level: Tensor | None) -> Tensor:
        """Encoded items `(n, 1, bins, frames)` in dB re 1, at their own or the typical peak level."""
        peak = self.spectrogram.levels(x, level).view(-1, 1, 1, 1)
        return peak + self.spectrogram.floor_db * (x.clamp(0, 1) - 1)

    @override
    def quick_measures(self, examined: Examined, data: DataModule) -> dict[str, float]:
        from vaelab.metrics.audio import audio_measures

        original = self.decibels(examined.x, examined.level)
        return audio_measures(original, self.decibels(examined.reconstruction, examined.level))

    @override
    def measures(self, examined: Examined, data: DataModule) -> dict[str, float]:
        original, size = self.decibels(examined.x, examined.level), examined.code.shape[1]
        key = ("audio", len(original), size)
        beside = data.once(key, lambda: self._baselines(examined, original, size, data))
        return self.quick_measures(examined, data) | beside

    def _baselines(self, examined: Examined, original: Tensor, size: int, data: DataModule) -> dict[str, float]:
        from vaelab.metrics.audio import audio_baselines, audio_measures, griffin_lim_ceiling

        seen = data.batch("train", BASELINE_ITEMS)
        train = self.decibels(seen.x, seen.level)
        raw = data.items.raw[examined.item]
        ceiling = griffin_lim_ceiling(raw, self.spectrogram.n_fft, self.spectrogram.hop_length)
        code = data.linear_code(size)
        restored = self.decibels(code.restore(code.project(examined.x)), examined.level)
        linear = audio_measures(original, restored, "baseline/linear_")
        return audio_baselines(original, train, size) | linear | ceiling

    @override
    def fill_measures(self, filled: Tensor, true: Tensor, hidden: Tensor) -> dict[str, float]:
        """In decibels, too: the root mean square error."""
        measures = super().fill_measures(filled.clamp(0, 1), true, hidden)
        return measures | {"masked_error_db": self.spectrogram.floor_db * measures["masked_error"] ** 0.5}

    @override
    def figures(self, examined: Examined, model: Model) -> dict[str, Figure]:
        from vaelab.figures.spectrograms import spectrogram_pairs

        original = self.decibels(examined.x, examined.level)
        reconstruction = self.decibels(examined.reconstruction, examined.level)
        pairs = spectrogram_pairs(original, reconstruction, self.sample_rate, self.spectrogram.hop_length)
        return {"reconstructions": pairs}

    @override
    def sample_figure(self, x: Tensor) -> Figure | None:
        from vaelab.figures.spectrograms import spectrogram_grid

        return spectrogram_grid(self.decibels(x, None)[:8], self.sample_rate, self.spectrogram.hop_length)

    @override
    def fill_figure(self, x: Tensor, hidden: Tensor, filled: Tensor, level: Tensor | None) -> Figure | None:
        from vaelab.figures.pictures import filled_pictures
        from vaelab.figures.sheets import spectrogram_pictures

        # On one scale, high frequencies above.
        both = torch.cat([self.decibels(x, level)[:8], self.decibels(filled, level)[:8]])
        original, made = torch.from_numpy(spectrogram_pictures(both)).chunk(2)
        return filled_pictures(original, hidden[:8].flip(-2), made)

    def drawable(self, x: Tensor, level: Tensor | None) -> Tensor:
        """Spectrograms as pictures."""
        from vaelab.figures.sheets import spectrogram_pictures

        decibels = self.decibels(x, level)
        size = min(decibels.shape[-2], FINEST), min(decibels.shape[-1], FINEST)
        return torch.from_numpy(spectrogram_pictures(torch.nn.functional.adaptive_avg_pool2d(decibels, size)))

    def sounds(self, x: Tensor, level: Tensor | None) -> list[Sound]:
        """Waves by Griffin–Lim, each turned down only where it would clip."""
        waves = self.codec.decode(x, level)[:, 0]
        return [Sound(wave / torch.clamp(wave.abs().max(), min=1.0), self.sample_rate) for wave in waves]

    def streamed(self, x: Tensor) -> Tensor:
        """As they are heard, within [−1, 1]."""
        waves = [sound.wave for sound in self.sounds(x, None)]
        return torch.stack(waves)[:, None] if waves else x.new_empty(0, *self.signature.raw_shape)

    @override
    def read(self, file: str | Path) -> Tensor:
        from vaelab.dataset.audio_folder import read_recording

        return read_recording(file, self.signature)

    @classmethod
    @override
    def files(cls) -> tuple[frozenset[str], str]:
        from vaelab.dataset import audio_folder

        return audio_folder.SUFFIXES, "recordings"
