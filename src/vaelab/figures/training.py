"""How a run went: every measure over the steps, training beside validation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vaelab.figures.style import BLUE, GREEN, INK, PALE, RED, axis_labels, legend_above, small_multiples, title

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    from vaelab.beta_schedule.base import Pressure

LOOKS = {"train": (BLUE, 0.9), "val": (RED, 1.4), "test": (GREEN, 1.4)}
TITLES = {
    "objective": "objective (nats)",
    "elbo": "ELBO (nats)",
    "log_likelihood": "log-likelihood (nats)",
    "kl": "KL (nats)",
    "beta": "beta",
}


def history_curves(history: dict[str, list[tuple[int, float]]], kept: int | None = None) -> Figure:
    """One panel a measure over the steps, training blue, validation red; the ELBO, its parts and beta first.

    Args:
        history: the measure's name, with its split before a slash where it has one (`train/elbo`, `val/kl`,
            `beta`), to its `(step, value)` pairs in order.
        kept: the step whose weights were kept, a dotted line in every panel.
    """
    measures = {name.rpartition("/")[2] for name in history}
    if history.get("val/objective") == history.get("val/elbo"):
        measures -= {"objective"}  # that is what it is
    order = [name for name in TITLES if name in measures] + sorted(measures - set(TITLES))
    drawn, panels = small_multiples(len(order), min(len(order), 2), panel_height=1.5, shared=False)
    for panel, measure in zip(panels, order, strict=True):
        for split, points in _splits(history, measure).items():
            colour, width = LOOKS.get(split, (INK, 1.2))
            # One point makes no line.
            marker = "o" if len(points) == 1 else ""
            panel.plot(*zip(*points, strict=True), color=colour, linewidth=width, label=split, marker=marker)
        if kept is not None:
            panel.axvline(kept, color=INK, linewidth=0.8, linestyle=":", label="kept")
        panel.grid(axis="y", color=PALE, linewidth=0.4)
        title(panel, TITLES.get(measure, measure.replace("_", " ")))
    axis_labels(drawn, "step")
    if any(split for name in history if (split := name.rpartition("/")[0])):
        legend_above(drawn, max(panels, key=lambda panel: len(panel.lines)))
    return drawn


def schedule_curve(pressure: Callable[[int], Pressure], steps: int, points: int = 1000) -> Figure | None:
    """Beta over a run's `steps`, and below it the capacity in nats, if there is one; None where nothing changes."""
    at = sorted({round(k * (steps - 1) / max(points - 1, 1)) for k in range(points)})
    asked = [pressure(step) for step in at]
    if len(set(asked)) == 1:
        return None
    curves = {"beta": [p.beta for p in asked]}
    if any(p.capacity for p in asked):
        curves["capacity (nats)"] = [p.capacity for p in asked]
    drawn, panels = small_multiples(len(curves), 1, panel_height=1.5, shared=False)
    for panel, (name, values) in zip(panels, curves.items(), strict=True):
        panel.plot(at, values, color=BLUE, linewidth=1.4)
        panel.set_ylim(bottom=0)
        panel.grid(axis="y", color=PALE, linewidth=0.4)
        title(panel, name)
    axis_labels(drawn, "step")
    return drawn


def _splits(history: dict[str, list[tuple[int, float]]], measure: str) -> dict[str, list[tuple[int, float]]]:
    """The measure's points by split; a measure that has none stands under the empty name."""
    parted = [(*name.rpartition("/"), points) for name, points in history.items() if points]
    by_split = {split: points for split, _, name, points in parted if name == measure}
    return {split: by_split[split] for split in sorted(by_split, key=[*LOOKS, *by_split].index)}
