"""Noisy traces, what was recovered from them, and how often the peak was found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vaelab.figures.style import (
    GREEN,
    PALE,
    RED,
    as_array,
    axis_labels,
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
    from collections.abc import Sequence

    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike


def trace_rows(
    noisy: ArrayLike,
    clean: ArrayLike | None,
    recovered: ArrayLike,
    sample_rate: float | None,
    count: int = 3,
    titles: Sequence[str] | None = None,
) -> Figure:
    """One row a trace: noisy (light grey), clean (green), recovered (red).

    Args:
        noisy: `(items, channels, time)`; the first channel is drawn.
        clean: shaped as `noisy`; None where the truth is not known.
        recovered: shaped as `noisy`.
        sample_rate: in Hz; None counts time in samples.
        count: the most items that are drawn.
        titles: one above each row.
    """
    layers = {"noisy": (noisy, PALE, 0.7), "clean": (clean, GREEN, 1.8), "recovered": (recovered, RED, 0.8)}
    items, _, samples = as_array(noisy)[:count].shape
    times, label = time_axis(samples, sample_rate)
    drawn, panels = small_multiples(items, columns=1, panel_height=1.15)
    for k, panel in enumerate(panels):
        for name, (traces, colour, width) in layers.items():
            if traces is not None:
                panel.plot(times, as_array(traces)[k, 0], color=colour, linewidth=width, label=name)
        panel.margins(x=0)
        title(panel, titles[k] if titles else "")
    axis_labels(drawn, label, "amplitude")
    legend_above(drawn, panels[0])
    return drawn


def trace_spectra(clean: ArrayLike, recovered: ArrayLike, noisy: ArrayLike, sample_rate: float | None) -> Figure:
    """Mean amplitude spectra, in dB of the clean traces' peak: noisy grey, clean green, recovered red.

    Args:
        clean: `(items, channels, time)`.
        recovered: shaped as `clean`.
        noisy: shaped as `clean`.
        sample_rate: in Hz; None counts frequency in cycles per sample.
    """
    frequencies, label = frequency_axis(as_array(clean).shape[-1], sample_rate)
    peak = max(_mean_spectrum(clean).max(), 1e-12)
    drawn, axes = figure(width=4.6, height=2.8)
    panel = axes[0, 0]
    layers = {"noisy": (noisy, PALE, 1.2), "clean": (clean, GREEN, 2.2), "recovered": (recovered, RED, 1.0)}
    for name, (traces, colour, width) in layers.items():
        level_db = 20 * np.log10(np.maximum(_mean_spectrum(traces) / peak, 1e-6))
        panel.plot(frequencies, level_db, color=colour, linewidth=width, label=name)
    panel.set(xlabel=label, ylabel="mean amplitude (dB)")
    panel.set_ylim(bottom=max(-60.0, panel.get_ylim()[0]))
    panel.margins(x=0)
    legend_above(drawn, panel)
    return drawn


def accuracy_by_snr(curves: dict[str, dict[str, float]]) -> Figure:
    """Share of peaks found in each SNR bin, one line a method.

    Args:
        curves: method to its accuracies in [0, 1], by the name of the bin, in order of rising SNR.
    """
    drawn, axes = figure(width=5.2, height=2.8)
    panel = axes[0, 0]
    colours = class_colours(len(curves))
    for k, (method, curve) in enumerate(curves.items()):
        look = {"color": colours[k], "marker": "osD^vPX*"[k % 8], "markersize": 4, "linewidth": 1.3}
        panel.plot(list(curve), list(curve.values()), label=method, **look)
    panel.set(xlabel="signal-to-noise ratio", ylabel="peaks found", ylim=(0, 1.02))
    panel.grid(axis="y", color=PALE, linewidth=0.4)
    legend_beside(panel)
    return drawn


def _mean_spectrum(traces: ArrayLike) -> np.ndarray:
    """Mean over items and channels of |FFT|, `(time // 2 + 1,)`."""
    return np.abs(np.fft.rfft(as_array(traces))).mean(axis=(0, 1))
