"""AdamW with a warm-up and a cosine."""

import math
from collections.abc import Iterable

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from vaelab.errors import UserError
from vaelab.optimizer.base import Optimization


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
