"""Recurrent nets over time."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from typing_extensions import override

from vaelab.architecture.base import Architecture, Shape, check_rank
from vaelab.architecture.timed import CHANNELS, TOLD, Clock


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

    def field(self, shape: Shape) -> nn.Module:
        """Reads signal and time, and writes at each sample what it knows there."""
        check_rank(shape, 1, "lstm", "architecture=conv2d")
        return _Field(shape[0], self.width, self.layers)


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


class _Field(nn.Module):
    def __init__(self, channels: int, width: int, layers: int) -> None:
        super().__init__()
        self.clock = nn.Sequential(Clock(), nn.Linear(TOLD, CHANNELS))
        self.lstm = nn.LSTM(channels + CHANNELS, width, layers, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * width, channels)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        told = self.clock(time).unsqueeze(1).expand(-1, x.shape[2], -1)
        states, _ = self.lstm(torch.cat([x.transpose(1, 2), told], dim=2))
        return self.head(states).transpose(1, 2)
