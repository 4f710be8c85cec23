"""Points in the plane."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

import torch
from torch import Tensor
from typing_extensions import override

from vaelab.kind.base import Examined, Model
from vaelab.kind.signals import Signals

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vaelab.data.items import Signature
    from vaelab.data.module import DataModule

PIXELS, REACH = 24, 2.5  # a side of a point's small picture, and how far it goes, in the encoded data's units


class Truth(NamedTuple):
    """The means `(modes, 2)` of equal normals, and how wide each is along each axis."""

    means: Tensor
    std: float


class Points(Signals):
    """Points as signals of two channels and no time.

    Where they are known to be a mixture of normals, new ones are judged by the modes that they come from, beside those
    of the one Gaussian with the training points' mean and covariance, and training points.
    """

    name: ClassVar[str] = "points"
    what: ClassVar[str] = "points in the plane"
    prefix = "point"
    samples: ClassVar[int] = 2500  # as in Lin et al. 2018

    @classmethod
    @override
    def fits(cls, signature: Signature) -> bool:
        return super().fits(signature) and signature.raw_shape == (2, 1) and signature.sample_rate is None

    @property
    def truth(self) -> Truth | None:
        """The mixture that the points are of, where it is known."""
        from vaelab.simulators.mixture import USUAL, centres

        facts = self.signature.facts
        layout = next((name for name in USUAL if name in facts), None)
        if layout is None:
            return None
        # Runs of data that had no scale yet are of scale 1.
        return Truth(facts.get("scale", 1.0) * centres(layout, int(facts[layout])), facts["std"])

    # Measures -----------------------------------------------------------------------------------------------------

    @override
    def sample_measures(self, x: Tensor, item: Tensor, data: DataModule) -> dict[str, float]:
        return self._mode_measures(self.codec.decode(x))

    @override
    def distances(self, x: Tensor, true: Tensor) -> dict[str, float]:
        """`w2`, the 2-Wasserstein distance in the user's units."""
        from vaelab.metrics.samples import wasserstein_distance

        return {"w2": wasserstein_distance(self._plane(x), self._plane(true))}

    @override
    def sample_baselines(self, item: Tensor, data: DataModule) -> dict[str, float]:
        return data.once(("points", self.seed), lambda: self._beside(data))

    def _beside(self, data: DataModule) -> dict[str, float]:
        from vaelab.metrics.baseline import gaussian_samples

        train, drawn = (data.items.raw[rows] for rows in (data.index["train"], data.drawn("train", self.samples)))
        sets = {"baseline/gaussian": gaussian_samples(train, len(drawn), self.seed), "ceiling/train": drawn}
        told = {name: self._mode_measures(raw) for name, raw in sets.items()}
        return {f"{name}_{measure}": value for name, of in told.items() for measure, value in of.items()}

    def _mode_measures(self, raw: Tensor) -> dict[str, float]:
        from vaelab.metrics.modes import mode_measures

        return {} if self.truth is None else mode_measures(raw.flatten(1), *self.truth)

    # Figures ------------------------------------------------------------------------------------------------------

    @override
    def figures(self, examined: Examined, model: Model) -> dict[str, Figure]:
        from vaelab.figures.points import point_pairs

        return {"reconstructions": point_pairs(self._plane(examined.x), self._plane(examined.reconstruction))}

    def sample_figures(self, x: Tensor, true: Tensor) -> dict[str, Figure]:
        """New points over true ones, with the modes that they miss."""
        from vaelab.figures.points import point_scatter

        return {"points": point_scatter(self._plane(x), self._plane(true), *(self.truth or ()))}

    @override
    def sample_figure(self, x: Tensor) -> Figure | None:
        from vaelab.figures.points import point_scatter

        return point_scatter(self._plane(x))

    @override
    def path_figure(self, x: Tensor) -> Figure | None:
        from vaelab.figures.points import point_path

        return point_path(self._plane(x))

    def drawable(self, x: Tensor, level: Tensor | None) -> Tensor:
        """Small pictures of the plane, with a spot where the point lies."""
        along = torch.linspace(-REACH, REACH, PIXELS)
        across, up = torch.exp(-((x - along) * PIXELS / (2 * REACH)).square() / 2).unbind(1)
        return (up.flip(1)[:, :, None] * across[:, None])[:, None]

    def _plane(self, x: Tensor) -> Tensor:
        return self.codec.decode(x).flatten(1)
