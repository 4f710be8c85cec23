"""How the importance-weighted bound tightens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vaelab.figures.style import BLUE, PALE, as_array, figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike


def k_curve(ks: Sequence[int], bounds: ArrayLike, errors: ArrayLike) -> Figure:
    """The mean bound over the number of draws, with a band of one standard error to either side.

    Args:
        ks: numbers of draws, rising.
        bounds: `(len(ks),)` in nats.
        errors: `(len(ks),)` standard errors in nats.
    """
    mean, error = as_array(bounds), as_array(errors)
    drawn, axes = figure(width=4.6, height=2.8)
    panel = axes[0, 0]
    panel.fill_between(ks, mean - error, mean + error, color=PALE, linewidth=0)
    panel.plot(ks, mean, color=BLUE, marker="o", markersize=3, linewidth=1.3)
    panel.set(xscale="log" if np.ptp(ks) else "linear", xlabel="draws for each item, k", ylabel="bound (nats)")
    return drawn
