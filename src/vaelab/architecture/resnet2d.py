"""Residual nets for pictures and spectrograms."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from vaelab.architecture.base import (
    Architecture,
    Shape,
    check_halvable,
    check_layers,
    check_rank,
    group_norm,
    halved_sizes,
)
from vaelab.architecture.timed import UNet
from vaelab.errors import UserError

MOST_BLOCKS = 1000  # deeper nets of this kind have not been trained (He et al. 2016)


@dataclass
class ResNet2d(Architecture):
    """Halve, then residual blocks, once for each of `widths`.

    No skip leads past the code, so interpolations move and the prior can be sampled. Nothing runs at full size but the
    first and the last convolution: there most of the time would go.
    """

    widths: Sequence[int] = (24, 48, 96, 128)
    blocks: int = 1

    def __post_init__(self) -> None:
        check_layers(self.widths)
        if not 0 <= self.blocks <= MOST_BLOCKS:
            raise UserError(f"architecture.blocks must lie between 0 and {MOST_BLOCKS}, not {self.blocks}")

    @override
    def own_code(self, shape: Shape) -> int:
        self._check(shape)
        return math.prod(self._code_shape(shape))

    @override
    def encoder(self, shape: Shape, heads: int, dim: int | None) -> nn.Module:
        self._check(shape)
        layers: list[nn.Module] = []
        for before, width in pairwise([shape[0], *self._widths(shape)]):
            layers += self._halve(before, width)
        width = self._widths(shape)[-1]
        layers += [group_norm(width), nn.SiLU()]
        if dim is None:
            return nn.Sequential(*layers, nn.Conv2d(width, heads * width, 1), nn.Flatten())
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(self.own_code(shape), heads * dim))

    @override
    def decoder(self, shape: Shape, code_size: int | None) -> nn.Module:
        self._check(shape)
        widths, sizes = self._widths(shape), halved_sizes(shape[1:], len(self.widths))
        code = self._code_shape(shape)
        layers: list[nn.Module] = [nn.Linear(code_size, math.prod(code))] if code_size else []
        layers += [nn.Unflatten(1, code), *self._blocks(widths[-1])]
        for (after, before), size in zip(reversed(list(pairwise(widths))), reversed(sizes[1:-1]), strict=True):
            layers += [nn.Conv2d(before, after, 3, padding=1), _Grow(size), *self._blocks(after)]
        layers += [group_norm(widths[0]), nn.SiLU(), _Grow(sizes[0])]
        return nn.Sequential(*layers, nn.Conv2d(widths[0], shape[0], 5, padding=2))

    def field(self, shape: Shape) -> nn.Module:
        """A U-Net: the same steps down and up, and what is there at each size goes past the smaller ones."""
        self._check(shape)
        sizes, widths = halved_sizes(shape[1:], len(self.widths)), [self.widths[0], *self._widths(shape)]
        pairs = list(zip(pairwise(widths), sizes, strict=False))
        return UNet(
            widths,
            nn.Conv2d(shape[0], widths[0], 3, padding=1),
            [nn.Sequential(*self._halve(a, b)) for a, b in pairwise(widths)],
            [nn.Sequential(nn.Conv2d(b, a, 3, padding=1), _Grow(size)) for (a, b), size in pairs],
            [nn.Identity(), *(nn.Sequential(*self._blocks(width)) for width in widths[1:-1])],
            nn.Sequential(group_norm(widths[0]), nn.SiLU(), nn.Conv2d(widths[0], shape[0], 5, padding=2)),
        )

    def _halve(self, before: int, after: int) -> list[nn.Module]:
        return [nn.Conv2d(before, after, 4, 2, 1), *self._blocks(after)]

    def _check(self, shape: Shape) -> None:
        check_rank(shape, 2, "resnet2d", "architecture=conv1d")
        check_halvable(shape, "resnet2d")

    def _widths(self, shape: Shape) -> Sequence[int]:
        return self.widths[: len(halved_sizes(shape[1:], len(self.widths))) - 1]

    def _code_shape(self, shape: Shape) -> tuple[int, ...]:
        return (self._widths(shape)[-1], *halved_sizes(shape[1:], len(self.widths))[-1])

    def _blocks(self, width: int) -> list[nn.Module]:
        return [Block(width) for _ in range(self.blocks)]


class Block(nn.Module):
    """Norm, activate, convolve, twice, added to what came in (He et al. 2016, pre-activation).

    A `still` one adds nothing before the first step.
    """

    def __init__(self, width: int, conv: type[nn.Conv1d] | type[nn.Conv2d] = nn.Conv2d, *, still: bool = True) -> None:
        super().__init__()
        layers = (layer for _ in range(2) for layer in (group_norm(width), nn.SiLU(), conv(width, width, 3, padding=1)))
        self.body = nn.Sequential(*layers)
        if still:
            nn.init.zeros_(self.body[-1].weight)  # type: ignore[arg-type]

    @override
    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class _Grow(nn.Module):
    """To `size` along straight lines: repeated pixels would show as a grid, a transposed convolution as a checkerboard.

    Odena et al. 2016, "Deconvolution and checkerboard artifacts".
    """

    def __init__(self, size: Sequence[int]) -> None:
        super().__init__()
        self.size = tuple(size)

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, size=self.size, mode="bilinear", align_corners=False)
