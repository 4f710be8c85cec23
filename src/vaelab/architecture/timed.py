"""Nets of x at a time: what carries noise to items step by step is told by them which way to go."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from typing_extensions import override

from vaelab.errors import UserError

if TYPE_CHECKING:
    from vaelab.architecture.base import Architecture, Shape

# Sines and cosines of one time, and the fastest of them in radians over the whole time.
FEATURES, FASTEST = 32, 1000.0
# What nets are told of one time, in numbers; and how many channels it is where it joins x.
TOLD, CHANNELS = 64, 8


class Clock(nn.Module):
    """What nets are told of times `(batch,)` in [0, 1]: `(batch, TOLD)`.

    Sines and cosines of rising frequency (Vaswani et al. 2017, section 3.5), then two layers (Ho et al. 2020).
    """

    frequencies: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(FEATURES, TOLD), nn.SiLU(), nn.Linear(TOLD, TOLD))
        frequencies = torch.logspace(0, math.log10(FASTEST), FEATURES // 2)
        self.register_buffer("frequencies", frequencies, persistent=False)

    @override
    def forward(self, time: Tensor) -> Tensor:
        angles = time[:, None] * self.frequencies
        return self.layers(torch.cat([angles.sin(), angles.cos()], dim=1))


class Past(nn.Module):
    """A share of x `(batch, channels, *size)`, by the time: what a narrow net cannot hold, noise above all."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.share = nn.Linear(TOLD, channels)

    @override
    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        return over(self.share(told), x) * x


class Coded(nn.Module):
    """Any architecture's encoder and decoder: time joins x as further channels and, where it can, the code.

    The code is the architecture's own or, without one, has as many numbers as x.
    """

    def __init__(self, architecture: Architecture, shape: Shape) -> None:
        super().__init__()
        wide = (shape[0] + CHANNELS, *shape[1:])
        self.channels, self.own = shape[0], _has_own_code(architecture, wide)
        dim, size = (None, None) if self.own else (math.prod(shape), math.prod(shape) + CHANNELS)
        self.clock, self.time, self.past = Clock(), nn.Linear(TOLD, CHANNELS), Past(shape[0])
        # Of one shape, so that both know the same code.
        self.encoder, self.decoder = architecture.encoder(wide, 1, dim), architecture.decoder(wide, size)

    @override
    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        told = self.clock(time)
        channels = self.time(told)
        code = self.encoder(torch.cat([x, over(channels, x).expand(-1, -1, *x.shape[2:])], dim=1))
        made = self.decoder(code if self.own else torch.cat([code, channels], dim=1))
        return made[:, : self.channels] + self.past(x, told)


class UNet(nn.Module):
    """Halves, then doubles; what is there at each size goes past all smaller ones (Ronneberger et al. 2015).

    Time is added at each size (Ho et al. 2020, appendix B).

    Args:
        widths: of the features at each size, full, half, …
        first: x to features at full size.
        down: from each size to the next smaller one.
        up: from the next smaller one to each size.
        mix: what is done at each size that was come back to.
        last: features at full size to x.
    """

    def __init__(
        self,
        widths: Sequence[int],
        first: nn.Module,
        down: Sequence[nn.Module],
        up: Sequence[nn.Module],
        mix: Sequence[nn.Module],
        last: nn.Module,
    ) -> None:
        super().__init__()
        self.clock, self.first, self.last = Clock(), first, last
        self.times = nn.ModuleList([nn.Linear(TOLD, width) for width in widths])
        self.down, self.up, self.mix = nn.ModuleList(down), nn.ModuleList(up), nn.ModuleList(mix)

    @override
    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        told, h = self.clock(time), self.first(x)
        kept = []
        for k, down in enumerate(self.down):
            kept.append(h + over(self.times[k](told), h))
            h = down(kept[-1])
        h = h + over(self.times[-1](told), h)
        for k in reversed(range(len(kept))):
            h = self.mix[k](self.up[k](h) + kept[k])
        return self.last(h)


def over(values: Tensor, x: Tensor) -> Tensor:
    """`(batch, channels)` with axes behind, so that they hold all over x `(batch, …, *size)`."""
    return values.view(*values.shape, *[1] * (x.ndim - 2))


def _has_own_code(architecture: Architecture, shape: Shape) -> bool:
    try:
        architecture.own_code(shape)
    except UserError:
        return False
    return True
