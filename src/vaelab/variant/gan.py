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


class Adversarial(Method):
    """Nets that make items, against a critic that tells these from true ones (Goodfellow et al. 2014).

    `critic_steps` steps train the critic, then one trains all that is not the critic's. The one optimizer leaves alone
    what a step has no gradient of.

    No loss tells how good the items are, since it depends on the critic. The best is the least energy distance of new
    items from the validation items.
    """

    monitor: ClassVar[tuple[str, str]] = ("val/energy_distance", "min")
    whole_steps: ClassVar[bool] = False
    critic: nn.Module

    def __init__(self, parts: Parts, *, critic_steps: int) -> None:
        super().__init__(parts)
        if critic_steps < 1:
            raise UserError(f"variant.critic_steps must be at least 1, not {critic_steps}")
        if not self.latent.has_prior:
            raise UserError(f"variant={self.name} draws codes from a prior, and latent=point has none: latent=gaussian")
        if not self.likelihood.has_mean:
            raise UserError(f"variant={self.name} makes what a likelihood's mean is: use likelihood=gaussian")
        self.critic_steps = critic_steps
        critics = set(map(id, self.critic.parameters()))
        # What learns in the critic's steps, and what in the others; weights that never learn are in neither.
        self.sides: dict[bool, list[nn.Parameter]] = {True: [], False: []}
        for weights in self.parameters():
            if weights.requires_grad:
                self.sides[id(weights) in critics].append(weights)
        self.true: list[Tensor] = []

    # Steps --------------------------------------------------------------------------------------------------------

    @override
    def step(self, batch: Batch, batch_idx: int) -> tuple[Tensor, dict[str, Tensor]]:
        trains_critic = self.global_step % (self.critic_steps + 1) < self.critic_steps
        for side, weights in self.sides.items():
            _set_learning(weights, side is trains_critic)
        return self.critic_step(batch) if trains_critic else self.generator_step(batch)

    def critic_step(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """As `step`, where the critic learns, and nothing else has a gradient."""
        raise NotImplementedError

    def generator_step(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """As `step`, where all but the critic learns."""
        raise NotImplementedError

    @override
    def configure_optimizers(self) -> Any:
        # All are the optimizer's, whichever the last step trained.
        for weights in self.sides.values():
            _set_learning(weights, True)
        return super().configure_optimizers()

    # Validation ---------------------------------------------------------------------------------------------------

    @override
    def told(self) -> list[str]:
        return ["energy_distance"]

    @override
    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        super().validation_step(batch, batch_idx)
        self.true.append(batch.target.cpu())

    @override
    def on_validation_epoch_end(self) -> None:
        super().on_validation_epoch_end()
        self._log_distance("val")

    @override
    def on_test_epoch_end(self) -> None:
        super().on_test_epoch_end()
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


def _set_learning(weights: list[nn.Parameter], learns: bool) -> None:
    for weight in weights:
        weight.requires_grad_(learns)


def told_apart(true: Tensor, made: Tensor) -> Tensor:
    """Cross-entropy in nats of telling true items from made ones by logits `(batch, 1)` of being true."""
    return F.softplus(-true).mean() + F.softplus(made).mean()


def taken_for_true(made: Tensor) -> Tensor:
    """Cross-entropy in nats of made items with these logits `(batch, 1)` being taken for true ones.

    It does not saturate: what the critic is sure of has the largest gradient (Goodfellow et al. 2014, section 3).
    """
    return F.softplus(-made).mean()


class GAN(Adversarial):
    """Two nets against each other (Goodfellow et al. 2014), with the non-saturating loss of the generator.

    The generator is the architecture's decoder, from a code of the latent's prior to what the likelihood takes for the
    mean; the critic is its encoder, with one output, a logit.

    New items come from a generator whose weights are the average over the training, `ema` of it kept with each of the
    generator's steps (Yazıcı et al. 2019), and less in the beginning.
    """

    name: ClassVar[str] = "gan"
    course: ClassVar[tuple[str, ...]] = ("energy_distance", "critic_loss", "generator_loss")
    generator: nn.Module

    def __init__(self, parts: Parts, *, critic_steps: int = 1, ema: float = 0.999) -> None:
        super().__init__(parts, critic_steps=critic_steps)
        check_ema(ema)
        self.ema = ema
        self.averaged = averaged_copy(self.generator)

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
        steps, turn = divmod(self.global_step, self.critic_steps + 1)
        # Once after each of the generator's steps, however many batches a step is made of.
        if turn == 0 and steps and batch_idx % self.trainer.accumulate_grad_batches == 0:
            move_average(self.averaged, self.generator, steps, self.ema)
        return super().step(batch, batch_idx)

    @override
    def critic_step(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        terms = self.critic_terms(batch.target, self.generated(self.new_codes(batch)))
        return terms["critic_loss"], terms

    @override
    def generator_step(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        loss = self.generator_loss(self.generated(self.new_codes(batch)))
        return loss, {"generator_loss": loss}

    def judged(self, x: Tensor) -> Tensor:
        """The critic's output for items `(batch, *shape)`: `(batch, 1)`."""
        return self.critic(x).float()

    def critic_terms(self, true: Tensor, made: Tensor) -> dict[str, Tensor]:
        """What the critic minimises of true and made items `(batch, *shape)`, its `critic_loss`, and what is logged."""
        return {"critic_loss": told_apart(self.judged(true), self.judged(made))}

    def generator_loss(self, made: Tensor) -> Tensor:
        """What the generator minimises of made items `(batch, *shape)`."""
        return taken_for_true(self.judged(made))

    def new_codes(self, batch: Batch) -> Tensor:
        """As many codes of the prior as a batch has items."""
        return self.latent.prior_sample(len(batch.target)).to(self.device)

    def generated(self, codes: Tensor) -> Tensor:
        """What the generator that learns makes of codes: `(batch, code_size)` → `(batch, *shape)`."""
        return self.likelihood.mean(self.generator(codes).float())

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
