"""Bottles: silhouettes whose factors are known, each design in several zooms."""

from dataclasses import dataclass

import numpy as np
import torch

from vaelab.data.items import Items
from vaelab.errors import UserError
from vaelab.memory import NUMBER, check_size
from vaelab.seeding import stream_seed
from vaelab.simulators.bottles import bottle_design, bottles


@dataclass
class Bottles:
    """Silhouettes of bottles, each design drawn out and pressed together at random along both axes.

    Attributes:
        designs: how many different bottles.
        zooms: pictures of each, enlarged .7 to 1.3 times in width and, by itself, in height.
        size: side of a picture in pixels, a multiple of four; the bottle stands in its middle half.
        seed: decides the factors; a design stays the same when more of them are asked for.
    """

    designs: int = 400
    zooms: int = 10
    size: int = 128
    seed: int = 0

    def load(self) -> Items:
        """Pictures `(items, 1, size, size)` uint8; those of one design share a group.

        Factors, float32: `height` and `width` as they are seen, in sides of the picture, and with them `zoom_y` and
        `zoom_x`, which they contain; the others of `simulators.bottles.RANGES`. Raises `UserError` if there is nothing
        to make, or the pictures are too small.
        """
        if self.designs < 1 or self.zooms < 1:
            raise UserError(f"designs={self.designs} zooms={self.zooms}: give at least one of each")
        needed = NUMBER * self.designs * self.zooms * self.size**2
        check_size(needed, "dataset.designs", "dataset.zooms", "dataset.size")
        drawn = [bottle_design(self._chance(k), self.zooms) for k in range(self.designs)]
        factors = {name: np.concatenate([design[name] for design in drawn]) for name in drawn[0]}
        raw = torch.from_numpy(bottles(factors, size=self.size))
        group = torch.arange(self.designs).repeat_interleave(self.zooms)
        return Items("picture", raw, group=group, factors={k: torch.from_numpy(v) for k, v in factors.items()})

    def _chance(self, design: int) -> np.random.Generator:
        return np.random.default_rng(stream_seed("data", self.seed, design))
