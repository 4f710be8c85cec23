"""Pictures of which each channel is one of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from vaelab.kind.base import BASELINE_ITEMS
from vaelab.kind.pictures import Pictures

if TYPE_CHECKING:
    from vaelab.data.items import Signature
    from vaelab.data.module import DataModule
    from vaelab.metrics.features import Features


class Stacks(Pictures):
    """Pictures whose channels have a known class each: all combinations of these are the modes.

    New ones are judged by the modes that they come from, as a classifier of single channels tells them, beside those of
    the one Gaussian with the training pictures' mean and covariance, and training pictures.
    """

    name: ClassVar[str] = "stacks"
    what: ClassVar[str] = "pictures whose channels are pictures of their own"
    samples: ClassVar[int] = 26_000  # as in Lin et al. 2018, section 4.2

    @classmethod
    @override
    def fits(cls, signature: Signature) -> bool:
        return super().fits(signature) and "stacked" in signature.facts

    def _fitted_features(self, data: DataModule) -> Features:
        """Those of each channel, by a classifier of single ones."""
        from vaelab.metrics.features import Classifier, Stacked, parted

        channels, classes = self.signature.raw_shape[0], int(self.signature.facts["stacked"])

        def each(split: str) -> tuple[Tensor, Tensor]:
            batch = data.batch(split, BASELINE_ITEMS // channels)
            return parted(batch.target), torch.stack([*data.factors(batch.item).values()], 1).flatten()

        one = Classifier(*each("train"), classes, self.seed).measured(*each("test"))
        return Stacked(one, channels)

    @override
    def sample_measures(self, x: Tensor, item: Tensor, data: DataModule) -> dict[str, float]:
        from vaelab.metrics.modes import spread

        features = self.features(data)
        return spread(features.told(x), features.classes)

    @override
    def sample_baselines(self, item: Tensor, data: DataModule) -> dict[str, float]:
        return data.once(("stacks", self.seed), lambda: self._beside(data))

    def _beside(self, data: DataModule) -> dict[str, float]:
        from vaelab.metrics.baseline import gaussian_samples

        drawn = data.batch("train", self.samples).target
        sets = {
            "baseline/gaussian": gaussian_samples(drawn, len(drawn), self.seed),
            "ceiling/train": drawn,
        }
        told = {name: self.sample_measures(x, drawn, data) for name, x in sets.items()}
        return {f"{name}_{measure}": value for name, of in told.items() for measure, value in of.items()}
