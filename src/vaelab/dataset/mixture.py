"""Points of a mixture of normals in the plane, whose modes are known."""

from dataclasses import dataclass

from vaelab.data.items import Items
from vaelab.errors import UserError
from vaelab.memory import NUMBER, check_size
from vaelab.seeding import generator
from vaelab.simulators.mixture import USUAL, Layout, centres, mixture_points


@dataclass
class Mixture:
    """Points of a ring of 8 or a grid of 25 normals (Lin et al. 2018, section 4.1), all equally probable.

    Attributes:
        layout: of the means: `ring`, a circle of radius 1, or `grid`, a square one of spacing 2.
        points: how many.
        modes: how many; None for 8 on the ring and 25 on the grid.
        std: of each mode along each axis; None for 0.01 on the ring and 0.05 on the grid, times `scale`.
        scale: how many times further apart the means are.
        seed: decides the points.
    """

    layout: Layout = "grid"
    points: int = 100_000
    modes: int | None = None
    std: float | None = None
    scale: float = 1.0
    seed: int = 0

    def load(self) -> Items:
        """Points `(items, 2, 1)` float32, labelled by mode, with the facts `ring` or `grid` (modes), `std` and `scale`.

        Raises `UserError` if a setting is outside its range.
        """
        if self.points < 1:
            raise UserError(f"points={self.points}: give at least one")
        check_size(NUMBER * 2 * self.points, "dataset.points")
        usual, width = USUAL.get(self.layout, (1, 1.0))
        if not 0 < self.scale < float("inf"):
            raise UserError(f"scale={self.scale}: it must be above 0")
        modes, std = usual if self.modes is None else self.modes, self.scale * width if self.std is None else self.std
        if not 0 < std < float("inf"):
            raise UserError(f"std={std}: it must be above 0")
        check_size(NUMBER * 2 * modes, "dataset.modes")
        means = self.scale * centres(self.layout, modes)
        points, mode = mixture_points(means, std, self.points, generator("data", self.seed))
        names = tuple(map(str, range(modes)))
        facts = {str(self.layout): float(modes), "std": float(std), "scale": float(self.scale)}
        return Items("signal", points[:, :, None], label=mode, label_names=names, facts=facts)
