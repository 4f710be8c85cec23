"""Optimizers with their learning-rate schedules; a configuration binds the settings (`configs/optimizer/`).

One of your own is a function, and its entry says `_partial_: true`::

    # myoptimizers.py
    import torch

    from vaelab.optimizer.base import Optimization


    def sgd(parameters, total_steps, *, lr: float = 0.01):
        optimizer = torch.optim.SGD(parameters, lr=lr)
        return Optimization(optimizer, torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0, total_steps))

    # mine/optimizer/sgd.yaml
    _target_: myoptimizers.sgd
    _partial_: true
    lr: 0.01

The schedule is stepped after every step; None leaves the learning rate as it is.
"""

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
