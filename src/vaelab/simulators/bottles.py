"""Bottles: white silhouettes on black whose every measure is known, in the proportions of glass and plastic ones.

A bottle is its half width at every height: a foot that may be narrower than the body, a body that may have a waist, a
shoulder, a neck and a lip. It stands in the middle half of a square picture, as one of 128 × 64 pixels with margins
does, and is antialiased, so that a change of less than a pixel shows.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaelab.errors import UserError

Floats = NDArray[np.floating[Any]]

# What a design is drawn from, uniformly. Height and width are in sides of the picture; enlarged by 1.3 they fit.
RANGES = {
    "height": (0.5, 0.72),
    "width": (0.16, 0.34),
    "neck_width": (0.2, 0.5),  # of the body's
    "neck_length": (0.1, 0.35),  # of the height, as all lengths
    "shoulder_length": (0.06, 0.3),
    "shoulder_exponent": (0.9, 3.5),  # 1: a cone, 2: round, above it square
    "foot": (0.7, 1.0),  # its width by the body's
    "waist": (0.0, 0.2),  # what the body's middle lacks of its width
    "lip": (1.0, 1.35),  # its width by the neck's
}
ZOOM = (0.7, 1.3)  # along each axis by itself
ZOOMED = {"height": "zoom_y", "width": "zoom_x"}

LIP, HEEL = 0.04, 0.03  # lengths of the lip and of the rounded edge that a bottle stands on
FOOT = 0.35  # of the body's length, over which the foot widens
FINER = 4  # rows of a pixel that are looked at
BLOCK = 64  # bottles drawn at once, to stay near the cache
SMALLEST = 16  # pixels a side that still show a neck


def bottle_design(rng: np.random.Generator, zooms: int) -> dict[str, Floats]:
    """Draw the factors of one design that is seen in several zooms: name to `(zooms,)` float32.

    Those of `RANGES`, height and width as they are seen, and the factors `zoom_x` and `zoom_y` that they contain.
    """
    design = {name: np.full(zooms, rng.uniform(*ends)) for name, ends in RANGES.items()}
    design |= {name: rng.uniform(*ZOOM, zooms) for name in ("zoom_x", "zoom_y")}
    design |= {name: design[name] * design[zoom] for name, zoom in ZOOMED.items()}
    return {name: values.astype(np.float32) for name, values in design.items()}


def bottles(factors: Mapping[str, Floats], *, size: int = 128) -> NDArray[np.uint8]:
    """Draw white bottles on black.

    Args:
        factors: those of `RANGES`, name to `(n,)`; height and width in sides of the picture, as they are to be seen.
        size: side of a picture in pixels, a multiple of four.

    Returns:
        `(n, 1, size, size)` uint8.

    Raises:
        UserError: if the pictures are too small to show a neck, or have no middle half of whole pixels.
    """
    if size < SMALLEST or size % 4:
        raise UserError(f"size={size}: bottles need a multiple of 4 pixels, {SMALLEST} or more")
    table = np.stack([factors[name] for name in RANGES], 1).astype(np.float32)
    drawn = np.zeros((len(table), 1, size, size), np.uint8)
    for start in range(0, len(table), BLOCK):
        block = slice(start, start + BLOCK)
        drawn[block, 0, :, size // 4 : -size // 4] = _draw(dict(zip(RANGES, table[block].T, strict=True)), size)
    return drawn


def _draw(factors: dict[str, Floats], size: int) -> NDArray[np.uint8]:
    """The middle half of pictures, `(n, size, size / 2)`: a pixel is as bright as it is covered."""
    row = ((np.arange(size * FINER) + 0.5) / (size * FINER)).astype(np.float32)
    foot = (1 + factors["height"]) / 2  # where it stands, from above: the bottle's middle is the picture's
    half = half_widths((foot[:, None] - row) / factors["height"][:, None], factors) * size
    column = np.arange(size // 4, dtype=np.float32)  # from the axis
    covered = np.clip(half[:, :, None] - column, 0, 1).reshape(len(half), size, FINER, -1).mean(2)
    right = np.round(255 * covered).astype(np.uint8)
    return np.concatenate([right[:, :, ::-1], right], axis=2)


def half_widths(place: Floats, factors: Mapping[str, Floats]) -> Floats:
    """The half width of bottles at some heights, in the unit of the width: 0 below the foot and above the lip.

    Args:
        place: `(n, places)` from 0, the foot, to 1, the lip.
        factors: name to `(n,)`.

    Returns:
        `(n, places)`.
    """
    f = {name: values[:, None] for name, values in factors.items()}
    neck_base = 1 - f["neck_length"]
    body = neck_base - f["shoulder_length"]
    # A superellipse from the body's edge to the neck's.
    rise = np.clip((place - body) / f["shoulder_length"], 0, 1)
    shoulder = (1 - rise ** f["shoulder_exponent"]) ** (1 / f["shoulder_exponent"])
    width = f["neck_width"] + (1 - f["neck_width"]) * shoulder
    width = np.where(place > 1 - LIP, f["neck_width"] * f["lip"], width)
    width *= _foot(place / (FOOT * body), f["foot"]) * (1 - f["waist"] * _bump(place / body))
    heel = np.clip(1 - place / HEEL, 0, 1)
    width *= 1 - 0.15 * (1 - np.sqrt(1 - heel**2))
    return np.where((place >= 0) & (place <= 1), width * f["width"] / 2, 0).astype(np.float32)


def _foot(place: Floats, narrow: Floats) -> Floats:
    """From `narrow` at 0 evenly to 1 at 1, without a kink."""
    t = np.clip(place, 0, 1)
    return narrow + (1 - narrow) * t * t * (3 - 2 * t)


def _bump(place: Floats) -> Floats:
    """1 in the middle between 0 and 1, smoothly down to 0 at both."""
    return np.sin(np.pi * np.clip(place, 0, 1)) ** 2
