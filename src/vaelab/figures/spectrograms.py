"""Spectrograms in dB, over seconds and kilohertz."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vaelab.figures.style import INK, SMALL, TEXT, as_array, axis_labels, column_count, small_multiples, title

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from numpy.typing import ArrayLike

RANGE_DB = 80.0


def spectrogram_pairs(
    originals_db: ArrayLike,
    reconstructions_db: ArrayLike,
    sample_rate: float,
    hop_length: int,
    count: int = 4,
) -> Figure:
    """Two rows on one colour scale, the originals' top 80 dB: originals above, their reconstructions below.

    Args:
        originals_db: `(items, channels, bins, frames)` in dB; the first channel is drawn.
        reconstructions_db: shaped as `originals_db`.
        sample_rate: in Hz.
        hop_length: samples from frame to frame.
        count: the most items that are drawn.
    """
    rows = [as_array(originals_db)[:count, 0], as_array(reconstructions_db)[:count, 0]]
    extent, top_db = _extent(rows[0], sample_rate, hop_length), float(rows[0].max())
    columns = len(rows[0])
    drawn, panels = small_multiples(2 * columns, columns, panel_height=1.3)
    for panel, picture in zip(panels, np.concatenate(rows), strict=True):
        image = _show(panel, picture, extent, top_db)
    title(panels[0], "original")
    title(panels[columns], "reconstruction")
    return _finish(drawn, panels, image)


def spectrogram_grid(
    spectrograms_db: ArrayLike,
    sample_rate: float,
    hop_length: int,
    columns: int | None = None,
    titles: Sequence[str] | None = None,
) -> Figure:
    """A grid of spectrograms, row by row, on one colour scale: the top 80 dB of all.

    Args:
        spectrograms_db: `(items, channels, bins, frames)` in dB; the first channel is drawn.
        sample_rate: in Hz.
        hop_length: samples from frame to frame.
        columns: panels in a row; None for the grid nearest to a square.
        titles: one above each panel.
    """
    shown = as_array(spectrograms_db)[:, 0]
    extent, top_db = _extent(shown, sample_rate, hop_length), float(shown.max())
    drawn, panels = small_multiples(len(shown), columns or column_count(len(shown)), panel_height=1.4)
    for panel, picture, text in zip(panels, shown, titles or [""] * len(shown), strict=True):
        image = _show(panel, picture, extent, top_db)
        title(panel, text)
    return _finish(drawn, panels, image)


def _extent(spectrograms: np.ndarray, sample_rate: float, hop_length: int) -> tuple[float, float, float, float]:
    """Edges in s and kHz of `(items, bins, frames)`."""
    return 0.0, spectrograms.shape[-1] * hop_length / sample_rate, 0.0, sample_rate / 2000


def _show(axes: Axes, picture_db: np.ndarray, extent: tuple[float, float, float, float], top_db: float) -> AxesImage:
    axes.spines[:].set_visible(False)
    return axes.imshow(
        picture_db,
        cmap="magma",
        vmin=top_db - RANGE_DB,
        vmax=top_db,
        extent=extent,
        origin="lower",
        aspect="auto",
    )


def _finish(drawn: Figure, panels: list[Axes], image: AxesImage) -> Figure:
    axis_labels(drawn, "time (s)", "frequency (kHz)")
    bar = drawn.colorbar(image, ax=panels, pad=0.015, fraction=0.04, aspect=32)
    bar.set_label("level (dB)", fontsize=TEXT, color=INK)
    bar.ax.tick_params(labelsize=SMALL, width=0.6, length=2.5)
    bar.outline.set_visible(False)
    return drawn
