"""Galaxies: colour pictures of three classes, of which is known how each galaxy lies and what it is made of."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vaelab.data.items import Items
from vaelab.errors import UserError
from vaelab.memory import NUMBER, check_size
from vaelab.seeding import stream_seed
from vaelab.simulators.galaxies import CLASSES, Galaxy, drawn_galaxy, galaxy_picture

# A position angle comes back after half a turn: its double has a cosine and a sine that do, too.
QUANTITIES = ("radius", "axis_ratio", "bulge", "redness", "brightness")


@dataclass
class Galaxies:
    """Barred spirals, ellipticals and spirals in turn, as a survey sees them.

    Attributes:
        items: how many, all classes together.
        size: side of a picture in pixels.
        seed: decides all; a galaxy stays the same when more of them are asked for.
    """

    items: int = 3000
    size: int = 128
    seed: int = 0

    def load(self) -> Items:
        """Pictures `(items, 3, size, size)` uint8, labelled by class.

        Factors, float32: `radius`, `axis_ratio`, `bulge`, `redness` and `brightness` as `simulators.galaxies.Galaxy`
        has them, and `position_cos` and `position_sin`, of twice the position angle. Raises `UserError` if there is
        nothing to make, or the pictures are too small.
        """
        if self.items < 1:
            raise UserError(f"items={self.items}: give at least one")
        check_size(NUMBER * self.items * 3 * self.size**2, "dataset.items", "dataset.size")
        made = [self._made(k) for k in range(self.items)]
        galaxies = [galaxy for galaxy, _ in made]
        label = torch.tensor([galaxy.label for galaxy in galaxies])
        raw = torch.from_numpy(np.stack([picture for _, picture in made]))
        return Items("picture", raw, label=label, label_names=CLASSES, factors=factors_of(galaxies))

    def _made(self, number: int) -> tuple[Galaxy, np.ndarray]:
        chance = np.random.default_rng(stream_seed("data", self.seed, number))
        galaxy = drawn_galaxy(number % len(CLASSES), chance)
        return galaxy, galaxy_picture(galaxy, self.size, chance)


def factors_of(galaxies: list[Galaxy]) -> dict[str, Tensor]:
    """What is known of galaxies, name to `(n,)` float32."""
    factors = {name: torch.tensor([getattr(galaxy, name) for galaxy in galaxies]) for name in QUANTITIES}
    angle = torch.tensor([2 * galaxy.position_angle for galaxy in galaxies])
    return factors | {"position_cos": angle.cos(), "position_sin": angle.sin()}
