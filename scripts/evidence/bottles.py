"""Bottles: silhouettes of designs that were never seen, in a code of two numbers.

Data: 400 procedural designs in 10 zooms each, 64 x 64 pixels, split by design. IoU: the common area by the joint one,
both at half brightness. Edge error: the mean absolute error within two pixels of the true edge. Baselines: PCA with two
components, and the mean silhouette. `two truths` are bottles drawn from the true height and width, all else being as it
is in the middle of the designs: two numbers hold hardly more. R² of each factor is told by a random forest from the
code; height and width are most of a silhouette, and what is left of the others is not in two numbers. The prior gap is
the KL of all codes together from N(0, 1), in nats, by its lower bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import yaml

from evidence._bench import Bench, Case, Made
from evidence._claims import Claim, at_least, at_most
from vaelab.data.split import split_items
from vaelab.dataset.bottles import Bottles
from vaelab.metrics.shape import iou
from vaelab.simulators.bottles import RANGES, bottles

SEEN = ("height", "width")


def claims(bench: Bench) -> list[Claim]:
    """The plane, the factors in it, and two circles in its place."""
    case = with_truths(bench.case("experiment=bottles", *short(bench)))
    torus = bench.case("experiment=bottles", "latent=circle", *short(bench))
    area = {**beside("iou"), "two truths": "two_truths_iou"}
    rows = [
        case.row("IoU", "image/iou", at_least(bench.pick(0.9, 0.6)), area),
        case.row("edge error", "image/edge_error", at_most(bench.pick(0.13, 0.4)), beside("edge_error")),
        case.row("PSNR (dB)", "image/psnr_db", at_least(bench.pick(22, 14)), beside("psnr_db"), digits=2),
        case.row("prior gap (nats)", "test/prior_gap_at_least", at_most(bench.pick(0.3, 3))),
    ]
    for name in RANGES:
        expected = at_least(bench.pick(0.95, 0.3)) if name in SEEN else None
        pca = {"PCA": f"image/baseline/pca_r2_{name}"}
        rows.append(case.row(f"{name.replace('_', ' ')}: R²", f"image/r2_{name}", expected, pca))
    # Two phases are four numbers of a code, and PCA has as many.
    of_four = {"PCA with 4": "image/baseline/pca_iou", "mean": "image/baseline/mean_iou"}
    return [*rows, torus.row("two circles: IoU", "image/iou", at_least(bench.pick(0.88, 0.6)), of_four)]


def beside(measure: str) -> dict[str, str]:
    """Its baselines, by what they are called."""
    return {label: f"image/baseline/{label.lower()}_{measure}" for label in ("PCA", "mean")}


def short(bench: Bench) -> list[str]:
    """What makes a training quick."""
    return bench.pick([], ["dataset.designs=150", "dataset.zooms=6", "dataset.size=32", "trainer.max_epochs=6"])


def with_truths(case: Case) -> Case:
    """The same runs, and beside their measures the IoU of what is drawn from two true factors."""
    runs = [
        Made(run.folder, run.metrics | {"two_truths_iou": two_truths(settings(run))}, run.seconds) for run in case.runs
    ]
    return Case(runs, case.command)


def settings(run: Made) -> dict[str, Any]:
    """The configuration of a run."""
    return yaml.safe_load((run.folder / "config.yaml").read_text())


def two_truths(config: Mapping[str, Any]) -> float:
    """Mean IoU of held-out bottles with those drawn from their height and width alone."""
    names = ("designs", "zooms", "size", "seed")
    items = Bottles(**{name: config["dataset"][name] for name in names}).load()
    test = split_items(items, config["dataset"]["split"], config["seed"])["test"]
    middle = {name: np.full(len(test), np.mean(ends)) for name, ends in RANGES.items()}
    drawn = bottles(middle | {name: items.factors[name][test].numpy() for name in SEEN}, size=config["dataset"]["size"])
    true = items.raw[test].float() / 255
    return float(iou(torch.from_numpy(drawn).float() / 255, true).mean())
