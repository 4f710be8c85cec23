"""Plain convolutional nets, for signals and for pictures: halve, halve, …, code, double, double, …"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

from torch import nn
from typing_extensions import override

from vaelab.architecture.base import (
    Architecture,
    Shape,
    activation,
    check_halvable,
    check_layers,
    check_rank,
    halved_sizes,
)
from vaelab.architecture.timed import UNet


@dataclass
class Convolutional(Architecture):
    """`widths` channels, each step at half the size (rounded down), as many steps as the data allow.

    Kernels overlap in both directions, so decoded data show no staircase.
    """

    widths: Sequence[int] = (32, 64, 128)
    activation: str = "relu"
    rank: ClassVar[int] = 2
    other: ClassVar[str] = "mlp"

    def __post_init__(self) -> None:
        check_layers(self.widths)

    def _halve(self, before: int, after: int) -> list[nn.Module]:
        """`before` channels to `after` at half the size."""
        raise NotImplementedError

    def _same(self, before: int, after: int) -> nn.Module:
        """`before` channels to `after` at the same size."""
        raise NotImplementedError

    @override
    def own_code(self, shape: Shape) -> int:
        self._check(shape)
        return math.prod(self._code_shape(shape))

    @override
    def encoder(self, shape: Shape, heads: int, dim: int | None) -> nn.Module:
        self._check(shape)
        pairs = pairwise([shape[0], *self._widths(shape)])
        layers = [layer for before, after in pairs for layer in self._halve(before, after)]
        code = self._code_shape(shape)
        if dim is not None:
            return nn.Sequential(*layers, nn.Flatten(), nn.Linear(math.prod(code), heads * dim))
        conv = nn.Conv1d if self.rank == 1 else nn.Conv2d
        return nn.Sequential(*layers, conv(code[0], heads * code[0], 1), nn.Flatten())

    @override
    def decoder(self, shape: Shape, code_size: int | None) -> nn.Module:
        self._check(shape)
        code, sizes = self._code_shape(shape), halved_sizes(shape[1:], len(self.widths))
        first = [nn.Linear(code_size, math.prod(code)), activation(self.activation)] if code_size else []
        layers: list[nn.Module] = [*first, nn.Unflatten(1, code)]
        pairs = pairwise([*reversed(self._widths(shape)), shape[0]])
        for (before, after), size in zip(pairs, reversed(sizes[:-1]), strict=True):
            layers += self._double(before, after, size)
        return nn.Sequential(*layers[:-1])

    def field(self, shape: Shape) -> nn.Module:
        """A U-Net: the same steps down and up, and what is there at each size goes past the smaller ones."""
        self._check(shape)
        sizes, widths = halved_sizes(shape[1:], len(self.widths)), [self.widths[0], *self._widths(shape)]
        return UNet(
            widths,
            nn.Sequential(self._same(shape[0], widths[0]), activation(self.activation)),
            [nn.Sequential(*self._halve(a, b)) for a, b in pairwise(widths)],
            [nn.Sequential(*self._double(b, a, size)) for (a, b), size in zip(pairwise(widths), sizes, strict=False)],
            [nn.Sequential(self._same(width, width), activation(self.activation)) for width in widths[:-1]],
            self._same(widths[0], shape[0]),
        )

    def _double(self, before: int, after: int, size: Shape) -> list[nn.Module]:
        """`before` channels to `after` at this size, of which there was half."""
        transpose: Any = nn.ConvTranspose1d if self.rank == 1 else nn.ConvTranspose2d
        # Doubling gives an even size; the odd ones that rounding down lost come back here.
        odd = tuple(side % 2 for side in size)
        return [transpose(before, after, 4, 2, 1, output_padding=odd), activation(self.activation)]

    def _check(self, shape: Shape) -> None:
        name = type(self).__name__.lower()
        check_rank(shape, self.rank, name, f"architecture={self.other}")
        check_halvable(shape, name)

    def _widths(self, shape: Shape) -> Sequence[int]:
        return self.widths[: len(halved_sizes(shape[1:], len(self.widths))) - 1]

    def _code_shape(self, shape: Shape) -> tuple[int, ...]:
        sizes = halved_sizes(shape[1:], len(self.widths))
        return (self._widths(shape)[-1], *sizes[-1])


@dataclass
class Conv1d(Convolutional):
    """For signals: convolve, then pool. Four steps from 500 samples end in the published denoiser's 16 × 31 code.

    `kernel_size` is odd.
    """

    widths: Sequence[int] = (32, 64, 32, 16)
    kernel_size: int = 7
    rank: ClassVar[int] = 1
    other: ClassVar[str] = "conv2d"

    def __post_init__(self) -> None:
        check_layers(self.widths, self.kernel_size)

    def _halve(self, before: int, after: int) -> list[nn.Module]:
        return [self._same(before, after), activation(self.activation), nn.MaxPool1d(2)]

    def _same(self, before: int, after: int) -> nn.Module:
        return nn.Conv1d(before, after, self.kernel_size, padding=self.kernel_size // 2)


@dataclass
class Conv2d(Convolutional):
    """For pictures and spectrograms: convolutions of stride 2."""

    rank: ClassVar[int] = 2
    other: ClassVar[str] = "conv1d"

    def _halve(self, before: int, after: int) -> list[nn.Module]:
        return [nn.Conv2d(before, after, 4, 2, 1), activation(self.activation)]

    def _same(self, before: int, after: int) -> nn.Module:
        return nn.Conv2d(before, after, 3, padding=1)
