"""Codes in the latent space, and how much each of its dimensions carries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vaelab.figures.style import (
    BLUE,
    INK,
    PALE,
    RED,
    as_array,
    axis_labels,
    class_colours,
    column_count,
    figure,
    legend_beside,
    literal,
    small_multiples,
    title,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

BARS = 256  # more are narrower than a pixel or two, and each is drawn on its own


def latent_scatter(codes: ArrayLike, labels: ArrayLike | None = None, label_names: Sequence[str] = ()) -> Figure:
    """The codes, one colour a class: a histogram in one dimension, a scatter in two, beyond that two by PCA.

    Args:
        codes: `(items, dimensions)`.
        labels: `(items,)` the number of each item's class.
        label_names: the name of class 0, 1, …; where missing, the number is the name.
    """
    points, axis_names = _plane(as_array(codes))
    drawn, axes = figure(width=4.4 if labels is None else 5.2, height=3.9)
    panel = axes[0, 0]
    handles, names = [], []
    for name, colour, members in _classes(len(points), labels, label_names):
        handles.append(_draw_class(panel, points[members], colour))
        names.append(literal(name))
    panel.set(xlabel=axis_names[0], ylabel=axis_names[1])
    if points.shape[1] == 2:
        panel.set_aspect("equal", adjustable="datalim")
    if labels is not None:
        # matplotlib's own labels must not begin with an underscore.
        legend_beside(panel, handles=handles, labels=names, ncols=1 + len(names) // 20, markerscale=2)
    return drawn


def latent_histograms(codes: ArrayLike, count: int = 16) -> Figure:
    """The density of each dimension against N(0, 1): those that vary most, if there are more than `count`.

    Args:
        codes: `(items, dimensions)`.
        count: the most dimensions that are drawn.
    """
    values = as_array(codes)
    chosen = np.sort(np.argsort(-values.std(axis=0), kind="stable")[:count])
    drawn, panels = small_multiples(len(chosen), column_count(len(chosen)), panel_height=1.2)
    reach = max(4.0, float(np.abs(values[:, chosen]).max()))
    grid = np.linspace(-reach, reach, 201)
    normal = np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi)
    for panel, k in zip(panels, chosen, strict=True):
        column = values[:, k]
        panel.hist(column, bins=41, range=(-reach, reach), density=True, color=BLUE, alpha=0.55)
        panel.plot(grid, normal, color=INK, linewidth=0.9)
        mean = f"{round(float(column.mean()), 2) + 0.0:.2f}".replace("-", "−")
        title(panel, f"$z_{{{k + 1}}}$   {mean} ± {column.std():.2f}")
        panel.set_ylim(0, min(panel.get_ylim()[1], 3 * normal.max()))
    axis_labels(drawn, "code (line: N(0, 1))", "density")
    return drawn


def kl_bars(kl_per_dimension: ArrayLike, threshold: float = 0.01) -> Figure:
    """KL of each dimension in nats, largest first; the dashed line parts the active from those that are not.

    Args:
        kl_per_dimension: `(dimensions,)` mean over the data, in nats.
        threshold: nats above which a dimension is called active.
    """
    kl = np.sort(as_array(kl_per_dimension))[::-1]
    active = kl > threshold
    drawn, axes = figure(width=4.6, height=2.4)
    panel = axes[0, 0]
    if len(kl) > BARS:
        # One shape for those that are active and one for the others, which are behind them.
        edges, count = np.arange(len(kl) + 1) + 0.5, active.sum()
        panel.stairs(kl[:count], edges[: count + 1], fill=True, color=BLUE)
        panel.stairs(kl[count:], edges[count:], fill=True, color=PALE)
    else:
        panel.bar(np.arange(1, len(kl) + 1), kl, color=np.where(active, BLUE, PALE), width=0.8)
    panel.axvline(active.sum() + 0.5, color=RED, linewidth=0.8, linestyle=(0, (4, 3)))
    panel.set(xlabel="dimension, by KL", ylabel="KL (nats)", xlim=(0.4, len(kl) + 0.6))
    panel.xaxis.get_major_locator().set_params(integer=True)
    title(panel, f"{active.sum()} of {len(kl)} active (above {threshold:g} nats), {kl.sum():.1f} nats in all")
    return drawn


def _plane(codes: np.ndarray) -> tuple[np.ndarray, tuple[str, str]]:
    """The codes in at most two dimensions, `(items, 1 or 2)`, and what the axes mean."""
    if codes.shape[1] == 1:
        return codes, ("$z_1$", "density")
    if codes.shape[1] == 2 or len(codes) < 2:  # one item has no direction in which it varies
        return codes[:, :2], ("$z_1$", "$z_2$")
    from sklearn.decomposition import PCA

    pca = PCA(n_components=2, random_state=0)
    with np.errstate(invalid="ignore"):  # collapsed codes are one point, and explain 0 of 0
        points = pca.fit_transform(codes)
    first, second = 100 * np.nan_to_num(pca.explained_variance_ratio_)
    return points, (f"PC 1 ({first:.0f} % of variance)", f"PC 2 ({second:.0f} % of variance)")


def _classes(items: int, labels: ArrayLike | None, label_names: Sequence[str]) -> Iterator[tuple[str, Any, np.ndarray]]:
    """Name, colour and members of each class that is present; without labels all items in one."""
    if labels is None:
        yield "", BLUE, np.ones(items, bool)
        return
    numbers = as_array(labels)
    present = np.unique(numbers)
    for number, colour in zip(present, class_colours(len(present)), strict=True):
        name = label_names[number] if 0 <= number < len(label_names) else str(number)
        yield name, colour, numbers == number


def _draw_class(axes: Axes, points: np.ndarray, colour: Any) -> Any:
    """What stands for the class in a legend."""
    if points.shape[1] == 1:
        axes.hist(points[:, 0], bins=40, density=True, histtype="stepfilled", color=colour, alpha=0.5)
        return axes.patches[-1]
    # Thousands of points must not become one blot.
    size = float(np.clip(6000 / len(points) ** 0.9, 2, 12))
    return axes.scatter(
        points[:, 0],
        points[:, 1],
        s=size,
        color=colour,
        alpha=0.75,
        linewidths=0,
        rasterized=True,
    )
