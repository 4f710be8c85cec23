"""Adam at a constant learning rate."""

from collections.abc import Iterable

import torch
from torch import nn

from vaelab.optimizer.base import Optimization


def adam(
    parameters: Iterable[nn.Parameter],
    total_steps: int,
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
) -> Optimization:
    """Adam at a constant learning rate (Kingma and Ba 2015)."""
    return Optimization(torch.optim.Adam(parameters, lr=lr, betas=(betas[0], betas[1]), fused=True), None)
