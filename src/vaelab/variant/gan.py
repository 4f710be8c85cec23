"""The generative adversarial network: a generator of items, and a critic that tells them from true ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from vaelab.data.module import fair_draw
from vaelab.errors import UserError
from vaelab.latent.densities import sample_codes
from vaelab.metrics.samples import compared, energy_distance
from vaelab.variant.average import averaged_copy, check_ema, move_average
from vaelab.variant.base import Method, Parts, in_chunks

if TYPE_CHECKING:
    from vaelab.architecture.base import Architecture
    from vaelab.data.batch import Batch
    from vaelab.latent.base import Latent


class GAN(Method):
    """Two nets against each other (Goodfellow et al. 2014), with the non-saturating loss of the generator.

    The generator is the architecture's decoder, from a code of the latent's prior to what the likelihood takes for the
    mean; the critic is its encoder, with one output, a logit. Each step trains one of them: `critic_steps` the critic,
    then one the generator. The one optimizer leaves alone what a step has no gradient of.

    New items come from a generator whose weights are the average over the training, `ema` of it kept with each of the
    generator's steps (Yazıcı et al. 2019), and less in the beginning. The best is that with the least energy distance
    from the validation items.
    """

    name: ClassVar[str] = "gan"
    monitor: ClassVar[tuple[str, str]] = ("val/energy_distance", "min")
    course: ClassVar[tuple[str, ...]] = ("energy_distance", "critic_loss", "generator_loss")
    generator: nn.Module
    critic: nn.Module

    def __init__(self, parts: Parts, *, critic_steps: int = 1, ema: float = 0.999) -> None:
        super().__init__(parts)
        if critic_steps < 1:
            raise UserError(f"variant.critic_steps must be at least 1, not {critic_steps}")
        check_ema(ema)
        if not self.latent.has_prior:
            raise UserError(f"variant={self.name} draws codes from a prior, and latent=point has none: latent=gaussian")
        if not self.likelihood.has_mean:
            raise UserError(f"variant={self.name} makes what a likelihood's mean is: use likelihood=gaussian")
        self.critic_steps, self.ema = critic_steps, ema
        self.averaged = averaged_copy(self.generator)
        self.true: list[Tensor] = []

    @classmethod
    @override
    def nets(
        cls, architecture: Architecture, shape: Sequence[int], latent: Latent, own_code: bool
    ) -> dict[str, Callable[[], nn.Module]]:
        return {
            "generator": partial(architecture.decoder, shape, None if own_code else latent.code_size),
            "critic": partial(architecture.encoder, shape, 1, 1),
        }

    # Steps --------------------------------------------------------------------------------------------------------

    @override
    def step(self, batch: Batch, batch_idx: int) -> tuple[Tensor, dict[str, Tensor]]:
        turn = self.global_step % (self.critic_steps + 1)
        trains_critic = turn < self.critic_steps
        # Once after each of the generator's steps, however many batches a step is made of.
        if turn == 0 and self.global_step and batch_idx % self.trainer.accumulate_grad_batches == 0:
            move_average(self.averaged, self.generator, self.global_step // (self.critic_steps + 1), self.ema)
        self.critic.requires_grad_(trains_critic)
        self.generator.requires_grad_(not trains_critic)
        codes = self.latent.prior_sample(len(batch.target)).to(self.device)
        made = self.likelihood.mean(self.generator(codes).float())
        if not trains_critic:
            loss = self.generator_loss(made)
            return loss, {"generator_loss": loss}
        loss = self.critic_loss(batch.target, made)
        return loss, {"critic_loss": loss}

    def judged(self, x: Tensor) -> Tensor:
        """The critic's output for items `(batch, *shape)`: `(batch, 1)`."""
        return self.critic(x).float()

    def critic_loss(self, true: Tensor, made: Tensor) -> Tensor:
        """Cross-entropy in nats of telling true items `(batch, *shape)` from made ones."""
        return F.softplus(-self.judged(true)).mean() + F.softplus(self.judged(made)).mean()

    def generator_loss(self, made: Tensor) -> Tensor:
        """Cross-entropy in nats of made items being taken for true ones (Goodfellow et al. 2014, section 3)."""
        return F.softplus(-self.judged(made)).mean()

    @override
    def configure_optimizers(self) -> Any:
        # Both are the optimizer's, whichever the last step trained.
        self.critic.requires_grad_(True)
        self.generator.requires_grad_(True)
        return super().configure_optimizers()

    # Validation ---------------------------------------------------------------------------------------------------

    @override
    def told(self) -> list[str]:
        return ["energy_distance"]

    @override
    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.true.append(batch.target.cpu())

    @override
    def on_validation_epoch_end(self) -> None:
        self._log_distance("val")

    @override
    def on_test_epoch_end(self) -> None:
        self._log_distance("test")

    def _log_distance(self, split: str) -> None:
        """How far samples are from a draw of the split's items."""
        true = torch.cat(self.true)
        self.true.clear()
        true = true[fair_draw(len(true), compared(self.shape), self.seed)]
        made = self.sample(len(true), self.seed)
        told = {f"{split}/energy_distance": energy_distance(made, true)}
        self.check_finite(told)
        self.log_dict(told, sync_dist=True)

    # Samples ------------------------------------------------------------------------------------------------------

    @override
    def sample(self, n: int, seed: int) -> Tensor:
        return self.made(sample_codes("prior", n, latent=self.latent, codes=None, seed=seed), seed)

    @torch.inference_mode()
    def decode(self, codes: Tensor, chunk: int = 256, out: Tensor | None = None) -> Tensor:
        """What the averaged generator makes of codes, encoded, on the CPU: `(n, code_size)` → `(n, *shape)`."""

        def make(part: Tensor) -> Tensor:
            return self.likelihood.mean(self.averaged(part.to(self.device)).float())

        self.averaged.eval()
        return in_chunks(make, codes, self.shape, chunk, out)

    def made(self, codes: Tensor, seed: int, *, noise: bool = False) -> Tensor:
        """As `decode`. Raises `UserError` where noise is asked for: there is no density to draw it from."""
        if noise:
            raise UserError(f"task.noise draws from a likelihood, and variant={self.name} has none: leave it false")
        return self.decode(codes)
