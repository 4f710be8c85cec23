"""Sheets of many small items on one scale: waves side by side, spectrograms as pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vaelab.figures.spectrograms import RANGE_DB
from vaelab.figures.style import BLUE, PAGE_WIDTH, as_array, figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

MARGIN = 0.06  # of a cell, left free on each side


def wave_sheet(waves: ArrayLike) -> Figure:
    """A grid of waves on one scale, without axes.

    Args:
        waves: `(rows, columns, channels, time)`.
    """
    cells = as_array(waves)
    rows, columns = cells.shape[:2]
    drawn, axes = figure(1, 1, PAGE_WIDTH, max(PAGE_WIDTH * 0.7 * rows / columns, 0.6))
    panel = axes[0, 0]
    limits = float(cells.min()), float(cells.max())
    for row, line in enumerate(cells):
        draw_waves(panel, line, limits, [BLUE] * columns, bottom=rows - 1 - row)
    panel.set(xlim=(0, columns), ylim=(0, rows))
    panel.axis("off")
    return drawn


def draw_waves(
    axes: Axes, waves: np.ndarray, limits: tuple[float, float], colours: Sequence[Any], bottom: float = 0.0
) -> None:
    """One row of waves `(columns, channels, time)`, each in a cell of 1 × 1 whose height spans `limits`."""
    low, high = limits
    across = np.linspace(MARGIN, 1 - MARGIN, waves.shape[-1])
    up = MARGIN + (1 - 2 * MARGIN) * (waves - low) / max(high - low, 1e-12)
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
