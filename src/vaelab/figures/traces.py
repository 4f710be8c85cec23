"""Noisy traces, what was recovered from them, and how often the peak was found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vaelab.figures.style import (
    CHANNELS,
    GREEN,
    GREY,
    PALE,
    RED,
    as_array,
    axis_labels,
    channel_name,
    channel_panels,
    class_colours,
    figure,
    frequency_axis,
    legend_above,
    legend_beside,
    small_multiples,
    time_axis,
    title,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

ROWS = 12  # the most under one another: of several channels fewer traces have room


def trace_rows(
    noisy: ArrayLike,
    clean: ArrayLike | None,
    recovered: ArrayLike,
    sample_rate: float | None,
    count: int = 3,
    titles: Sequence[str] | None = None,
    band: tuple[ArrayLike, ArrayLike] | None = None,
) -> Figure:
    """One row a channel of each trace: noisy (light grey), clean (green), recovered (red) in its band (pale red).

    Args:
        noisy: `(items, channels, time)`.
        clean: shaped as `noisy`; None where the truth is not known.
        recovered: shaped as `noisy`.
        sample_rate: in Hz; None counts time in samples.
        count: the most items that are drawn.
        titles: one above each row.
        band: its lower and its upper end, shaped as `noisy`; None where there is none.
    """
    layers = {"noisy": (noisy, PALE, 0.7), "clean": (clean, GREEN, 1.8), "recovered": (recovered, RED, 0.8)}
    items, channels, samples = as_array(noisy)[:count].shape
    items = min(items, max(1, ROWS // channels))
    times, label = time_axis(samples, sample_rate)
    drawn, panels = channel_panels(items, channels, columns=1, panel_height=1.15)
    for k, of_item in enumerate(panels):
        for channel, panel in enumerate(of_item):
            for name, (traces, colour, width) in layers.items():
                if traces is not None:
                    panel.plot(times, as_array(traces)[k, channel], color=colour, linewidth=width, label=name)
            if band is not None:
                ends = (as_array(end)[k, channel] for end in band)
                panel.fill_between(times, *ends, color=RED, alpha=0.25, linewidth=0, label="band", zorder=1.5)
            panel.margins(x=0)
        title(of_item[0], titles[k] if titles else "")
    axis_labels(drawn, label, "amplitude")
    legend_above(drawn, panels[0][0])
    return drawn


def trace_spectra(
    clean: ArrayLike,
    recovered: ArrayLike,
    noisy: ArrayLike,
    sample_rate: float | None,
    examples: Mapping[str, int] | None = None,
) -> Figure:
    """Amplitude spectra in dB of the clean one's peak: noisy grey, clean green, recovered red.

    The mean over all items with a pulse comes first, one panel for each of the `examples` follows; of several channels
    each has its own.

    Args:
        clean: `(items, channels, time)`.
        recovered: shaped as `clean`.
        noisy: shaped as `clean`.
        sample_rate: in Hz; None counts frequency in cycles per sample.
        examples: title to the number of the item.
    """
    pulses = np.flatnonzero(as_array(clean).any(axis=(1, 2)))
    chosen = {f"mean of {len(pulses)}": pulses} | {name: [k] for name, k in (examples or {}).items()}
    channels = as_array(clean).shape[1]
    shown = [(name, items, c) for name, items in chosen.items() for c in range(min(channels, CHANNELS))]
    frequencies, label = frequency_axis(as_array(clean).shape[-1], sample_rate)
    drawn, panels = small_multiples(len(shown), min(2, len(shown)), panel_height=1.9, width=3.7 * min(2, len(shown)))
    layers = {"noisy": (noisy, PALE, 1.2), "clean": (clean, GREEN, 2.2), "recovered": (recovered, RED, 1.0)}
    for panel, (name, items, c) in zip(panels, shown, strict=True):
        peak = max(_mean_spectrum(as_array(clean)[items, c]).max(), 1e-12)
        for layer, (traces, colour, width) in layers.items():
            level_db = 20 * np.log10(np.maximum(_mean_spectrum(as_array(traces)[items, c]) / peak, 1e-6))
            panel.plot(frequencies, level_db, color=colour, linewidth=width, label=layer)
        panel.margins(x=0)
        title(panel, name if channels == 1 else f"{name}, {channel_name(c, channels)}")
    panels[0].set_ylim(bottom=max(-60.0, panels[0].get_ylim()[0]))
    axis_labels(drawn, label, "amplitude (dB)")
    legend_above(drawn, panels[0])
    return drawn


def detection_roc(curves: Mapping[str, tuple[ArrayLike, ArrayLike]], marked: float = 0.002) -> Figure:
    """Pulses found against noise-only traces mistaken for one, one line a method, the first on top; logarithmic.

    Args:
        curves: method to its false and its true positive rates, `(points,)` each.
        marked: the false positive rate at which the measure is taken.
    """
    drawn, axes = figure(width=5.2, height=2.8)
    panel = axes[0, 0]
    colours = class_colours(len(curves))
    smallest = min((float(as_array(false)[as_array(false) > 0].min()) for false, _ in curves.values()), default=marked)
    for k, (method, (false, true)) in enumerate(curves.items()):
        panel.step(as_array(false), as_array(true), where="post", color=colours[k], label=method, **_rank(k))
    panel.axvline(marked, color=GREY, linewidth=0.6, linestyle=":")
    panel.set(xlabel="share of noise-only traces taken for a pulse", ylabel="pulses found", ylim=(0, 1.02))
    panel.set_xscale("log")
    panel.set_xlim(min(smallest, marked) / 1.5, 1)
    panel.grid(axis="y", color=PALE, linewidth=0.4)
    legend_beside(panel)
    return drawn


def accuracy_by_snr(curves: dict[str, dict[str, float]]) -> Figure:
    """Share of peaks found in each SNR bin, one line a method, the first of them on top.

    Args:
        curves: method to its accuracies in [0, 1], by the name of the bin (`1_1.5`), in order of rising SNR.
    """
    drawn, axes = figure(width=5.2, height=2.8)
    panel = axes[0, 0]
    colours = class_colours(len(curves))
    for k, (method, curve) in enumerate(curves.items()):
        look = {"color": colours[k], "marker": "osD^vPX*"[k % 8], "markersize": 4, **_rank(k)}
        # A name such as 2_3 would be read as the number 23.
        panel.plot([name.replace("_", "–") for name in curve], list(curve.values()), label=method, **look)
    panel.set(xlabel="signal-to-noise ratio", ylabel="peaks found", ylim=(0, 1.02))
    panel.grid(axis="y", color=PALE, linewidth=0.4)
    legend_beside(panel)
    return drawn


def _rank(k: int) -> dict[str, float]:
    """The first of several lines is the one that they are there to be compared with."""
    return {"linewidth": 2.0 if k == 0 else 1.1, "zorder": 3 if k == 0 else 2}


def _mean_spectrum(traces: np.ndarray) -> np.ndarray:
    """Mean over items `(items, time)` of |FFT|, `(time // 2 + 1,)`; zeros where there is no item."""
    return np.abs(np.fft.rfft(traces)).mean(axis=0) if len(traces) else np.zeros(traces.shape[-1] // 2 + 1)
