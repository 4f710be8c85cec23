"""The course of a training, kept for its curves and across a resume."""

from __future__ import annotations

from typing import Any

import lightning as L
import torch
from typing_extensions import override

from vaelab.variant.base import Method


class History(L.Callback):
    """What the method names as its course by step, in training and validation, in `curves`.

    It goes from a name to a list of (step, value).
    """

    def __init__(self) -> None:
        self.curves: dict[str, list[tuple[int, float]]] = {}

    @override
    def state_dict(self) -> dict[str, Any]:
        # As tensors, which are copied and written in no time however long the run.
        return {"curves": {name: torch.tensor(points, dtype=torch.float64) for name, points in self.curves.items()}}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        curves = {name: torch.as_tensor(points, dtype=torch.float64) for name, points in state_dict["curves"].items()}
        self.curves = {name: [(int(step), value) for step, value in points.tolist()] for name, points in curves.items()}

    @override
    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        assert isinstance(module, Method)
        known: dict[str, Any] = {**trainer.callback_metrics, **module.latest}
        names = [f"{split}/{name}" for split in ("val", "train") for name in module.course]
        values = {name: float(known[name]) for name in names if name in known} | module.now()
        for name, value in values.items():
            self.curves.setdefault(name, []).append((trainer.global_step, value))
