"""The denoising autoencoder: a noisy trace in, its clean partner out."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from vaelab.errors import UserError
from vaelab.variants.base import VAE, Examined, Parts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vaelab.data.batch import Batch
    from vaelab.data.module import DataModule
    from vaelab.objectives.base import Drawn


class Denoiser(VAE):
    """Recovers pulses from noise: deterministic with `latent=point`, probabilistic with `latent=gaussian`.

    `peak_weight` adds, per pulse, a cross-entropy in nats on where the recovered trace is largest, scaled by the
    number of samples so that it stands beside a log-likelihood summed over them.
    """

    kinds: ClassVar[tuple[str, ...]] = ("trace",)
    monitor: ClassVar[tuple[str, str]] = ("val/error", "min")
    name: ClassVar[str] = "denoiser"
    prefix: ClassVar[str] = "radio"
    hint: ClassVar[str] = "use variant=signal for signals, image for pictures, spectrogram for sound"

    def __init__(self, parts: Parts, *, peak_weight: float = 0.3) -> None:
        super().__init__(parts)
        if peak_weight < 0:
            raise UserError(f"variant.peak_weight must not be negative, not {peak_weight}")
        self.peak_weight = peak_weight
        # How sharply the largest sample counts; learnt, since it depends on the data's scale.
        self.sharpness = torch.nn.Parameter(torch.tensor(10.0))

    def loss(self, batch: Batch, drawn: Drawn, params: Tensor) -> Tensor:  # noqa: D102
        loss = super().loss(batch, drawn, params)
        return loss + self.peak_weight * self._peak_loss(batch, params) if self.peak_weight else loss

    def _peak_loss(self, batch: Batch, params: Tensor) -> Tensor:
        recovered, target = self.likelihood.mean(params).flatten(1).abs(), batch.target.flatten(1).abs()
        target = target.repeat(len(recovered) // len(target), 1)
        pulse = target.amax(1) > 0
        loss = F.cross_entropy(self.sharpness * recovered, target.argmax(1), reduction="none")
        return target.shape[1] * (loss * pulse).sum() / pulse.sum().clamp(min=1)

    def measures(self, examined: Examined, data: DataModule) -> dict[str, float]:  # noqa: D102
        from vaelab.metrics.radio import radio_baselines, radio_measures

        index, train = data.index["test"][: len(examined.x)], data.index["train"]
        noisy, clean = data.items.raw[index], self._clean(data)[index]
        recovered = self.codec.decode(examined.reconstruction, examined.level)
        factors = data.factors("test")
        snr, pulse = factors["snr"][: len(index)], factors["is_pulse"][: len(index)]
        rate = self.signature.sample_rate or 1.0
        baselines = radio_baselines(noisy, clean, data.items.raw[train], self._clean(data)[train], rate, snr, pulse)
        return radio_measures(noisy, clean, recovered, snr, pulse, rate) | baselines

    @staticmethod
    def _clean(data: DataModule) -> Tensor:
        assert data.items.clean is not None
        return data.items.clean

    def figures(self, examined: Examined) -> dict[str, Figure]:  # noqa: D102
        from vaelab.figures.traces import trace_rows, trace_spectra

        noisy, clean, recovered = (
            self.codec.decode(x, examined.level) for x in (examined.x, examined.target, examined.reconstruction)
        )
        rate = self.signature.sample_rate
        return {
            "recovered": trace_rows(noisy, clean, recovered, rate, count=4),
            "spectra": trace_spectra(clean, recovered, noisy, rate),
        }

    def sample_figure(self, x: Tensor) -> Figure | None:  # noqa: D102
        from vaelab.figures.waves import wave_samples

        return wave_samples(self.codec.decode(x), sample_rate=self.signature.sample_rate)
