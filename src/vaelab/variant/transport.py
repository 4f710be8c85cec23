"""What all methods share that carry noise to items through time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from vaelab.errors import UserError
from vaelab.latent.densities import sample_codes
from vaelab.latent.gaussian import GaussianLatent
from vaelab.metrics.samples import compared
from vaelab.variant.average import averaged_copy, check_ema, move_average
from vaelab.variant.base import Method, Parts, in_chunks

if TYPE_CHECKING:
    from vaelab.architecture.base import Architecture
    from vaelab.data.batch import Batch
    from vaelab.latent.base import Latent

# A net of x `(batch, *shape)` and times `(batch,)` in [0, 1].
Field = Callable[[Tensor, Tensor], Tensor]

MOST_STEPS = 10_000  # far beyond where items change any more


class Transport(Method):
    """Noise is carried to items in `steps`, and a net tells the way at each time.

    The net is the architecture's `field`. It sees items less the mean of all numbers of the training items and over
    their standard deviation, which are kept in the checkpoint; there is no likelihood, and so no range that items must
    lie in. New items come from weights averaged over the training. The code of an item is the noise that it is made
    of, as many numbers as the item has, whatever `latent` says.

    A new one gives the `errors` that training minimises, and how noise is `carried`; and says `in_steps` at its end.
    """

    monitor: ClassVar[tuple[str, str]] = ("val/loss", "min")
    course: ClassVar[tuple[str, ...]] = ("loss",)
    has_latent: ClassVar[bool] = False
    field: nn.Module
    mean: Tensor
    scale: Tensor

    def __init__(self, parts: Parts, *, ema: float) -> None:
        super().__init__(parts)
        check_ema(ema)
        self.ema = ema
        self.steps: int
        self.latent = GaussianLatent(math.prod(self.shape))
        self.likelihood.requires_grad_(False)
        self.averaged = averaged_copy(self.field)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("scale", torch.ones(()))
        self.seen: Tensor

    @classmethod
    @override
    def nets(
        cls, architecture: Architecture, shape: Sequence[int], latent: Latent, own_code: bool
    ) -> dict[str, Callable[[], nn.Module]]:
        return {"field": partial(architecture.field, shape)}

    def check_data(self, low: float, high: float) -> None:
        """Any will do."""

    def setup(self, stage: str) -> None:
        """Measure training items; a run that is resumed then takes what its checkpoint has."""
        if stage == "fit":
            data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
            items = data.batch("train", compared(self.shape)).target.double()
            spread = items.std(correction=0)
            self.mean.copy_(items.mean())
            self.scale.copy_(torch.where(spread > 0, spread, 1))

    def in_steps(self, steps: int, setting: str = "variant.steps") -> None:
        """Make items in so many steps from now on. Raises `UserError`, naming the setting, if that cannot be."""
        if steps < 1:
            raise UserError(f"{setting} must be at least 1, not {steps}")
        if steps > MOST_STEPS:
            raise UserError(f"{setting} must be at most {MOST_STEPS:,}, not {steps:,}: items would take hours")
        self.steps = steps

    def scaled(self, x: Tensor) -> Tensor:
        """Items as the net sees them."""
        return (x - self.mean) / self.scale

    def errors(self, field: Field, x: Tensor) -> Tensor:
        """`(batch,)` mean square errors of a net on scaled items, each with noise and a time of its own."""
        raise NotImplementedError

    def carried(self, field: Field, noise: Tensor) -> Tensor:
        """Scaled items `(batch, *shape)` made of noise of that shape, and of nothing else."""
        raise NotImplementedError

    # Steps --------------------------------------------------------------------------------------------------------

    @override
    def step(self, batch: Batch, batch_idx: int) -> tuple[Tensor, dict[str, Tensor]]:
        # Once after each step, however many batches a step is made of.
        if self.global_step and batch_idx % self.trainer.accumulate_grad_batches == 0:
            move_average(self.averaged, self.field, self.global_step, self.ema)
        loss = self.errors(self.field, self.scaled(batch.target)).mean()
        return loss, {"loss": loss}

    # Validation ---------------------------------------------------------------------------------------------------

    @override
    def told(self) -> list[str]:
        return ["loss"]

    @override
    def on_validation_epoch_start(self) -> None:
        self.seen = torch.zeros(2, dtype=torch.float64, device=self.device)

    @override
    def on_test_epoch_start(self) -> None:
        self.on_validation_epoch_start()

    @override
    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        # The same noise and times in every epoch, so that what differs is the net.
        self._seed(-1, batch_idx, self.trainer.global_rank)
        errors = self.errors(self.averaged, self.scaled(batch.target)).double()
        self.seen += torch.stack([errors.sum(), errors.new_tensor(len(errors))])

    @override
    def on_validation_epoch_end(self) -> None:
        self._log_loss("val")

    @override
    def on_test_epoch_end(self) -> None:
        self._log_loss("test")

    def _log_loss(self, split: str) -> None:
        total, items = self.trainer.strategy.reduce(self.seen, reduce_op="sum").tolist()
        told = {f"{split}/loss": total / max(items, 1)}
        self.check_finite(told)
        # Every process holds the same sums already.
        self.log_dict(told, rank_zero_only=False)

    # Samples ------------------------------------------------------------------------------------------------------

    @override
    def sample(self, n: int, seed: int) -> Tensor:
        return self.made(sample_codes("prior", n, latent=self.latent, codes=None, seed=seed), seed)

    def decode(self, codes: Tensor, chunk: int = 256, out: Tensor | None = None) -> Tensor:
        """What noise `(n, code_size)` becomes when nothing is left to chance, encoded, on the CPU: `(n, *shape)`."""
        return self._items(self.carried, codes, chunk, out)

    def made(self, codes: Tensor, seed: int, *, noise: bool = False) -> Tensor:
        """As `decode`. Raises `UserError` where noise is asked for: there is no density to draw it from."""
        if noise:
            raise UserError(f"task.noise draws from a likelihood, and variant={self.name} has none: leave it false")
        return self.decode(codes)

    @torch.inference_mode()
    def _items(
        self, carry: Callable[[Field, Tensor], Tensor], codes: Tensor, chunk: int = 256, out: Tensor | None = None
    ) -> Tensor:
        def make(part: Tensor) -> Tensor:
            noise = part.to(self.device).unflatten(1, self.shape)
            return carry(self.averaged, noise) * self.scale + self.mean

        self.averaged.eval()
        return in_chunks(make, codes, self.shape, chunk, out)


def even_times(n: int, device: torch.device) -> Tensor:
    """`(n,)` times in [0, 1): each is uniform, and together they are spread evenly.

    Kingma et al. 2021, appendix I.1: the loss of a batch varies less.
    """
    return (torch.rand((), device=device) + torch.arange(n, device=device) / n) % 1


def at(field: Field, x: Tensor, time: float) -> Tensor:
    """What a net tells of x `(batch, *shape)` when all are at the same time."""
    return field(x, x.new_full((len(x),), time)).float()
