"""The masked autoencoder: parts of an item are hidden, and a net tells them from the rest."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from vaelab.errors import UserError
from vaelab.seeding import generator
from vaelab.variant.base import Method, Parts

if TYPE_CHECKING:
    from vaelab.architecture.base import Architecture
    from vaelab.data.batch import Batch
    from vaelab.latent.base import Latent

MASKS = 32  # that items are judged with
SMALLEST = 2  # side of a patch that nobody chose: single pixels are told by their neighbours
CHUNK = 256  # items that are filled at once


class Masked(Method):
    """Patches of an item are hidden by chance, and told from the others (He et al. 2021, section 3).

    An item is cut into patches of `patch` numbers along each side, all channels together; those at its end may be
    smaller. Of these a share of `mask` is hidden, other ones of each item and in each step. The net is the
    architecture's `field`, whose time stands still: it sees zeros where something is hidden, and one channel more that
    says where that is. What is minimised is the mean square error of the hidden numbers alone.

    It is judged with `MASKS` fixed masks, which items have in turn, so that what differs between two epochs is the net.
    There is no likelihood, and so no range that items must lie in, and nothing that new items could be made of.
    """

    name: ClassVar[str] = "masked"
    monitor: ClassVar[tuple[str, str]] = ("val/error", "min")
    course: ClassVar[tuple[str, ...]] = ("error",)
    has_latent: ClassVar[bool] = False
    field: nn.Module

    def __init__(self, parts: Parts, *, mask: float = 0.75, patch: int | None = None) -> None:
        super().__init__(parts)
        self.size = self.shape[1:]
        self.patch = fitting_patch(self.size, patch)
        self.grid = tuple(-(-side // self.patch) for side in self.size)
        if not 0 < mask < 1:
            raise UserError(f"variant.mask must lie between 0 and 1, not {mask}: it is the share that is hidden")
        patches = math.prod(self.grid)
        # Something to be told, and something to tell it from.
        self.count = min(max(round(mask * patches), 1), patches - 1)
        self.likelihood.requires_grad_(False)
        self.register_buffer("fixed", self._lots(MASKS, generator("masks", self.seed)), persistent=False)
        self.fixed: Tensor

    @classmethod
    @override
    def nets(
        cls, architecture: Architecture, shape: Sequence[int], latent: Latent, own_code: bool
    ) -> dict[str, Callable[[], nn.Module]]:
        return {"field": partial(architecture.field, (shape[0] + 1, *shape[1:]))}

    @property
    def has_samples(self) -> bool:
        """It makes nothing of nothing."""
        return False

    def check_data(self, low: float, high: float) -> None:
        """Any will do."""

    # Masks --------------------------------------------------------------------------------------------------------

    def hidden(self, item: Tensor) -> Tensor:
        """Which places of the items in these rows `(n,)` are hidden when they are judged: `(n, 1, *size)` bool."""
        return self._places(self.fixed[item.to(self.fixed.device) % MASKS]).to(item.device)

    def drawn(self, n: int) -> Tensor:
        """As `hidden`, for `n` items that are trained on; chance decides."""
        return self._places(self._lots(n, None))

    def _lots(self, n: int, chance: torch.Generator | None) -> Tensor:
        """`(n, patches)`; those of an item that have the lowest are hidden."""
        device = torch.device("cpu") if chance is not None else self.device
        return torch.rand(n, math.prod(self.grid), generator=chance, device=device)

    def _places(self, lots: Tensor) -> Tensor:
        hidden = (lots.argsort(1).argsort(1) < self.count).view(-1, 1, *self.grid)
        for axis in range(2, hidden.ndim):
            hidden = hidden.repeat_interleave(self.patch, axis)
        every = slice(None)
        return hidden[(every, every, *(slice(side) for side in self.size))]

    # Steps --------------------------------------------------------------------------------------------------------

    def told_of(self, x: Tensor, hidden: Tensor) -> Tensor:
        """Items `(batch, *shape)` as they are told from what is not `hidden` `(batch, 1, *size)`."""
        seen = torch.cat([x.masked_fill(hidden, 0), hidden.to(x)], dim=1)
        return self.field(seen, x.new_zeros(len(x)))[:, : self.shape[0]].float()

    def errors(self, batch: Batch, hidden: Tensor) -> Tensor:
        """`(batch,)` mean square errors of the hidden numbers."""
        from vaelab.metrics.inpainting import hidden_errors

        return hidden_errors(self.told_of(batch.x, hidden), batch.target, hidden)

    @override
    def step(self, batch: Batch, batch_idx: int) -> tuple[Tensor, dict[str, Tensor]]:
        error = self.errors(batch, self.drawn(len(batch.x))).mean()
        return error, {"error": error}

    @override
    def told(self) -> list[str]:
        return ["error"]

    @override
    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        error = self.errors(batch, self.hidden(batch.item)).mean()
        name = f"{'test' if self.trainer.testing else 'val'}/error"
        self.check_finite({name: float(error)})
        self.log(name, error, batch_size=len(batch.x), sync_dist=True)

    # Use ----------------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def fill(self, x: Tensor, hidden: Tensor) -> Tensor:
        """Encoded x `(n, *shape)`, on the CPU, with what is `hidden` `(n, 1, *size)` told from the rest."""
        self.eval()
        out = torch.empty(x.shape)
        for part, where, place in zip(x.split(CHUNK), hidden.split(CHUNK), out.split(CHUNK), strict=True):
            told = self.told_of(part.to(self.device), where.to(self.device)).cpu()
            place.copy_(torch.where(where.cpu(), told, part.cpu()))
        return out


def fitting_patch(size: Sequence[int], patch: int | None) -> int:
    """The side of patches that items of this `size` are cut into: the wished one, or one that suits them.

    Raises:
        UserError: if there are no two such patches in an item, or they are larger than it.
    """
    shortest, longest, words = min(size), max(size), " x ".join(map(str, size))
    if longest < 2:
        raise UserError(f"variant=masked hides parts of an item, and one of {words} has no parts: use another variant")
    if patch is None:
        return min(max(-(-shortest // 8), SMALLEST), max(shortest, 1) if longest > shortest else longest // 2)
    if patch < 1:
        raise UserError(f"variant.patch must be at least 1, not {patch}")
    most = shortest if longest > shortest else longest - 1
    if patch > most:
        raise UserError(
            f"variant.patch={patch} leaves no two patches, or is larger than an item of {words}: give at most {most}"
        )
    return patch
