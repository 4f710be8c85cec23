"""The two windows of a stream: codes filling their rings, and what is decoded from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vaelab.figures.pictures import tile
from vaelab.figures.style import (
    BLUE,
    CHANNELS,
    GREEN,
    INK,
    RED,
    TEXT,
    as_array,
    channel_name,
    class_colours,
    figure,
    time_axis,
    title,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

PICTURES = 8


def stream_frame(
    rings: Sequence[ArrayLike],
    items: ArrayLike | None,
    reference: ArrayLike | None = None,
    smoothed: ArrayLike | None = None,
    *,
    told: str = "",
    limit: float = 3.0,
    span: tuple[float, float] | None = None,
    sample_rate: float | None = None,
) -> Figure:
    """Above, the ring of codes that is filled and the one that is decoded; below, the newest item or items.

    Args:
        rings: the one that is filled and the one that is decoded, `(size, code_size)` each, NaN where nothing lies.
        items: `(items, channels, time)` waves, of which the last is drawn (red), or `(items, channels, height, width)`
            pictures in [0, 1], of which the last eight are; None before the first.
        reference: `(channels, time)` a wave to compare with (green), if there is one.
        smoothed: `(channels, time)` the wave after smoothing (blue), if it was smoothed.
        told: a line above all.
        limit: colours of the codes span −limit to limit.
        span: the lowest and highest value of a wave's panel; None leaves it to the wave.
        sample_rate: in Hz; None counts time in samples.
    """
    drawn, axes = figure(3, 1, height=4.2, gridspec_kw={"height_ratios": (1, 1, 3.2)})
    for panel, codes, name in zip(axes[:2, 0], rings, ("filled", "decoded"), strict=True):
        _codes(panel, as_array(codes), f"codes being {name}", limit)
    panel = axes[2, 0]
    if items is None or not len(as_array(items)):
        panel.axis("off")
    elif as_array(items).ndim == 4:
        _pictures(panel, as_array(items)[-PICTURES:])
    else:
        panel.set_xlabel(_waves(panel, as_array(items)[-1], reference, smoothed, sample_rate))
        if span is not None:
            panel.set_ylim(*span)
        panel.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False, fontsize=TEXT, borderaxespad=0.2)
    drawn.suptitle(told, fontsize=TEXT, color=INK, x=0.01, ha="left")
    return drawn


def _codes(axes: Axes, codes: np.ndarray, name: str, limit: float) -> None:
    """One row of colours a dimension, one column a place."""
    import matplotlib

    colours = matplotlib.colormaps["viridis"].with_extremes(bad="white")
    axes.imshow(codes.T, cmap=colours, vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
    held = int(np.isfinite(codes[:, 0]).sum())
    title(axes, f"{name}: {held:,} of {len(codes):,}")
    axes.set(xticks=[], yticks=[])


def _waves(
    axes: Axes, wave: np.ndarray, reference: ArrayLike | None, smoothed: ArrayLike | None, sample_rate: float | None
) -> str:
    """Draw the layers of one wave `(channels, time)`; the label of its time axis comes back."""
    times, label = time_axis(wave.shape[-1], sample_rate)
    if len(wave) > 1:
        for k, colour in enumerate(class_colours(min(len(wave), CHANNELS))):
            axes.plot(times, wave[k], color=colour, linewidth=1.5, label=channel_name(k, len(wave)))
        axes.margins(x=0)
        return label
    layers = {
        "reference": (reference, GREEN, 3.0, 0.45),
        "raw": (wave, RED, 2.2, 1.0),
        "smoothed": (smoothed, BLUE, 1.0, 1.0),
    }
    for name, (values, colour, width, alpha) in layers.items():
        if values is not None:
            lines = axes.plot(times, as_array(values).T, color=colour, linewidth=width, alpha=alpha)
            lines[0].set_label(name)
    axes.margins(x=0)
    return label


def _pictures(axes: Axes, pictures: np.ndarray) -> None:
    """The last eight side by side, the newest on the right, each always in its own place."""
    places = np.ones((PICTURES, *pictures.shape[1:]), np.float32)
    places[PICTURES - len(pictures) :] = pictures
    strip = tile(places, columns=PICTURES, gap=1)
    shown = strip[0] if len(strip) == 1 else strip.transpose(1, 2, 0)
    axes.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.axis("off")
