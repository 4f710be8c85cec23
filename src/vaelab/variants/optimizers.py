"""Optimizers with their learning-rate schedules; a configuration binds the settings (`configs/optimizer/`)."""

import math
from collections.abc import Iterable
from typing import NamedTuple, Protocol

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from vaelab.errors import UserError


class Optimization(NamedTuple):
    """An optimizer, and the schedule of its learning rate by step, if it has one."""

    optimizer: Optimizer
    schedule: LRScheduler | None


class MakeOptimizer(Protocol):
    """The interface: a function whose further parameters, by name, are its settings."""

    def __call__(self, parameters: Iterable[nn.Parameter], total_steps: int) -> Optimization:
        """The optimizer of these parameters for a run of so many steps."""
        ...


def adam(
    parameters: Iterable[nn.Parameter],
    total_steps: int,
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
) -> Optimization:
    """Adam at a constant learning rate (Kingma and Ba 2015)."""
    return Optimization(torch.optim.Adam(parameters, lr=lr, betas=(betas[0], betas[1]), fused=True), None)


def adamw_cosine(
    parameters: Iterable[nn.Parameter],
    total_steps: int,
    *,
    lr: float = 1e-3,
    weight_decay: float = 1e-4,
    betas: tuple[float, float] = (0.9, 0.99),
    warmup_steps: int = 100,
    final: float = 0.01,
) -> Optimization:
    """AdamW, linear warm-up, then a cosine down to `final` · lr at the last step (Loshchilov and Hutter 2019).

    Raises:
        UserError: if `warmup_steps` is negative, or `final` is no share.
    """
    if warmup_steps < 0:
        raise UserError(f"optimizer.warmup_steps must not be negative, not {warmup_steps}")
    if not 0 <= final <= 1:
        raise UserError(f"optimizer.final must lie in [0, 1], not {final}")

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        progress = min((step - warmup_steps) / max(total_steps - warmup_steps, 1), 1.0)
        return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress))

    optimizer = torch.optim.AdamW(parameters, lr=lr, betas=(betas[0], betas[1]), weight_decay=weight_decay, fused=True)
    return Optimization(optimizer, LambdaLR(optimizer, factor))
