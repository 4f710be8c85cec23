"""Pictures: originals over their reconstructions, grids, and the path between two of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from vaelab.figures.style import BLUE, PAGE_WIDTH, as_array, column_count, figure, title

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

TINY = 64  # pixels


def picture_pairs(originals: ArrayLike, reconstructions: ArrayLike, count: int = 10) -> Figure:
    """Two rows: originals above, their reconstructions below.

    Args:
        originals: `(items, channels, height, width)`, grey or RGB; float in [0, 1] or uint8.
        reconstructions: shaped as `originals`.
        count: the most items that are drawn.
    """
    return _named_rows({"original": originals, "reconstruction": reconstructions}, count)


def filled_pictures(originals: ArrayLike, hidden: ArrayLike, filled: ArrayLike, count: int = 10) -> Figure:
    """Three rows: originals, what is left of them where a part is hidden, and what that part was filled with.

    Args:
        originals: `(items, channels, height, width)`, grey or RGB; float in [0, 1] or uint8.
        hidden: `(items, 1, height, width)` bool.
        filled: shaped as `originals`.
        count: the most items that are drawn.
    """
    colour = np.array([int(BLUE[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    masked = np.where(as_array(hidden), colour[:, None, None], unit_range(originals))
    return _named_rows({"original": originals, "masked": masked, "filled": filled}, count)


def _named_rows(named: dict[str, ArrayLike], count: int) -> Figure:
    """Rows of as many pictures, each with its name on the left."""
    rows = [unit_range(pictures)[:count] for pictures in named.values()]
    drawn, axes = _frames(len(rows), rows[0], beside=0.85)
    for panels, pictures, name in zip(axes, rows, named, strict=True):
        for panel, picture in zip(panels, pictures, strict=True):
            _show(panel, picture, smooth=picture.shape[-1] > TINY)
        # Lying flat, the name fits beside the lowest of rows.
        panels[0].set_ylabel(name, rotation=0, ha="right", va="center", labelpad=3)
    return drawn


def picture_grid(
    pictures: ArrayLike, columns: int | None = None, titles: Sequence[str] | None = None, gap: int = 1
) -> Figure:
    """A grid of pictures, row by row: with `titles` a panel each, without them one sheet.

    Args:
        pictures: `(items, channels, height, width)`, grey or RGB; float in [0, 1] or uint8.
        columns: pictures in a row; None for the grid nearest to a square.
        titles: one above each picture.
        gap: white pixels between the pictures of a sheet.
    """
    shown = unit_range(pictures)
    columns = columns or column_count(len(shown))
    if titles is None:
        return _sheet(tile(shown, columns, gap), columns, shown.shape[-1])
    drawn, axes = _frames(math.ceil(len(shown) / columns), shown, columns, gap=0.05, head=0.18)
    for panel, picture, text in zip(axes.flat, shown, titles, strict=False):
        _show(panel, picture, smooth=picture.shape[-1] > TINY)
        title(panel, text, align="center")
    for panel in axes.flat[len(shown) :]:
        panel.remove()
    return drawn


def picture_path(pictures: ArrayLike) -> Figure:
    """One row: the steps `(steps, channels, height, width)` of a path from the first picture to the last."""
    return picture_grid(pictures, columns=len(as_array(pictures)))


def tile(pictures: ArrayLike, columns: int | None = None, gap: int = 0) -> np.ndarray:
    """The grid of pictures as one picture.

    Args:
        pictures: `(items, channels, height, width)`, float in [0, 1] or uint8.
        columns: pictures in a row; None for the grid nearest to a square.
        gap: white pixels between the pictures.

    Returns:
        `(channels, rows · (height + gap) − gap, columns · (width + gap) − gap)` float32 in [0, 1]; cells left
        over are white.
    """
    shown = unit_range(pictures)
    items, channels, height, width = shown.shape
    height, width = height + gap, width + gap
    columns = columns or column_count(items)
    rows = math.ceil(items / columns)
    sheet = np.ones((rows * columns, channels, height, width), np.float32)
    sheet[:items, :, : height - gap, : width - gap] = shown
    cells = sheet.reshape(rows, columns, channels, height, width)
    whole = cells.transpose(2, 0, 3, 1, 4).reshape(channels, rows * height, columns * width)
    return whole[:, : rows * height - gap, : columns * width - gap]


def unit_range(pictures: ArrayLike) -> np.ndarray:
    """Pictures as float32 in [0, 1]: bytes are divided by 255, floats are clipped."""
    shown = as_array(pictures)
    if shown.dtype == np.uint8:
        return shown.astype(np.float32) / 255
    return np.clip(shown, 0, 1, dtype=np.float32)


def _frames(
    rows: int,
    pictures: np.ndarray,
    columns: int | None = None,
    gap: float = 0.03,
    head: float = 0.0,
    beside: float = 0.0,
) -> tuple[Figure, np.ndarray]:
    """Panels of the pictures' own aspect, `gap` inches apart.

    There are `head` inches for a title over each row, and `beside` inches for a name on the left.
    """
    columns = columns or len(pictures)
    height, width = pictures.shape[-2:]
    side = _cell_width(columns, width, PAGE_WIDTH - beside)
    size = (columns * side + beside, rows * (side * height / width + head) + 0.06)
    drawn, axes = figure(rows, columns, *size, layout="compressed")
    drawn.get_layout_engine().set(w_pad=gap / 2, h_pad=gap / 2, wspace=0, hspace=0)  # type: ignore[union-attr, call-arg]
    return drawn, axes


def _sheet(sheet: np.ndarray, columns: int, picture_width: int) -> Figure:
    width = columns * _cell_width(columns, picture_width)
    drawn, axes = figure(1, 1, width, width * sheet.shape[1] / sheet.shape[2], layout=None)
    axes[0, 0].set_position((0, 0, 1, 1))
    _show(axes[0, 0], sheet, smooth=picture_width > TINY)
    return drawn


def _cell_width(columns: int, picture_width: int, page: float = PAGE_WIDTH) -> float:
    """Inches for one picture: the page shared out, but no picture blown up beyond need."""
    return min(page / columns, 0.9 if picture_width <= TINY else 1.6)


def _show(axes: Axes, picture: np.ndarray, smooth: bool) -> None:
    """Draw `(channels, height, width)` in [0, 1] without a frame; unless `smooth`, pixels stay squares."""
    shown = picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0)
    axes.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="auto" if smooth else "nearest")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
