"""Sprites: a square, an ellipse or a heart whose five factors are known, after dSprites (Matthey et al. 2017).

Unlike dSprites the edges are antialiased, so that a move of less than a pixel shows, and no orientation stands
twice in the grid. As there, a square looks the same after a quarter turn and an ellipse after half a turn: no
code can tell all orientations, and no score of a learned code reaches 1 on that factor.
"""

from math import pi, sqrt

import torch
from torch import Tensor

from vaelab.errors import UserError

SHAPES = ("square", "ellipse", "heart")
GRID = {"shape": len(SHAPES), "scale": 6, "orientation": 40, "x": 16, "y": 16}  # values of each factor

RADIUS = 0.22  # of the circle around a shape of scale 1, in sides of the picture
MARGIN = 0.25  # between the border and the outermost centres, in sides of the picture: no sprite is cut
ELLIPSE = (1.0, 0.5)  # semi-axes, in radii
BLOCK = 1_000  # pictures drawn at once, to stay near the cache


def sprites(shape: Tensor, scale: Tensor, orientation: Tensor, x: Tensor, y: Tensor, *, size: int = 32) -> Tensor:
    """Draw white shapes on black.

    Args:
        shape: `(n,)` int64, number in `SHAPES`.
        scale: `(n,)` above 0 and at most 1, the length in proportion to that of the largest sprite.
        orientation: `(n,)` in radians, clockwise as seen; a heart of orientation 0 stands on its tip.
        x: `(n,)` in [0, 1], from left to right; the centre of mass moves over the inner half of the picture.
        y: `(n,)` in [0, 1], from top to bottom, likewise.
        size: side of a picture in pixels.

    Returns:
        `(n, 1, size, size)` uint8.

    Raises:
        UserError: if a value is outside its range, or the picture too small to tell shapes.
    """
    _check(shape, scale, x, y, size)
    blocks = map(slice, range(0, len(shape), BLOCK), range(BLOCK, len(shape) + BLOCK, BLOCK))
    return torch.cat([_draw(shape[b], scale[b], orientation[b], x[b], y[b], size) for b in blocks])


def sprite_factors(n: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Draw `n` points of `GRID` uniformly: the number of each factor's value, name to `(n,)` int64."""
    return {name: torch.randint(values, (n,), generator=generator) for name, values in GRID.items()}


def sprite_values(factors: dict[str, Tensor]) -> dict[str, Tensor]:
    """What `sprites` draws for these numbers of values: name to `(n,)`, all but the shape float32."""
    step = {name: factors[name].float() / (values - 1) for name, values in GRID.items()}
    return {
        "shape": factors["shape"],
        "scale": 0.5 + 0.5 * step["scale"],
        "orientation": factors["orientation"] * (2 * pi / GRID["orientation"]),  # the full turn is left out
        "x": step["x"],
        "y": step["y"],
    }


def _check(shape: Tensor, scale: Tensor, x: Tensor, y: Tensor, size: int) -> None:
    faults = {
        f"size={size}: shapes need at least 16 pixels": size < 16,
        f"shape: choose numbers of {', '.join(SHAPES)}": not _within(shape, 0, len(SHAPES) - 1),
        "scale: it must be above 0 and at most 1": not (_within(scale, 0, 1) and (scale > 0).all()),
        "x: it must lie between 0 and 1": not _within(x, 0, 1),
        "y: it must lie between 0 and 1": not _within(y, 0, 1),
    }
    for fault, present in faults.items():
        if present:
            raise UserError(fault)


def _within(values: Tensor, low: float, high: float) -> bool:
    return bool(((values >= low) & (values <= high)).all())


def _draw(shape: Tensor, scale: Tensor, orientation: Tensor, x: Tensor, y: Tensor, size: int) -> Tensor:
    """A pixel is as bright as it is covered, taking the edge that crosses it for straight."""
    radius = (RADIUS * size * scale)[:, None, None]
    u, v = (offset / radius for offset in _offsets(orientation, x, y, size))
    distance = torch.stack([signed(u, v) for signed in (_square, _ellipse, _heart)])
    chosen = distance[shape, torch.arange(len(shape), device=shape.device)]
    return (255 * (0.5 - radius * chosen).clamp(0, 1)).round().to(torch.uint8)[:, None]


def _offsets(orientation: Tensor, x: Tensor, y: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Each pixel's offset from the sprite's centre, in pixels along the sprite's own axes: 2 × `(n, size, size)`."""
    pixel = torch.arange(size, device=x.device) + 0.5
    centre_x, centre_y = (size * (MARGIN + (1 - 2 * MARGIN) * place)[:, None] for place in (x, y))
    right, down = (pixel - centre_x)[:, None, :], (pixel - centre_y)[:, :, None]
    cos, sin = orientation.cos()[:, None, None], orientation.sin()[:, None, None]
    return cos * right + sin * down, cos * down - sin * right


# Signed distances to shapes around their centre of mass in the unit circle, negative inside; u right, v down.


def _box(u: Tensor, v: Tensor, half: float) -> Tensor:
    right, down = u.abs() - half, v.abs() - half
    return torch.hypot(right.clamp_min(0), down.clamp_min(0)) + torch.maximum(right, down).clamp_max(0)


def _square(u: Tensor, v: Tensor) -> Tensor:
    return _box(u, v, sqrt(0.5))


def _ellipse(u: Tensor, v: Tensor) -> Tensor:
    """To first order, which is exact on the edge: f / |∇f| of f = |p / axes| - 1."""
    a, b = ELLIPSE
    level = torch.hypot(u / a, v / b)
    return (level - 1) * level / torch.hypot(u / a**2, v / b**2).clamp_min(1e-6)


def _heart(u: Tensor, v: Tensor) -> Tensor:
    """A square on its tip with a disc on the middle of both upper sides."""
    mass = (pi + 4 / 3) / (sqrt(2) * (4 + pi))  # its centre's height above that of the square of half-side 1
    half = 1 / (sqrt(2) + mass)  # the tip lies on the unit circle
    along, across = (u + v - mass * half) * sqrt(0.5), (v - u - mass * half) * sqrt(0.5)
    right, left = torch.hypot(along, across + half), torch.hypot(along + half, across)
    return torch.minimum(_box(along, across, half), torch.minimum(right, left) - half)
