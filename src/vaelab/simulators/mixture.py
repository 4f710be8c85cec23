"""Mixtures of equal normals in the plane, whose modes are known: what models that lose modes are tried on."""

from math import isqrt, pi
from typing import Literal, get_args

import torch
from torch import Tensor

from vaelab.errors import UserError

Layout = Literal["ring", "grid"]
# As in Lin et al. 2018, section 4.1, and before them: how many modes there are, and how wide each is.
USUAL: dict[Layout, tuple[int, float]] = {"ring": (8, 0.01), "grid": (25, 0.05)}
RADIUS, SPACING = 1.0, 2.0


def centres(layout: Layout, modes: int) -> Tensor:
    """The means `(modes, 2)` float32: on a circle of radius 1, or on a square grid around 0 whose points are 2 apart.

    Raises:
        UserError: if there is no such layout, or no grid of so many modes.
    """
    if layout not in get_args(Layout):
        raise UserError(f"layout={layout}: give ring or grid")
    if modes < 1:
        raise UserError(f"modes={modes}: give at least one")
    if layout == "ring":
        turn = torch.arange(modes, dtype=torch.float64) * (2 * pi / modes)
        return RADIUS * torch.stack([turn.cos(), turn.sin()], 1).float()
    side = isqrt(modes)
    if side**2 != modes:
        raise UserError(f"modes={modes} fill no square grid: give {side**2} or {(side + 1) ** 2}, or layout=ring")
    along = SPACING * (torch.arange(side) - (side - 1) / 2)
    return torch.cartesian_prod(along, along)


def mixture_points(means: Tensor, std: float, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw `n` points of equally probable round normals: `(n, 2)` float32, and the number of each one's mode `(n,)`.

    Args:
        means: `(modes, 2)`.
        std: along each axis.
        n: how many to draw.
        generator: of the draws.
    """
    mode = torch.randint(len(means), (n,), generator=generator)
    return means[mode] + std * torch.randn(n, 2, generator=generator), mode
