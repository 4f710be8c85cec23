"""Autoencoders of pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from vaelab.variants.base import BASELINE_ITEMS, VAE, Examined

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vaelab.data.module import DataModule


class ImageVAE(VAE):
    """Pictures in [0, 1], judged by PSNR, SSIM and sharpness beside PCA with as many components.

    Where the truth behind the pictures is known, how well the code's dimensions stand for it is measured, too.
    """

    kinds: ClassVar[tuple[str, ...]] = ("picture",)
    name: ClassVar[str] = "image"
    prefix: ClassVar[str] = "image"
    hint: ClassVar[str] = "use variant=signal for signals, spectrogram for sound, denoiser for noisy traces"

    def measures(self, examined: Examined, data: DataModule) -> dict[str, float]:  # noqa: D102
        from vaelab.metrics.picture import picture_measures

        train = data.first("train", BASELINE_ITEMS).x
        found = picture_measures(examined.x, examined.reconstruction, train, self.latent.code_size)
        return found | self._disentanglement(examined, train, data.factors("test"))

    def _disentanglement(self, examined: Examined, train: Tensor, truth: dict[str, Tensor]) -> dict[str, float]:
        """How the code stands for the known factors, beside PCA's code; nothing where they are not known."""
        from vaelab.metrics.baseline import pca_codes
        from vaelab.metrics.disentanglement import disentanglement_measures, scorable

        truth = {name: values[: len(examined.x)] for name, values in truth.items()}
        if not truth or not scorable(truth, len(examined.x)):
            return {}
        factors, names = torch.stack(list(truth.values()), dim=1), list(truth)
        linear = pca_codes(train, examined.x, self.latent.code_size)
        found = disentanglement_measures(examined.code, factors, names, self.seed)
        beside = disentanglement_measures(linear, factors, names, self.seed)
        return found | {f"baseline/pca_{name}": value for name, value in beside.items()}

    def figures(self, examined: Examined) -> dict[str, Figure]:  # noqa: D102
        from vaelab.figures.pictures import picture_pairs

        return {"reconstructions": picture_pairs(examined.x, examined.reconstruction.clamp(0, 1))}

    def sample_figure(self, x: Tensor) -> Figure | None:  # noqa: D102
        from vaelab.figures.pictures import picture_grid

        return picture_grid(x.clamp(0, 1))

    def path_figure(self, x: Tensor) -> Figure | None:  # noqa: D102
        from vaelab.figures.pictures import picture_path

        return picture_path(x.clamp(0, 1))
