"""Pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from vaelab.kind.base import BASELINE_ITEMS, Codes, Examined, Kind

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vaelab.data.items import Signature
    from vaelab.data.module import DataModule
    from vaelab.kind.base import Model

Truth = tuple[Tensor, list[str]]


class Pictures(Kind):
    """Pictures in [0, 1], judged by PSNR, SSIM and sharpness beside linear codes of the same size.

    Of these `pca` is of the training pictures, `dct` their frequencies of most variance, and `linear` the best that
    there is of training pictures as they are augmented (`DataModule.linear_code`).

    Where the truth behind the pictures is known, how well the code's dimensions stand for it is measured, too; of
    silhouettes, also their common area and their edges.
    """

    name: ClassVar[str] = "pictures"
    what: ClassVar[str] = "pictures"
    prefix = "image"

    @classmethod
    @override
    def fits(cls, signature: Signature) -> bool:
        return signature.kind == "picture"

    @override
    def measures(self, examined: Examined, data: DataModule) -> dict[str, float]:
        from vaelab.metrics.picture import picture_baselines, picture_measures

        x, size = examined.x, examined.code.shape[1]

        def beside() -> dict[str, float]:
            # What is told of PCA is of training pictures as they are; of the others, as they are augmented.
            codes = {"dct": data.cosine_code(size), "linear": data.linear_code(size)}
            return picture_baselines(x, data.batch("train", BASELINE_ITEMS).x, size, codes)

        return picture_measures(x, examined.reconstruction) | data.once(("image", len(x), size), beside)

    def quick_measures(self, examined: Examined, data: DataModule) -> dict[str, float]:
        """PSNR alone: the others take a second to import."""
        from vaelab.metrics.picture import psnr_db

        return {"psnr_db": float(psnr_db(examined.reconstruction, examined.x).mean())}

    @override
    def fill_measures(self, filled: Tensor, true: Tensor, hidden: Tensor) -> dict[str, float]:
        from vaelab.metrics.inpainting import hidden_errors, hidden_psnr_db

        # Outside [0, 1] there is no picture.
        error = hidden_errors(filled.clamp(0, 1), true, hidden)
        return {"masked_error": float(error.mean()), "masked_psnr_db": hidden_psnr_db(error)}

    def code_measures(self, test: Codes, train: Callable[[], Codes], data: DataModule) -> dict[str, float]:
        """How well dimensions stand for the known factors, and what the code tells of quantities, beside PCA."""
        return self._disentanglement(test, data) | self._told_quantities(test, train, data)

    def _disentanglement(self, test: Codes, data: DataModule) -> dict[str, float]:
        from vaelab.metrics.disentanglement import disentanglement_measures

        truth = _truth(data, test.item)
        if truth is None:
            return {}
        key = ("factors", len(test.item), test.code.shape[1])
        beside = data.once(key, lambda: self._linear_code(test, truth, data))
        return disentanglement_measures(test.code, *truth, self.seed) | beside

    def _linear_code(self, test: Codes, truth: Truth, data: DataModule) -> dict[str, float]:
        from vaelab.metrics.baseline import pca_codes
        from vaelab.metrics.disentanglement import disentanglement_measures

        train = data.batch("train", BASELINE_ITEMS).x
        codes = pca_codes(train, data.rows(test.item).x, test.code.shape[1])
        linear = disentanglement_measures(codes, *truth, self.seed)
        return {f"baseline/pca_{name}": value for name, value in linear.items()}

    def _told_quantities(self, test: Codes, train: Callable[[], Codes], data: DataModule) -> dict[str, float]:
        """R² of those factors that are no numbers of classes."""
        from vaelab.metrics.probe import pca_codes_of_both, quantities_r2

        known = _quantities(data, test.item)
        if not known:
            return {}
        seen = train()
        truth = _quantities(data, seen.item)

        def beside() -> dict[str, float]:
            linear = pca_codes_of_both(data.rows(seen.item).x, data.rows(test.item).x, test.code.shape[1])
            told = quantities_r2(linear[0], truth, linear[1], known, self.seed)
            return {f"baseline/pca_{name}": value for name, value in told.items()}

        key = ("quantities", len(test.item), test.code.shape[1])
        return quantities_r2(seen.code, truth, test.code, known, self.seed) | data.once(key, beside)

    @override
    def figures(self, examined: Examined, model: Model) -> dict[str, Figure]:
        from vaelab.figures.pictures import picture_pairs

        return {"reconstructions": picture_pairs(examined.x, examined.reconstruction.clamp(0, 1))}

    @override
    def sample_figure(self, x: Tensor) -> Figure | None:
        from vaelab.figures.pictures import picture_grid

        return picture_grid(x.clamp(0, 1))

    @override
    def fill_figure(self, x: Tensor, hidden: Tensor, filled: Tensor, level: Tensor | None) -> Figure | None:
        from vaelab.figures.pictures import filled_pictures

        return filled_pictures(x, hidden, filled)

    @override
    def path_figure(self, x: Tensor) -> Figure | None:
        from vaelab.figures.pictures import picture_path

        return picture_path(x.clamp(0, 1))

    @override
    def drawable(self, x: Tensor, level: Tensor | None) -> Tensor:
        return x.clamp(0, 1)

    @override
    def sprites(self, x: Tensor) -> Tensor | None:
        return x.clamp(0, 1)

    @override
    def read(self, file: str | Path) -> Tensor:
        from vaelab.dataset.image_folder import read_picture

        return read_picture(file, self.signature)

    @classmethod
    @override
    def files(cls) -> tuple[frozenset[str], str]:
        from vaelab.dataset import image_folder

        return image_folder.SUFFIXES, "pictures"


def _quantities(data: DataModule, item: Tensor) -> dict[str, Tensor]:
    """The known factors of some items that are measured and not counted, name to `(items,)`."""
    return {name: values for name, values in data.factors(item).items() if values.is_floating_point()}


def _truth(data: DataModule, item: Tensor) -> Truth | None:
    """The known factors `(items, factors)` of some items and their names, if there are enough to be scored."""
    from vaelab.metrics.disentanglement import scorable

    truth = data.factors(item)
    return (torch.stack(list(truth.values()), dim=1), list(truth)) if truth and scorable(truth, len(item)) else None
