"""A linear code of principal components, and residual nets that refine what goes into it and what comes out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from vaelab.architecture.base import Architecture, Shape, group_norm
from vaelab.architecture.resnet2d import MOST_BLOCKS, Block
from vaelab.architecture.timed import UNet
from vaelab.errors import UserError
from vaelab.linear import LinearCode

# Into about so many patches signals and pictures are parted, unless `patch` says otherwise.
PATCHES = {1: 128, 2: 256}
# Along a direction of such a share of the first one's variance there is next to nothing.
FLAT = 1e-4


@dataclass
class PCAResNet(Architecture):
    """Before the first step it is PCA of the training items, as they are augmented; training only adds to that.

    The encoder projects x + net(x), the decoder gives y + net(y) of what the code restores, y. Both nets see items, not
    codes: what is missing of a picture is told by its neighbourhood, and few items teach that, while a net from codes
    to items must first learn what the projection knows. Their last layers begin at zero. The log variance of a code is
    a learnt vector, as it is for the best linear code (Lucas et al. 2019).

    Attributes:
        width: channels of the nets.
        blocks: residual blocks of each.
        patch: side of the patches that are refined as one, or one for each axis; None: such that a picture has about
            16 × 16 of them, and a signal 128.
    """

    width: int = 64
    blocks: int = 3
    patch: int | list[int] | None = None

    def __post_init__(self) -> None:
        if self.width < 1:
            raise UserError(f"architecture.width must be at least 1, not {self.width}")
        if not 0 <= self.blocks <= MOST_BLOCKS:
            raise UserError(f"architecture.blocks must lie between 0 and {MOST_BLOCKS}, not {self.blocks}")
        if self.patch is not None and (not (given := self._given()) or min(given) < 1):
            raise UserError(f"architecture.patch must be at least 1, not {self.patch}")

    @override
    def encoder(self, shape: Shape, heads: int, dim: int | None) -> nn.Module:
        self._check(shape)
        dim = self.own_code(shape) if dim is None else dim
        return Projection(self._refine(shape), shape, heads, dim)

    @override
    def decoder(self, shape: Shape, code_size: int | None) -> nn.Module:
        self._check(shape)
        return Restoration(self._refine(shape), shape, self.own_code(shape) if code_size is None else code_size)

    def field(self, shape: Shape) -> nn.Module:
        """The residual net alone, which is told of time before its first block."""
        self._check(shape)
        first, *others = self._refine(shape, still=False)
        return UNet([self.width], first, [], [], [], nn.Sequential(*others))

    def _refine(self, shape: Shape, still: bool = True) -> nn.Sequential:
        size, patch = shape[1:], self._patch(shape)
        # Patches overlap by half of one on either side, so that no seams show.
        beside = [max(side // 2, 1) for side in patch]
        kernel = [side + 2 * more for side, more in zip(patch, beside, strict=True)]
        conv: Any = (nn.Conv1d, nn.Conv2d)[len(size) - 1]
        grow: Any = (nn.ConvTranspose1d, nn.ConvTranspose2d)[len(size) - 1]
        last = grow(self.width, shape[0], kernel, patch, beside)
        if still:
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        return nn.Sequential(
            nn.Sequential(_Filled(patch), conv(shape[0], self.width, kernel, patch, beside)),
            *(Block(self.width, conv, still=False) for _ in range(self.blocks)),
            group_norm(self.width),
            nn.SiLU(),
            last,
            _Cut(size),
        )

    def _patch(self, shape: Shape) -> list[int]:
        """The patch's side along each axis."""
        rank = len(shape) - 1
        if self.patch is None:
            return [max(round((math.prod(shape[1:]) / PATCHES[rank]) ** (1 / rank)), 1)] * rank
        given = self._given()
        return given * rank if len(given) == 1 else given

    def _given(self) -> list[int]:
        return [self.patch] if isinstance(self.patch, int) else list(self.patch or [])

    def _check(self, shape: Shape) -> None:
        rank = len(shape) - 1
        if rank not in PATCHES:
            raise UserError(f"architecture=pca_resnet cannot take data of shape {tuple(shape)}: use architecture=mlp")
        if self.patch is not None and len(self._given()) not in (1, rank):
            what = f"data of shape {tuple(shape)} in patches of {len(self._given())} axes"
            raise UserError(f"architecture=pca_resnet cannot take {what}: use architecture=pca_resnet")


class _Linear(nn.Module):
    """What both nets have in common: the mean item, and one weight for each direction and number of an item."""

    mean: Tensor
    weight: Tensor

    def __init__(self, refine: nn.Module, shape: Shape, size: int) -> None:
        super().__init__()
        self.refine, self.size = refine, size
        self.register_buffer("mean", torch.zeros(tuple(shape)))
        # Until it is told of a code, directions as they come.
        self.register_buffer("weight", torch.randn(size, math.prod(shape)) / math.sqrt(math.prod(shape)))

    def _begin(self, code: LinearCode, scale: Tensor) -> None:
        """Take over the directions of a code, of which there may be fewer than this has numbers."""
        self.mean.copy_(code.mean)
        self.weight.zero_()
        self.weight[: len(scale)] = scale[:, None] * code.directions.flatten(1)


class Projection(_Linear):
    """`(batch, *shape)` → the whitened code, and in the last head, if there are several, how unsure it is.

    That is the same of all items: `(batch, heads · dim)`.
    """

    def __init__(self, refine: nn.Module, shape: Shape, heads: int, dim: int) -> None:
        super().__init__(refine, shape, max(heads - 1, 1) * dim)
        self.log_variance = nn.Parameter(torch.zeros(dim)) if heads > 1 else None

    @torch.no_grad()
    def begin(self, code: LinearCode) -> None:
        """Project on a linear code's directions, each with variance 1; what one cannot tell is its variance."""
        varies = code.variances > FLAT * code.variances.max()
        self._begin(code, torch.where(varies, code.variances.rsqrt(), 0.0))
        if self.log_variance is not None:
            unknown = (code.rest / (code.variances + code.rest)).clamp(min=1e-6).log()
            known = torch.where(varies, unknown, 0.0)[: len(self.log_variance)]
            self.log_variance.zero_()
            self.log_variance[: len(known)] = known

    @override
    def forward(self, x: Tensor) -> Tensor:
        apart = x - self.mean
        mean = (apart + self.refine(apart)).flatten(1) @ self.weight.T
        if self.log_variance is None:
            return mean
        return torch.cat([mean, self.log_variance.expand(len(mean), -1)], dim=1)


class Restoration(_Linear):
    """The whitened code `(batch, size)` → `(batch, *shape)`."""

    @torch.no_grad()
    def begin(self, code: LinearCode) -> None:
        """Restore items from a linear code's directions."""
        self._begin(code, code.variances.sqrt())

    @override
    def forward(self, code: Tensor) -> Tensor:
        apart = (code @ self.weight).unflatten(1, self.mean.shape)
        return self.mean + apart + self.refine(apart)


class _Filled(nn.Module):
    """Edges repeated until each side is a whole number of patches: `(batch, channels, *size)`."""

    def __init__(self, patch: Sequence[int]) -> None:
        super().__init__()
        self.patch = tuple(patch)

    @override
    def forward(self, x: Tensor) -> Tensor:
        sides = zip(reversed(x.shape[2:]), reversed(self.patch), strict=True)
        missing = [end for side, patch in sides for end in (0, -side % patch)]
        return F.pad(x, missing, mode="replicate") if any(missing) else x


class _Cut(nn.Module):
    """Back to an item's own size: `(batch, channels, *size)`."""

    def __init__(self, size: Shape) -> None:
        super().__init__()
        self.size = tuple(size)

    @override
    def forward(self, x: Tensor) -> Tensor:
        for axis, side in enumerate(self.size, start=2):
            x = x.narrow(axis, 0, side)
        return x
