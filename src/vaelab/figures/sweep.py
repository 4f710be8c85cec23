"""What a sweep shows: how its groups compare, and what a sweep of beta trades."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vaelab.figures.style import (
    BLUE,
    GREY,
    INK,
    PALE,
    RED,
    SMALL,
    as_array,
    class_colours,
    figure,
    legend_beside,
    literal,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

# How many times the least value the greatest is, where an axis becomes logarithmic.
WIDE = 30
# The area of the group that was trained longest, in square points.
LARGEST = 250


def rate_distortion(betas: Sequence[float], kl: ArrayLike, distortion: ArrayLike) -> Figure:
    """Distortion over rate, each point with its beta (Alemi et al. 2018, figure 3), and beside it both over beta.

    Lines join the means over the seeds; each seed is a dot.

    Args:
        betas: rising, above 0.
        kl: `(seeds, betas)`, the rate in nats.
        distortion: `(seeds, betas)`, −log-likelihood in nats.
    """
    rate, loss = np.atleast_2d(as_array(kl)), np.atleast_2d(as_array(distortion))
    drawn, axes = figure(columns=2, height=2.8)
    plane, over_beta = axes[0]
    _line(plane, rate, loss, INK)
    for names, point in _labels(betas, rate.mean(0), loss.mean(0)):
        plane.annotate(names, point, (5, 3), textcoords="offset points", fontsize=SMALL, color=INK)
    plane.set(xlabel="rate: KL (nats)", ylabel="distortion: −log-likelihood (nats)")
    repeated = np.broadcast_to(np.asarray(betas, dtype=float), rate.shape)
    _line(over_beta, repeated, rate, BLUE, "rate")
    _line(over_beta, repeated, loss, RED, "distortion")
    over_beta.set(xscale="log", xlabel="beta", ylabel="nats", ylim=(0, None))
    over_beta.set_xticks(list(betas), [f"{beta:g}" for beta in betas])
    over_beta.minorticks_off()
    over_beta.legend(frameon=False, fontsize=SMALL)
    return drawn


def _labels(betas: Sequence[float], x: np.ndarray, y: np.ndarray) -> list[tuple[str, tuple[float, float]]]:
    """Each point with its beta; neighbours that a reader cannot tell apart share one label."""
    near = 0.03 * max(float(np.ptp(x)), 1e-12), 0.03 * max(float(np.ptp(y)), 1e-12)
    labels: list[tuple[str, tuple[float, float]]] = []
    for beta, a, b in zip(betas, x.tolist(), y.tolist(), strict=True):
        if labels and abs(labels[-1][1][0] - a) < near[0] and abs(labels[-1][1][1] - b) < near[1]:
            labels[-1] = (f"{labels[-1][0]}, {beta:g}", labels[-1][1])
        else:
            labels.append((f"{beta:g}", (a, b)))
    return labels


def _line(panel: Axes, x: np.ndarray, y: np.ndarray, colour: str, label: str | None = None) -> None:
    panel.plot(x.mean(0), y.mean(0), color=colour, linewidth=1.3, label=label)
    panel.plot(x.ravel(), y.ravel(), color=colour, linestyle="none", marker="o", markersize=2.5)
    panel.grid(color=PALE, linewidth=0.4)


def ranked_groups(groups: Mapping[str, Sequence[float]], label: str) -> Figure:
    """One row a group, the first on top: the mean over its seeds with the standard deviation, and each seed a dot.

    Args:
        groups: the values of a measure by seed, one or more in each group.
        label: the measure.
    """
    drawn, axes = figure(height=min(0.7 + 0.22 * len(groups), 60))
    panel: Axes = axes[0, 0]
    for row, values in enumerate(groups.values()):
        panel.plot(values, [row + 0.25] * len(values), color=GREY, linestyle="none", marker="o", markersize=2.5)
        mean, spread = _mean_and_spread(values)
        panel.errorbar(mean, row, xerr=spread, color=BLUE, marker="o", markersize=5, linewidth=1.3, capsize=2.5)
    panel.set_yticks(range(len(groups)), list(map(literal, groups)))
    panel.set_ylim(len(groups) - 0.5, -0.5)
    everything = np.concatenate([np.asarray(values, dtype=float) for values in groups.values()])
    # Where one group is tens of times another, the rest would be one dot.
    if everything.min() > 0 and everything.max() > WIDE * everything.min():
        panel.set_xscale("log")
    panel.set_xlabel(literal(label))
    panel.grid(axis="x", color=PALE, linewidth=0.4)
    return drawn


def quality_over_diversity(
    groups: Mapping[str, Sequence[Sequence[float]]], quality: str = "quality", diversity: str = "diversity"
) -> Figure:
    """Each group at its mean over the seeds, with standard deviations; its area goes with the time of the training.

    Args:
        groups: of each the values by seed of quality, of diversity, and seconds of training.
        quality: the name of the first, on the upright axis.
        diversity: that of the second.
    """
    drawn, axes = figure(height=3.4)
    panel: Axes = axes[0, 0]
    longest = max(float(np.mean(seconds)) for _, _, seconds in groups.values())
    for (name, (true, covered, seconds)), colour in zip(groups.items(), class_colours(len(groups)), strict=True):
        (x, across), (y, up), took = _mean_and_spread(covered), _mean_and_spread(true), float(np.mean(seconds))
        panel.errorbar(x, y, xerr=across, yerr=up, color=colour, linewidth=1, zorder=1)
        label = f"{literal(name)}: {took:.3g} s"
        area = LARGEST * max(took / max(longest, 1e-9), 0.02)
        panel.scatter(x, y, area, color=[colour], alpha=0.75, linewidths=0, label=label, zorder=2)
    panel.set(xlabel=literal(diversity), ylabel=literal(quality))
    panel.margins(0.15)
    panel.grid(color=PALE, linewidth=0.4)
    legend_beside(panel, title="area: time of training", title_fontsize=SMALL)
    for handle in panel.get_legend().legend_handles:  # type: ignore[union-attr]
        handle.set_sizes([30])  # type: ignore[union-attr]
    return drawn


def _mean_and_spread(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean and the standard deviation (n − 1); of one value there is none."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None
