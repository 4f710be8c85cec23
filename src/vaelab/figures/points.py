"""Points in the plane: new ones over true ones and what they miss, pairs, and a path."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vaelab.figures.style import BLUE, GREEN, GREY, PALE, RED, as_array, figure, legend_beside, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

NEAR = 3  # standard deviations: a mode that has a point within is found
PAIRS = 300  # more lines would be one blot


def point_scatter(
    points: ArrayLike, true: ArrayLike | None = None, means: ArrayLike | None = None, std: float = 0.0
) -> Figure:
    """Points over true ones; a ring is around each mode that has some, and a cross on each that has none.

    Args:
        points: `(n, 2)`.
        true: `(m, 2)`.
        means: `(modes, 2)`.
        std: of each mode along each axis.
    """
    drawn, panel = _plane()
    made = as_array(points)
    if true is not None:
        _dots(panel, as_array(true), PALE, "true")
    _dots(panel, made, BLUE, "generated")
    if means is not None:
        centres = as_array(means)
        apart = np.linalg.norm(made[:, None] - centres, axis=2)
        found = (apart < NEAR * std).any(0)
        _marks(panel, centres[found], "o", GREEN, "mode found")
        _marks(panel, centres[~found], "x", RED, "mode lost")
        good = (apart.min(1) < NEAR * std).mean()
        title(panel, f"{found.sum()} of {len(centres)} modes, {100 * good:.1f} % within {NEAR} standard deviations")
    if len(panel.collections) + len(panel.lines) > 1:
        legend_beside(panel)
    return drawn


def point_pairs(originals: ArrayLike, reconstructions: ArrayLike) -> Figure:
    """Originals and their reconstructions, both `(items, 2)`, joined by lines."""
    start, end = as_array(originals)[:PAIRS], as_array(reconstructions)[:PAIRS]
    drawn, panel = _plane()
    panel.plot(*np.stack([start, end]).transpose(2, 0, 1), color=GREY, linewidth=0.5)
    _dots(panel, start, GREEN, "original")
    _dots(panel, end, RED, "reconstruction")
    legend_beside(panel)
    return drawn


def point_path(points: ArrayLike) -> Figure:
    """A path `(steps, 2)`, its colour changing on the way."""
    steps = as_array(points)
    drawn, panel = _plane()
    x, y = steps.T
    panel.plot(x, y, color=GREY, linewidth=0.8)
    panel.scatter(x, y, c=np.linspace(0, 0.9, len(steps)), cmap="viridis", vmin=0, vmax=1, s=22, zorder=3)
    return drawn


def _plane() -> tuple[Figure, Axes]:
    drawn, axes = figure(width=5.4, height=3.9)
    panel = axes[0, 0]
    panel.set(xlabel="$x_1$", ylabel="$x_2$")
    panel.set_aspect("equal", adjustable="datalim")
    return drawn, panel


def _dots(axes: Axes, points: np.ndarray, colour: str, name: str) -> None:
    # Thousands of points must not become one blot.
    size = float(np.clip(6000 / len(points) ** 0.9, 4, 14))
    x, y = points.T
    axes.scatter(x, y, s=size, color=colour, alpha=0.7, linewidths=0, rasterized=True, label=name)


def _marks(axes: Axes, points: np.ndarray, marker: str, colour: str, name: str) -> None:
    if len(points):
        axes.plot(
            *points.T,
            linestyle="",
            marker=marker,
            markersize=9,
            markerfacecolor="none",
            markeredgecolor=colour,
            markeredgewidth=1.4,
            label=name,
        )
