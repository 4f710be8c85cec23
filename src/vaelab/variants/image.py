"""Autoencoders of pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from vaelab.variants.base import BASELINE_ITEMS, VAE, Examined

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vaelab.data.module import DataModule


class ImageVAE(VAE):
    """Pictures in [0, 1], judged by PSNR, SSIM and sharpness beside PCA with as many components."""

    kinds: ClassVar[tuple[str, ...]] = ("picture",)
    name: ClassVar[str] = "image"
    prefix: ClassVar[str] = "image"
    hint: ClassVar[str] = "use variant=signal for signals, spectrogram for sound, denoiser for noisy traces"

    def measures(self, examined: Examined, data: DataModule) -> dict[str, float]:  # noqa: D102
        from vaelab.metrics.picture import picture_measures

        train = data.first("train", BASELINE_ITEMS).x
        return picture_measures(examined.x, examined.reconstruction, train, self.latent.code_size)

    def figures(self, examined: Examined) -> dict[str, Figure]:  # noqa: D102
        from vaelab.figures.pictures import picture_pairs

        return {"reconstructions": picture_pairs(examined.x, examined.reconstruction.clamp(0, 1))}

    def sample_figure(self, x: Tensor) -> Figure | None:  # noqa: D102
        from vaelab.figures.pictures import picture_grid

        return picture_grid(x.clamp(0, 1))

    def path_figure(self, x: Tensor) -> Figure | None:  # noqa: D102
        from vaelab.figures.pictures import picture_path

        return picture_path(x.clamp(0, 1))
