"""Sprites: pictures whose five factors of variation are known, to measure disentanglement on."""

from dataclasses import dataclass

from vaelab.data.items import Items
from vaelab.errors import UserError
from vaelab.memory import NUMBER, check_size
from vaelab.seeding import generator
from vaelab.simulators.sprites import SHAPES, sprite_factors, sprite_values, sprites


@dataclass
class Sprites:
    """Squares, ellipses and hearts of every size, orientation and place, drawn uniformly from a grid.

    Attributes:
        items: how many.
        size: side of a picture in pixels.
        seed: decides the factors.
    """

    items: int = 20_000
    size: int = 32
    seed: int = 0

    def load(self) -> Items:
        """Pictures `(items, 1, size, size)` uint8, white on black, labelled by shape.

        Factors `shape`, `scale`, `orientation`, `x`, `y`: the number of the value, int64. Raises `UserError` if
        there is nothing to make, or the pictures are too small.
        """
        if self.items < 1:
            raise UserError(f"items={self.items}: give at least one")
        check_size(NUMBER * self.items * self.size**2, "dataset.items", "dataset.size")
        factors = sprite_factors(self.items, generator("data", self.seed))
        raw = sprites(**sprite_values(factors), size=self.size)
        return Items("picture", raw, label=factors["shape"], label_names=SHAPES, factors=factors)
