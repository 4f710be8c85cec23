"""Sine waves of one frequency: the simplest data whose latent space is known, a circle."""

from math import pi

import torch
from torch import Tensor

from vaelab.errors import UserError

BLOCK = 256  # waves made at once, to stay near the cache


def sine_waves(phase: Tensor, *, samples: int, cycles: float, amplitude: float = 1.0) -> Tensor:
    """Return `amplitude * sin(2 pi cycles t / samples + phase)` for t = 0 … samples - 1.

    Args:
        phase: `(n,)` in radians.
        samples: length of a wave.
        cycles: cycles in one wave; need not be whole.
        amplitude: peak of every wave.

    Returns:
        `(n, 1, samples)`, of the dtype and on the device of `phase`.

    Raises:
        UserError: if there are two samples or fewer to a cycle.
    """
    if not 0 < cycles < samples / 2:
        raise UserError(f"cycles={cycles} must lie between 0 and half of samples={samples}")
    turn = 2 * pi * (torch.arange(samples, dtype=phase.dtype, device=phase.device) * (cycles / samples))
    waves = phase.new_empty(len(phase), 1, samples)
    for some, start in zip(waves.split(BLOCK), phase[:, None, None].split(BLOCK), strict=True):
        torch.add(turn, start, out=some).sin_().mul_(amplitude)
    return waves
