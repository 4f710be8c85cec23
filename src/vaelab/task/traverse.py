"""What each latent dimension does to one item."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from vaelab.data.batch import Batch
from vaelab.errors import UserError
from vaelab.latent.base import Latent
from vaelab.latent.circle import CircleLatent
from vaelab.run.checkpoint import Run
from vaelab.task.base import Output, chosen_items, code_means, encode, read_file
from vaelab.variant.base import HasCode, Method

FRAME_MS = 120


@dataclass
class Traverse:
    """Move each of the `dims` dimensions with the largest KL through its prior, the others held at one item's mean.

    The item is a test item (None: one that is drawn), or the first in `file`. A Gaussian dimension goes from −`span` to
    `span` in `n` steps, in standard deviations of the prior; a phase goes once round from where the item has it.
    """

    needs: ClassVar[type] = HasCode

    item: int | None = None
    file: str = ""
    n: int = 9
    span: float = 3.0
    dims: int = 8

    def __call__(self, run: Run, out: Output) -> None:
        """Write `traversal.npy` `(dims, steps, *raw_shape)`, a row a dimension as png, all rows moving as gif."""
        from vaelab.figures.traversal import traversal_rows

        self._check(run)
        x, level = self._item(run)
        variant = run.variant
        assert isinstance(variant, HasCode)
        kl = mean_kl(run.variant, run.data().loader("test"))
        order = kl.argsort(descending=True, stable=True)[: self.dims]
        codes = traversal(code_means(run, x)[0], order, self.n, self.span, variant.latent)
        flat = codes.flatten(0, 1)
        decoded, levels = variant.decode(flat), level.expand(len(flat))
        grid = codes.shape[:2]
        out.array("traversal", run.variant.codec.decode(decoded, levels).unflatten(0, grid))
        drawn = run.variant.kind.drawable(decoded, levels).unflatten(0, grid)
        names = [f"$z_{{{k + 1}}}$" for k in order.tolist()]
        titles = [f"{name}   KL {value:.2f} nats" for name, value in zip(names, kl[order].tolist(), strict=True)]
        out.figure("traversal", traversal_rows(drawn, titles, *self._steps(run.variant.latent)))
        self._animate(run, out, drawn, names)

    def _check(self, run: Run) -> None:
        for name, least in (("n", 2), ("dims", 1)):
            if getattr(self, name) < least:
                raise UserError(f"task.{name} must be at least {least}, not {getattr(self, name)}")
        if self.item is not None and self.item < 0:
            raise UserError(f"task.item must be at least 0, not {self.item}")
        if self.span <= 0:
            raise UserError(f"task.span must be positive, not {self.span}")
        if not run.variant.latent.has_prior:
            raise UserError("task=traverse moves codes through their prior, and this run's have none: latent=gaussian")

    def _item(self, run: Run) -> tuple[Tensor, Tensor]:
        if self.file:
            return encode(run, read_file(run, self.file)[:1])
        chosen = chosen_items(run, "task.item", None if self.item is None else [self.item], 1)
        return chosen.x, chosen.level

    def _steps(self, latent: Latent) -> tuple[list[str], str]:
        """What stands below each column, and what it is."""
        if isinstance(latent, CircleLatent):
            return [f"{360 * k / self.n:.0f}°" for k in range(self.n)], "turned by"
        # Adding zero makes −0 plain.
        places = [f"{round(float(z), 2) + 0.0:g}" for z in np.linspace(-self.span, self.span, self.n)]
        return [place.replace("-", "−") for place in places], "code (standard deviations of the prior)"

    def _animate(self, run: Run, out: Output, drawn: Tensor, names: list[str]) -> None:
        from PIL import Image

        from vaelab.figures.traversal import traversal_frames

        frames = [Image.fromarray(frame) for frame in traversal_frames(drawn, names)]
        if not isinstance(run.variant.latent, CircleLatent):
            frames += frames[-2:0:-1]  # and back, for a loop without a jump
        with out.file("traversal.gif") as path:
            frames[0].save(path, save_all=True, append_images=frames[1:], duration=FRAME_MS, loop=0)


@torch.inference_mode()
def mean_kl(variant: Method, batches: Iterable[Batch]) -> Tensor:
    """`(dims,)` KL of each latent dimension in nats, averaged over items."""
    assert isinstance(variant, HasCode)
    return torch.cat([variant.posterior(batch.x.to(variant.device)).kl().cpu() for batch in batches]).mean(0)


def traversal(centre: Tensor, order: Tensor, steps: int, span: float, latent: Latent) -> Tensor:
    """`(dims, steps, code_size)` codes: in each row one dimension of `order` moves, the others stay at `centre`."""
    codes = centre.repeat(len(order), steps, 1)
    for row, k in zip(codes, order.tolist(), strict=True):
        if isinstance(latent, CircleLatent):
            cosine, sine = k, latent.dims + k
            phase = torch.atan2(centre[sine], centre[cosine]) + 2 * math.pi * torch.arange(steps) / steps
            row[:, cosine], row[:, sine] = phase.cos(), phase.sin()
        else:
            row[:, k] = torch.linspace(-span, span, steps)
    return codes
