"""A map of a two-dimensional latent space."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from vaelab.errors import UserError
from vaelab.latent.gaussian import GaussianLatent
from vaelab.memory import NUMBER, check_size
from vaelab.run.checkpoint import Run
from vaelab.task.base import Output, check_numbers, evenly
from vaelab.variant.base import Decodes

SHOWN = 40  # items along a side of the sheet: more are not to be seen, and take minutes to draw


@dataclass
class Manifold:
    """Decode `n × n` codes that share the prior's mass evenly among them; for two Gaussian dimensions.

    The sheet shows at most 40 × 40 of them, evenly chosen.
    """

    needs: ClassVar[type] = Decodes

    n: int = 20

    def __call__(self, run: Run, out: Output) -> None:
        """Write `manifold.npy` `(n, n, *raw_shape)`, z₁ growing to the right and z₂ upwards, and one sheet as png."""
        from vaelab.figures.pictures import picture_grid
        from vaelab.figures.sheets import wave_sheet

        self._check_size(run)
        variant = run.variant
        assert isinstance(variant, Decodes)
        latent = variant.latent
        if not isinstance(latent, GaussianLatent) or latent.dims != 2:
            name = type(latent).__name__.removesuffix("Latent").lower()
            raise UserError(
                f"task=manifold maps two Gaussian dimensions, and this run has latent={name} latent.dim={latent.dims}: "
                f"train one with {'' if run.variant.has_latent else 'variant=vae '}latent=gaussian latent.dim=2"
            )
        check_size(NUMBER * self.n**2 * math.prod(run.variant.shape), "task.n")
        decoded = variant.decode(even_codes(self.n).flatten(0, 1))
        out.array("manifold", run.variant.codec.decode(decoded).unflatten(0, (self.n, self.n)))
        side = evenly(self.n, SHOWN)
        if len(side) < self.n:
            print(f"the sheet shows {len(side)} x {len(side)} of the {self.n} x {self.n}")
        drawn = run.variant.kind.drawable(decoded.unflatten(0, (self.n, self.n))[side][:, side].flatten(0, 1), None)
        if drawn.ndim == 4:
            sheet = picture_grid(drawn, columns=len(side), gap=run.variant.kind.gap)
        else:
            sheet = wave_sheet(drawn.unflatten(0, (len(side), len(side))))
        out.figure("manifold", sheet)

    def _check_size(self, run: Run) -> None:
        if self.n < 1:
            raise UserError(f"task.n must be at least 1, not {self.n}")
        check_numbers("task.n", self.n, run, power=2)


def even_codes(n: int) -> Tensor:
    """`(n, n, 2)` codes: an even grid on the unit square through the normal's inverse distribution function.

    Kingma and Welling 2014, appendix A. The first row is the upper one.
    """
    along = torch.special.ndtri((torch.arange(n) + 0.5) / n)
    z2, z1 = torch.meshgrid(along.flip(0), along, indexing="ij")
    return torch.stack([z1, z2], dim=-1)
