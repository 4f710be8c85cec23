"""Fully connected nets."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import nn
from typing_extensions import override

from vaelab.architecture.base import Architecture, Shape, activation, check_layers


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

    def _last(self, heads: int, dim: int | None) -> nn.Linear:
        return nn.Linear(self.widths[-1], heads * (dim or self.own_code(())))

    def _layers(self, widths: Sequence[int]) -> list[nn.Module]:
        pairs = pairwise(widths)
        return [layer for a, b in pairs for layer in (nn.Linear(a, b), activation(self.activation))]
