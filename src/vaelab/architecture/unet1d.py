"""A residual, dilated 1-D U-Net whose skips are part of the code."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from vaelab.architecture.base import Architecture, Shape, check_layers, check_rank, group_norm, halved_sizes
from vaelab.architecture.timed import Coded
from vaelab.errors import UserError


@dataclass
class UNet1d(Architecture):
    """Features at every scale go to the decoder, all of them through the latent: nothing leads past it.

    The code is the concatenation of one feature map a scale, so `latent=point` gives the usual U-Net, and any other
    latent sees, and pays for, every skip. `extremes` adds the powers |x|^p of the scaled input as channels: they tell
    how far a sample sticks out of its own trace.
    """

    widths: Sequence[int] = (16, 32, 48, 64, 64)
    kernel_size: int = 7
    dilations: Sequence[int] = (1,)
    extremes: Sequence[int] = (8, 32)

    def __post_init__(self) -> None:
        check_layers(self.widths, self.kernel_size)
        if not self.dilations or min(self.dilations) < 1:
            raise UserError(f"architecture.dilations must be at least 1, such as [1,2], not {list(self.dilations)}")

    @override
    def own_code(self, shape: Shape) -> int:
        self._check(shape, None)
        return sum(width * length for width, length in self._maps(shape))

    @override
    def encoder(self, shape: Shape, heads: int, dim: int | None) -> nn.Module:
        self._check(shape, dim)
        return _Contract(self, shape[0], self._maps(shape), heads)

    @override
    def decoder(self, shape: Shape, code_size: int | None) -> nn.Module:
        self._check(shape, code_size)
        return _Expand(self, self._maps(shape), shape[0])

    def field(self, shape: Shape) -> nn.Module:
        """Without `extremes`: powers of noise, which has no bounds, drown all else."""
        return Coded(replace(self, extremes=()), shape)

    def _check(self, shape: Shape, code: int | None) -> None:
        check_rank(shape, 1, "unet1d", "architecture=resnet2d")
        if code is not None:
            raise UserError("architecture=unet1d has a code of its own: leave latent.dim=null, or use conv1d")

    def _maps(self, shape: Shape) -> list[tuple[int, int]]:
        lengths = [size[0] for size in halved_sizes(shape[1:], len(self.widths) - 1)]
        return list(zip(self.widths, lengths, strict=False))

    def blocks(self, width: int) -> nn.Sequential:
        """One residual block a dilation."""
        return nn.Sequential(*[_Block(width, self.kernel_size, dilation) for dilation in self.dilations])


class _Block(nn.Module):
    def __init__(self, width: int, kernel_size: int, dilation: int) -> None:
        super().__init__()
        padding = dilation * (kernel_size // 2)
        self.body = nn.Sequential(
            group_norm(width),
            nn.SiLU(),
            nn.Conv1d(width, width, kernel_size, padding=padding, dilation=dilation),
            nn.SiLU(),
            nn.Conv1d(width, width, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class _Contract(nn.Module):
    """`(batch, channels, time)` → the maps of all scales, flat, head by head."""

    def __init__(self, net: UNet1d, channels: int, maps: list[tuple[int, int]], heads: int) -> None:
        super().__init__()
        self.extremes, self.heads = tuple(net.extremes), heads
        widths = [width for width, _ in maps]
        inputs = channels * (1 + len(self.extremes))
        self.stem = nn.Conv1d(inputs, widths[0], net.kernel_size, padding=net.kernel_size // 2)
        self.levels = nn.ModuleList([net.blocks(width) for width in widths])
        self.down = nn.ModuleList([nn.Conv1d(a, b, 2, 2) for a, b in pairwise(widths)])
        # One head is the features themselves: a further convolution would add nothing.
        self.out = nn.ModuleList(
            [nn.Conv1d(width, heads * width, 1) if heads > 1 else nn.Identity() for width in widths]
        )

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(torch.cat([x, *(x.abs() ** power for power in self.extremes)], dim=1))
        maps = []
        for k, level in enumerate(self.levels):
            h = level(h)
            maps.append(self.out[k](h).unflatten(1, (self.heads, -1)).flatten(2))
            h = self.down[k](h) if k < len(self.down) else h
        return torch.cat(maps, dim=2).flatten(1)


class _Expand(nn.Module):
    """The maps of all scales, flat → `(batch, channels, time)`."""

    def __init__(self, net: UNet1d, maps: list[tuple[int, int]], channels: int) -> None:
        super().__init__()
        self.maps = maps
        widths = [width for width, _ in maps]
        self.bottom = net.blocks(widths[-1])
        self.up = nn.ModuleList([nn.Conv1d(b, a, 1) for a, b in pairwise(widths)])
        self.levels = nn.ModuleList([net.blocks(width) for width in widths[:-1]])
        self.last = nn.Conv1d(widths[0], channels, net.kernel_size, padding=net.kernel_size // 2)

    def forward(self, code: Tensor) -> Tensor:
        parts = code.split([width * length for width, length in self.maps], dim=1)
        maps = [part.unflatten(1, shape) for part, shape in zip(parts, self.maps, strict=True)]
        h = self.bottom(maps[-1])
        for k in range(len(maps) - 2, -1, -1):
            h = self.levels[k](maps[k] + F.interpolate(self.up[k](h), size=self.maps[k][1]))
        return self.last(h)
