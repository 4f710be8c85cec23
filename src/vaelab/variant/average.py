"""Weights averaged over the training: what samples come from is steadier than any one step."""

import copy

import torch
from torch import Tensor, nn

from vaelab.errors import UserError


def averaged_copy(net: nn.Module) -> nn.Module:
    """A copy of a net that training leaves alone."""
    return copy.deepcopy(net).requires_grad_(False)


@torch.no_grad()
def move_average(averaged: nn.Module, net: nn.Module, steps: int, ema: float) -> None:
    """Move averaged weights towards those of a net after so many of its steps.

    `ema` of the average is kept (Yazıcı et al. 2019), and less in the beginning: all of the first is given up. What a
    net counts beside its weights, such as a norm's means, is taken as it is.
    """
    kept = min(ema, (steps - 1) / (steps + 9))
    weights: list[Tensor] = list(averaged.parameters())
    torch._foreach_lerp_(weights, list(net.parameters()), 1 - kept)
    for own, other in zip(averaged.buffers(), net.buffers(), strict=True):
        own.copy_(other)


def check_ema(ema: float) -> None:
    """Refuse a share that is none, or would keep the first weights for ever. Raises `UserError`."""
    if not 0 <= ema < 1:
        raise UserError(f"variant.ema must lie in [0, 1), not {ema}")
