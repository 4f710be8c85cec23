"""Waves: originals under their reconstructions, samples against a reference, a path from wave to wave."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vaelab.figures.style import (
    BLUE,
    GREEN,
    RED,
    as_array,
    axis_labels,
    figure,
    legend_above,
    small_multiples,
    time_axis,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike


class _Layer(NamedTuple):
    name: str
    waves: np.ndarray
    colour: str
    width: float
    alpha: float = 1.0


def wave_pairs(
    originals: ArrayLike, reconstructions: ArrayLike, sample_rate: float | None = None, count: int = 8
) -> Figure:
    """Reconstructions (red) over their originals (green), one panel an item.

    Args:
        originals: `(items, channels, time)`.
        reconstructions: shaped as `originals`.
        sample_rate: in Hz; None counts time in samples.
        count: the most items that are drawn.
    """
    layers = [
        _Layer("original", as_array(originals)[:count], GREEN, 3.0, 0.45),
        _Layer("reconstruction", as_array(reconstructions)[:count], RED, 0.9),
    ]
    return _overlays(layers, sample_rate)


def wave_samples(
    samples: ArrayLike,
    reference: ArrayLike | None = None,
    smoothed: ArrayLike | None = None,
    sample_rate: float | None = None,
    count: int = 8,
) -> Figure:
    """Sampled waves, one panel an item: reference (green), raw output (red), smoothed (blue).

    Args:
        samples: raw decoder outputs, `(items, channels, time)`.
        reference: the truth nearest to each sample, shaped as `samples`, if there is one.
        smoothed: the samples after smoothing, shaped as `samples`, if they were smoothed.
        sample_rate: in Hz; None counts time in samples.
        count: the most items that are drawn.
    """
    layers = [_Layer("raw", as_array(samples)[:count], RED, 1.1)]
    if reference is not None:
        layers.insert(0, _Layer("reference", as_array(reference)[:count], GREEN, 3.0, 0.45))
    if smoothed is not None:
        layers.append(_Layer("smoothed", as_array(smoothed)[:count], BLUE, 0.8))
    return _overlays(layers, sample_rate)


def wave_path(waves: ArrayLike, sample_rate: float | None = None) -> Figure:
    """A path from wave to wave as a waterfall: the first lowest, the colour changing on the way.

    Args:
        waves: `(steps, channels, time)`; the first channel is drawn.
        sample_rate: in Hz; None counts time in samples.
    """
    import matplotlib

    lines = as_array(waves)[:, 0]
    times, label = time_axis(lines.shape[-1], sample_rate)
    along = np.linspace(0, 1, len(lines))
    # One wave's swing spans a fifth of the path, whatever its unit.
    swing = 0.2 / max(float(np.ptp(lines)), 1e-12)
    drawn, axes = figure(width=4.6, height=3.4)
    panel = axes[0, 0]
    for k, (position, line) in enumerate(zip(along, lines, strict=True)):
        colour = matplotlib.colormaps["viridis"](0.9 * position)
        panel.plot(times, position + swing * line, color=colour, linewidth=1.1, zorder=len(lines) - k)
    panel.set(xlabel=label, ylabel="position along the path", xlim=(times[0], times[-1]))
    return drawn


def _overlays(layers: list[_Layer], sample_rate: float | None) -> Figure:
    """All layers of an item over one another, one panel an item; the wide lines are behind."""
    items, _, samples = layers[0].waves.shape
    times, label = time_axis(samples, sample_rate)
    drawn, panels = small_multiples(items, min(items, 4), panel_height=1.1)
    for k, panel in enumerate(panels):
        for name, waves, colour, width, alpha in layers:
            lines = panel.plot(times, waves[k].T, color=colour, linewidth=width, alpha=alpha)
            lines[0].set_label(name)
        panel.margins(x=0)
    axis_labels(drawn, label)
    legend_above(drawn, panels[0])
    return drawn
