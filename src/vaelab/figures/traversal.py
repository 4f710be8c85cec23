"""What each latent dimension does: one row a dimension, and all of them moving."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vaelab.figures.pictures import picture_grid, tile
from vaelab.figures.sheets import channel_limits, channels_told, draw_waves
from vaelab.figures.style import (
    PAGE_WIDTH,
    SMALL,
    as_array,
    axis_labels,
    column_count,
    figure,
    render,
    small_multiples,
    title,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

WAVE_ASPECT = 0.7  # height of a wave's cell over its width


def traversal_rows(items: ArrayLike, titles: Sequence[str], steps: Sequence[str], label: str = "") -> Figure:
    """One row a dimension, its steps from left to right.

    Args:
        items: `(dims, steps, channels, time)` waves, or `(dims, steps, channels, height, width)` pictures in [0, 1].
        titles: one above each row.
        steps: what stands below each column.
        label: what `steps` are.
    """
    shown = as_array(items)
    dims, count = shown.shape[:2]
    cell = shown.shape[-2:] if shown.ndim == 5 else (WAVE_ASPECT, 1)
    width = min(PAGE_WIDTH, 0.1 + 0.9 * count)
    drawn, axes = figure(dims, 1, width, 0.45 + dims * (0.22 + width / count * cell[0] / cell[1]))
    limits = channel_limits(shown)
    for panel, row, text in zip(axes[:, 0], shown, titles, strict=True):
        draw = _picture_row if shown.ndim == 5 else _wave_row
        draw(panel, row, limits)
        title(panel, text)
        panel.spines[:].set_visible(False)
        panel.set(xticks=[], yticks=[])
    low, high = axes[-1, 0].get_xlim()
    centres = low + (np.arange(count) + 0.5) * (high - low) / count
    axes[-1, 0].set_xticks(centres, steps, fontsize=SMALL)
    axes[-1, 0].tick_params(length=0)
    told = channels_told(shown.shape[2]) if shown.ndim == 4 else ""
    axis_labels(drawn, f"{label}; {told}" if told else label)
    return drawn


def traversal_frames(items: ArrayLike, titles: Sequence[str]) -> np.ndarray:
    """All dimensions together, step by step: `(steps, height, width, 3)` uint8.

    Args:
        items: as those of `traversal_rows`.
        titles: one a dimension.
    """
    shown = as_array(items)
    frame = picture_grid if shown.ndim == 5 else _wave_frame
    limits: dict[str, Any] = {} if shown.ndim == 5 else {"limits": channel_limits(shown)}
    return np.stack([render(frame(shown[:, k], titles=titles, **limits)) for k in range(shown.shape[1])])


def _wave_frame(waves: np.ndarray, titles: Sequence[str], limits: tuple[np.ndarray, np.ndarray]) -> Figure:
    columns = column_count(len(waves))
    drawn, panels = small_multiples(len(waves), columns, panel_height=1.1, width=min(PAGE_WIDTH, 2.2 * columns))
    for panel, wave, text in zip(panels, waves, titles, strict=True):
        draw_waves(panel, wave[None], limits, [_colours(1)[0]])
        panel.spines[:].set_visible(False)
        panel.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(0, 1))
        title(panel, text)
    return drawn


def _wave_row(axes: Axes, waves: np.ndarray, limits: tuple[np.ndarray, np.ndarray]) -> None:
    draw_waves(axes, waves, limits, _colours(len(waves)))
    axes.set(xlim=(0, len(waves)), ylim=(0, 1))


def _picture_row(axes: Axes, pictures: np.ndarray, _limits: tuple[np.ndarray, np.ndarray]) -> None:
    strip = tile(pictures, columns=len(pictures), gap=1)
    shown = strip[0] if len(strip) == 1 else strip.transpose(1, 2, 0)
    axes.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")


def _colours(count: int) -> list[Any]:
    """The path's colours from its first step to its last."""
    import matplotlib

    return list(matplotlib.colormaps["viridis"](np.linspace(0, 0.9, count)))
