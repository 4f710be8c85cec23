"""Sheets of many small items on one scale: waves side by side, spectrograms as pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vaelab.figures.spectrograms import RANGE_DB
from vaelab.figures.style import BLUE, PAGE_WIDTH, as_array, axis_labels, figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

MARGIN = 0.06  # of a cell, left free on each side


def wave_sheet(waves: ArrayLike) -> Figure:
    """A grid of waves on one scale, without axes.

    Args:
        waves: `(rows, columns, channels, time)`; the channels of a cell lie under one another, the first on top.
    """
    cells = as_array(waves)
    rows, columns = cells.shape[:2]
    drawn, axes = figure(1, 1, PAGE_WIDTH, max(PAGE_WIDTH * 0.7 * rows / columns, 0.6))
    panel = axes[0, 0]
    limits = channel_limits(cells)
    for row, line in enumerate(cells):
        draw_waves(panel, line, limits, [BLUE] * columns, bottom=rows - 1 - row)
    panel.set(xlim=(0, columns), ylim=(0, rows))
    panel.axis("off")
    axis_labels(drawn, channels_told(cells.shape[2]))
    return drawn


def channels_told(channels: int) -> str:
    """What a sheet says of the channels in its cells."""
    return "" if channels == 1 else f"in each cell channels 1 to {channels}, from above"


def channel_limits(waves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest value of each channel of waves `(…, channels, time)`, `(channels, 1)` each."""
    around = (*range(waves.ndim - 2), waves.ndim - 1)
    return waves.min(axis=around)[:, None], waves.max(axis=around)[:, None]


def draw_waves(
    axes: Axes,
    waves: np.ndarray,
    limits: tuple[np.ndarray, np.ndarray],
    colours: Sequence[Any],
    bottom: float = 0.0,
) -> None:
    """One row of waves `(columns, channels, time)`, each in a cell of 1 × 1 that its channels share, the first on top.

    The height that a channel has there spans its `limits`.
    """
    (low, high), channels = limits, waves.shape[1]
    across = np.linspace(MARGIN, 1 - MARGIN, waves.shape[-1])
    within = MARGIN + (1 - 2 * MARGIN) * (waves - low) / np.maximum(high - low, 1e-12)
    up = (np.arange(channels)[::-1, None] + within) / channels
    for column, (wave, colour) in enumerate(zip(up, colours, strict=True)):
        axes.plot(column + across, bottom + wave.T, color=colour, linewidth=0.8)


def spectrogram_pictures(spectrograms_db: ArrayLike) -> np.ndarray:
    """Spectrograms `(items, 1, bins, frames)` in dB as pictures `(items, 3, bins, frames)` in [0, 1].

    High frequencies are above, and the colours span the top 80 dB of all items together.
    """
    import matplotlib

    shown = as_array(spectrograms_db)[:, 0, ::-1]
    level = 1 + (shown - shown.max()) / RANGE_DB
    return matplotlib.colormaps["magma"](level)[..., :3].transpose(0, 3, 1, 2).astype(np.float32)
