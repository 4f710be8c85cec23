"""Optimizers with their learning-rate schedules; a configuration binds the settings (`configs/optimizer/`)."""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


class Optimization(NamedTuple):
    """An optimizer, and the schedule of its learning rate by step, if it has one."""

    optimizer: Optimizer
    schedule: LRScheduler | None


class MakeOptimizer(Protocol):
    """The interface: a function whose further parameters, by name, are its settings."""

    def __call__(self, parameters: Iterable[nn.Parameter], total_steps: int) -> Optimization:
        """The optimizer of these parameters for a run of so many steps."""
        ...
