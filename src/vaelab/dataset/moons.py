"""Points along two half circles in the plane, each of which reaches into the other."""

from dataclasses import dataclass

import torch

from vaelab.data.items import Items
from vaelab.errors import UserError
from vaelab.memory import NUMBER, check_size
from vaelab.seeding import short_seed

SHIFT = 1.0  # as Tong et al. 2024 have it


@dataclass
class Moons:
    """The two moons of scikit-learn, 3 times as large and 1 further to the left and down (Tong et al. 2024).

    Attributes:
        points: how many, half of them in each moon.
        noise: standard deviation of what is added to each point along each axis.
        scale: radius of the half circles.
        seed: decides the points.
    """

    points: int = 20_000
    noise: float = 0.15
    scale: float = 3.0
    seed: int = 0

    def load(self) -> Items:
        """Points `(items, 2, 1)` float32, labelled by moon. Raises `UserError` if a setting is outside its range."""
        from sklearn.datasets import make_moons

        if self.points < 1:
            raise UserError(f"points={self.points}: give at least one")
        if not 0 <= self.noise < float("inf"):
            raise UserError(f"noise={self.noise}: it must not be negative")
        if not 0 < self.scale < float("inf"):
            raise UserError(f"scale={self.scale}: it must be above 0")
        check_size(NUMBER * 2 * self.points, "dataset.points")
        chance = short_seed("data", self.seed)
        points, moon = make_moons(self.points, noise=self.noise / self.scale, random_state=chance)
        raw = torch.from_numpy(self.scale * points - SHIFT).float()
        return Items("signal", raw[:, :, None], label=torch.from_numpy(moon), label_names=("upper", "lower"))
