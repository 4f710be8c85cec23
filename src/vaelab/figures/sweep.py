"""What a sweep of beta trades: the rate of the code against the distortion of what comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vaelab.figures.style import BLUE, INK, PALE, RED, SMALL, as_array, figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike


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
