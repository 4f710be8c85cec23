"""Recurrent nets over time."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from typing_extensions import override

from vaelab.architecture.base import Architecture, Shape, check_rank


@dataclass
class LSTM(Architecture):
    """Reads the signal sample by sample into its last state; writes one from a code repeated over time."""

    width: int = 64
    layers: int = 1

    @override
    def encoder(self, shape: Shape, heads: int, dim: int | None) -> nn.Module:
        check_rank(shape, 1, "lstm", "architecture=conv2d")
        return _Reader(shape[0], self.width, self.layers, heads * (dim or self.own_code(shape)))

    @override
    def decoder(self, shape: Shape, code_size: int | None) -> nn.Module:
        check_rank(shape, 1, "lstm", "architecture=conv2d")
        return _Writer(code_size or self.own_code(shape), self.width, self.layers, shape)


class _Reader(nn.Module):
    def __init__(self, channels: int, width: int, layers: int, outputs: int) -> None:
        super().__init__()
        # Both directions: the phase of a wave's start matters as much as that of its end.
        self.lstm = nn.LSTM(channels, width, layers, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        _, (hidden, _) = self.lstm(x.transpose(1, 2))
        return self.head(torch.cat([hidden[-2], hidden[-1]], dim=1))


class _Writer(nn.Module):
    def __init__(self, code_size: int, width: int, layers: int, shape: Shape) -> None:
        super().__init__()
        self.time = shape[1]
        self.spread = nn.Linear(code_size, width)
        self.lstm = nn.LSTM(width, width, layers, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * width, shape[0])

    def forward(self, code: Tensor) -> Tensor:
        repeated = self.spread(code).unsqueeze(1).expand(-1, self.time, -1)
        states, _ = self.lstm(repeated)
        return self.head(states).transpose(1, 2)
