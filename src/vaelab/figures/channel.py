"""Wireless channels: power over delay, one by one, on average and along a path; how their delay spreads are spread."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vaelab.figures.style import (
    GREEN,
    GREY,
    INK,
    PALE,
    RED,
    SMALL,
    as_array,
    axis_labels,
    figure,
    legend_above,
    small_multiples,
    time_axis,
    title,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

LOWEST_DB = -50.0
COLOURS = {"true": (GREEN, 2.4), "generated": (RED, 1.2), "independent taps": (GREY, 1.0)}


def channel_pairs(
    originals: ArrayLike, reconstructions: ArrayLike, expected: ArrayLike, sample_rate: float, count: int = 8
) -> Figure:
    """Power over delay, one panel an item: original green, realisation red, what the decoder expects black.

    Args:
        originals: `(items, taps)` power of each tap.
        reconstructions: shaped as `originals`.
        expected: shaped as `originals`.
        sample_rate: in Hz.
        count: the most items that are drawn.
    """
    layers = {
        "original": (originals, GREEN, 2.0),
        "reconstruction": (reconstructions, RED, 0.8),
        "expected": (expected, INK, 0.8),
    }
    return _rows(layers, sample_rate, count)


def channel_samples(power: ArrayLike, sample_rate: float, count: int = 8) -> Figure:
    """Power over delay of sampled channels, one panel an item: `(items, taps)`; `sample_rate` in Hz."""
    return _rows({"sample": (power, RED, 1.0)}, sample_rate, count)


def power_profiles(means: dict[str, ArrayLike], sample_rate: float) -> Figure:
    """Mean power over delay in dB, one line a name: `true`, `generated`, `independent taps`.

    Args:
        means: name to `(taps,)`.
        sample_rate: in Hz.
    """
    drawn, axes = figure(width=4.6, height=2.8)
    panel = axes[0, 0]
    for name, power in means.items():
        level = _decibels(power)
        times, label = time_axis(len(level), sample_rate)
        colour, width = COLOURS[name]
        panel.plot(times, level, color=colour, linewidth=width, label=name)
    panel.set(xlabel=_delay(label), ylabel="mean power (dB)")
    panel.margins(x=0)
    legend_above(drawn, panel)
    return drawn


def delay_spread_distributions(spreads: dict[str, ArrayLike]) -> Figure:
    """Cumulative distributions of the RMS delay spread, one curve a name as in `power_profiles`.

    Args:
        spreads: name to `(items,)` in s.
    """
    drawn, axes = figure(width=4.6, height=2.8)
    panel = axes[0, 0]
    for name, values in spreads.items():
        colour, width = COLOURS[name]
        panel.ecdf(1e9 * as_array(values), color=colour, linewidth=width, label=name)
    panel.set(xlabel="RMS delay spread (ns)", ylabel="share of channels below", ylim=(0, 1))
    panel.margins(x=0)
    legend_above(drawn, panel)
    return drawn


def channel_path(power: ArrayLike, spread: ArrayLike, sample_rate: float) -> Figure:
    """A path from channel to channel: power over delay and steps as an image, and the delay spread of each step.

    Args:
        power: `(steps, taps)`.
        spread: `(steps,)` RMS delay spreads in s.
        sample_rate: in Hz.
    """
    level = _decibels(power)
    steps, taps = level.shape
    times, label = time_axis(taps, sample_rate)
    drawn, axes = figure(1, 2, width=6.4, height=2.8, sharey=True, gridspec_kw={"width_ratios": [3, 1.3]})
    image, curve = axes[0]
    centres = np.linspace(0, 1, steps)
    mesh = image.pcolormesh(times, centres, level, vmin=LOWEST_DB, vmax=0, cmap="viridis", shading="nearest")
    image.set(xlabel=_delay(label), ylabel="position along the path")
    bar = drawn.colorbar(mesh, ax=image, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=SMALL, length=0)
    title(image, "power (dB)")
    curve.plot(1e9 * as_array(spread), centres, color=INK, marker="o", markersize=3, linewidth=1.0)
    curve.set(xlabel="RMS delay spread (ns)")
    curve.set_xlim(left=0)
    curve.grid(axis="x", color=PALE, linewidth=0.4)
    return drawn


def _rows(layers: dict[str, tuple[ArrayLike, str, float]], sample_rate: float, count: int) -> Figure:
    first = as_array(next(iter(layers.values()))[0])[:count]
    times, label = time_axis(first.shape[1], sample_rate)
    drawn, panels = small_multiples(len(first), min(len(first), 4), panel_height=1.3)
    for k, panel in enumerate(panels):
        for name, (power, colour, width) in layers.items():
            panel.plot(times, _decibels(as_array(power)[k]), color=colour, linewidth=width, label=name)
        panel.margins(x=0)
        panel.set_ylim(LOWEST_DB, 5)
    axis_labels(drawn, _delay(label), "power (dB)")
    if len(layers) > 1:
        legend_above(drawn, panels[0])
    return drawn


def _delay(label: str) -> str:
    return label.replace("time", "delay")


def _decibels(power: ArrayLike) -> np.ndarray:
    return 10 * np.log10(np.maximum(as_array(power), 1e-9))
