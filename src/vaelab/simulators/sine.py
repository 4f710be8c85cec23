"""Sine waves of one frequency: the simplest data whose latent space is known, a circle."""

from math import pi

import torch
from torch import Tensor

from vaelab.errors import UserError


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
    turn = torch.arange(samples, dtype=phase.dtype, device=phase.device) * (cycles / samples)
    return amplitude * torch.sin(2 * pi * turn + phase[:, None, None])
