"""Fully connected nets."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from typing_extensions import override

from vaelab.architecture.base import Architecture, Shape, activation, check_layers
from vaelab.architecture.timed import TOLD, Clock, Past


@dataclass
class MLP(Architecture):
    """Fully connected: `widths` from the data to the code, mirrored on the way back."""

    widths: Sequence[int] = (256, 128)
    activation: str = "relu"

    def __post_init__(self) -> None:
        check_layers(self.widths)

    @override
    def encoder(self, shape: Shape, heads: int, dim: int | None) -> nn.Module:
        return nn.Sequential(nn.Flatten(), *self._layers([math.prod(shape), *self.widths]), self._last(heads, dim))

    @override
    def decoder(self, shape: Shape, code_size: int | None) -> nn.Module:
        widths = [code_size or self.own_code(shape), *reversed(self.widths)]
        return nn.Sequential(
            *self._layers(widths),
            nn.Linear(widths[-1], math.prod(shape)),
            nn.Unflatten(1, tuple(shape)),
        )

    def field(self, shape: Shape) -> nn.Module:
        """Residual, with a block for each layer of encoder and decoder."""
        return _Field(shape, [*self.widths, *reversed(self.widths)], self.activation)

    def _last(self, heads: int, dim: int | None) -> nn.Linear:
        return nn.Linear(self.widths[-1], heads * (dim or self.own_code(())))

    def _layers(self, widths: Sequence[int]) -> list[nn.Module]:
        pairs = pairwise(widths)
        return [layer for a, b in pairs for layer in (nn.Linear(a, b), activation(self.activation))]


class _Field(nn.Module):
    """Residual blocks of these widths around as many numbers as the first has."""

    def __init__(self, shape: Shape, widths: Sequence[int], name: str) -> None:
        super().__init__()
        stream, numbers = widths[0], math.prod(shape)
        self.clock, self.past = Clock(), Past(shape[0])
        self.first = nn.Sequential(nn.Flatten(), nn.Linear(numbers, stream))
        self.blocks = nn.ModuleList([_Block(stream, width, name) for width in widths])
        last = nn.Linear(stream, numbers)
        self.last = nn.Sequential(nn.LayerNorm(stream), activation(name), last, nn.Unflatten(1, tuple(shape)))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        told, h = self.clock(time), self.first(x)
        for block in self.blocks:
            h = block(h, told)
        return self.last(h) + self.past(x, told)


class _Block(nn.Module):
    """Two layers that are told the time, added to what came in."""

    def __init__(self, stream: int, width: int, name: str) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(stream)
        self.body = nn.Sequential(nn.Linear(stream + TOLD, width), activation(name), nn.Linear(width, stream))

    def forward(self, h: Tensor, told: Tensor) -> Tensor:
        return h + self.body(torch.cat([self.norm(h), told], dim=1))
