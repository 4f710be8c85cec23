"""Waves: originals under their reconstructions, samples against a reference, a path from wave to wave."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vaelab.figures.style import (
    BLUE,
    CHANNELS,
    GREEN,
    PAGE_WIDTH,
    PALE,
    RED,
    as_array,
    axis_labels,
    channel_name,
    channel_panels,
    figure,
    legend_above,
    time_axis,
    title,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

COLUMNS = 4  # items beside each other
ROWS = 8  # the most panels under one another where items have several channels


class _Layer(NamedTuple):
    name: str
    waves: np.ndarray
    colour: str
    width: float
    alpha: float = 1.0


def wave_pairs(
    originals: ArrayLike, reconstructions: ArrayLike, sample_rate: float | None = None, count: int = 8
) -> Figure:
    """Reconstructions (red) over their originals (green), one panel a channel of each item.

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
    return _overlays(layers, sample_rate)[0]


def filled_waves(
    originals: ArrayLike, hidden: ArrayLike, filled: ArrayLike, sample_rate: float | None = None, count: int = 8
) -> Figure:
    """What hidden stretches (grey) were filled with (red), over the originals (green); a panel a channel of each item.

    Args:
        originals: `(items, channels, time)`.
        hidden: `(items, time)` bool.
        filled: shaped as `originals`, and the same where nothing is hidden.
        sample_rate: in Hz; None counts time in samples.
        count: the most items that are drawn.
    """
    layers = [
        _Layer("original", as_array(originals)[:count], GREEN, 3.0, 0.45),
        _Layer("filled", as_array(filled)[:count], RED, 0.9),
    ]
    drawn, panels = _overlays(layers, sample_rate)
    times, _ = time_axis(layers[0].waves.shape[-1], sample_rate)
    for of_item, where in zip(panels, as_array(hidden), strict=False):
        for panel in of_item:
            whole = panel.get_xaxis_transform()
            panel.fill_between(times, 0, 1, where=where, transform=whole, color=PALE, linewidth=0, zorder=0)
    return drawn


def wave_samples(
    samples: ArrayLike,
    reference: ArrayLike | None = None,
    smoothed: ArrayLike | None = None,
    sample_rate: float | None = None,
    count: int = 8,
) -> Figure:
    """Sampled waves, one panel a channel of each: reference (green), raw output (red), smoothed (blue).

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
    return _overlays(layers, sample_rate)[0]


def wave_grid(waves: ArrayLike, titles: Sequence[str], sample_rate: float | None = None) -> Figure:
    """Waves, one panel a channel of each, below their titles.

    Args:
        waves: `(items, channels, time)`.
        titles: one an item.
        sample_rate: in Hz; None counts time in samples.
    """
    drawn, panels = _overlays([_Layer("wave", as_array(waves), BLUE, 1.0)], sample_rate)
    for (first, *_), text in zip(panels, titles, strict=False):
        title(first, text)
    return drawn


def wave_path(waves: ArrayLike, sample_rate: float | None = None) -> Figure:
    """A path from wave to wave as a waterfall: the first lowest, the colour changing on the way; one panel a channel.

    Args:
        waves: `(steps, channels, time)`.
        sample_rate: in Hz; None counts time in samples.
    """
    steps = as_array(waves)
    channels = steps.shape[1]
    shown = min(channels, CHANNELS)
    times, label = time_axis(steps.shape[-1], sample_rate)
    columns = min(shown, 4)
    rows = -(-shown // columns)
    drawn, axes = figure(rows, columns, 4.6 if shown == 1 else PAGE_WIDTH, 3.4 if rows == 1 else 0.4 + 2.4 * rows)
    for k, panel in enumerate(axes.flat):
        if k >= shown:
            panel.remove()
            continue
        _waterfall(panel, times, steps[:, k])
        title(panel, "" if channels == 1 else channel_name(k, channels))
    axis_labels(drawn, label, "position along the path")
    return drawn


def _waterfall(panel: Axes, times: np.ndarray, lines: np.ndarray) -> None:
    """Lines `(steps, time)` from below to above."""
    import matplotlib

    # One wave's swing spans a fifth of the path, whatever its unit.
    swing, middle = 0.2 / max(float(np.ptp(lines)), 1e-12), lines.mean()
    for k, (position, line) in enumerate(zip(np.linspace(0, 1, len(lines)), lines, strict=True)):
        colour = matplotlib.colormaps["viridis"](0.9 * position)
        panel.plot(times, position + swing * (line - middle), color=colour, linewidth=1.1, zorder=len(lines) - k)
    panel.set_xlim(times[0], times[-1])


def _overlays(layers: list[_Layer], sample_rate: float | None) -> tuple[Figure, list[list[Axes]]]:
    """All layers of an item over one another; the wide lines are behind. Of several channels fewer items have room."""
    items, channels, samples = layers[0].waves.shape
    items = min(items, COLUMNS * max(1, ROWS // channels)) if channels > 1 else items
    times, label = time_axis(samples, sample_rate)
    drawn, panels = channel_panels(items, channels, min(items, COLUMNS), panel_height=1.1)
    for k, of_item in enumerate(panels):
        for channel, panel in enumerate(of_item):
            for name, waves, colour, width, alpha in layers:
                panel.plot(times, waves[k, channel], color=colour, linewidth=width, alpha=alpha, label=name)
            panel.margins(x=0)
    axis_labels(drawn, label)
    if len(layers) > 1:
        legend_above(drawn, panels[0][0])
    return drawn, panels
