"""Autoencoders of pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from vaelab.variant.base import BASELINE_ITEMS, VAE, Examined

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vaelab.data.module import DataModule

Truth = tuple[Tensor, list[str]]


class ImageVAE(VAE):
    """Pictures in [0, 1], judged by PSNR, SSIM and sharpness beside PCA with as many components.

    Where the truth behind the pictures is known, how well the code's dimensions stand for it is measured, too.
    """

    kinds: ClassVar[tuple[str, ...]] = ("picture",)
    name: ClassVar[str] = "image"
    prefix: ClassVar[str] = "image"
    hint: ClassVar[str] = "use variant=signal for signals, spectrogram for sound, denoiser for noisy traces"

    def measures(self, examined: Examined, data: DataModule) -> dict[str, float]:  # noqa: D102
        from vaelab.metrics.disentanglement import disentanglement_measures
        from vaelab.metrics.picture import picture_measures

        x, truth = examined.x, _truth(data, examined.item)
        found = picture_measures(x, examined.reconstruction)
        if truth is not None:
            found |= disentanglement_measures(examined.code, *truth, self.seed)
        key = ("image", len(x), self.latent.code_size)
        return found | data.once(key, lambda: self._baselines(x, truth, data))

    def _baselines(self, x: Tensor, truth: Truth | None, data: DataModule) -> dict[str, float]:
        """PCA's pictures, and where the truth is known its code, beside the net's."""
        from vaelab.metrics.baseline import pca_codes
        from vaelab.metrics.disentanglement import disentanglement_measures
        from vaelab.metrics.picture import picture_baselines

        train, size = data.batch("train", BASELINE_ITEMS).x, self.latent.code_size
        found = picture_baselines(x, train, size)
        linear = {} if truth is None else disentanglement_measures(pca_codes(train, x, size), *truth, self.seed)
        return found | {f"baseline/pca_{name}": value for name, value in linear.items()}

    def quick_measures(self, examined: Examined, data: DataModule) -> dict[str, float]:
        """PSNR alone: the others take a second to import."""
        from vaelab.metrics.picture import psnr_db

        return {"psnr_db": float(psnr_db(examined.reconstruction, examined.x).mean())}

    def figures(self, examined: Examined) -> dict[str, Figure]:  # noqa: D102
        from vaelab.figures.pictures import picture_pairs

        return {"reconstructions": picture_pairs(examined.x, examined.reconstruction.clamp(0, 1))}

    def sample_figure(self, x: Tensor) -> Figure | None:  # noqa: D102
        from vaelab.figures.pictures import picture_grid

        return picture_grid(x.clamp(0, 1))

    def path_figure(self, x: Tensor) -> Figure | None:  # noqa: D102
        from vaelab.figures.pictures import picture_path

        return picture_path(x.clamp(0, 1))


def _truth(data: DataModule, item: Tensor) -> Truth | None:
    """The known factors `(items, factors)` of some items and their names, if there are enough to be scored."""
    from vaelab.metrics.disentanglement import scorable

    truth = data.factors(item)
    return (torch.stack(list(truth.values()), dim=1), list(truth)) if truth and scorable(truth, len(item)) else None
