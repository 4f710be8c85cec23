"""The VAE whose decoder is a generator, too, against a critic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from vaelab.errors import UserError
from vaelab.variant.base import Parts
from vaelab.variant.gan import Adversarial, taken_for_true, told_apart
from vaelab.variant.vae import VAE

if TYPE_CHECKING:
    from vaelab.architecture.base import Architecture
    from vaelab.data.batch import Batch
    from vaelab.latent.base import Latent

FEATURES = 64  # numbers by which the critic compares items


class VAEGAN(Adversarial, VAE):
    """A VAE and a GAN that share the decoder (Larsen et al. 2016), with codes and a density as any VAE.

    With x̂ decoded from a posterior's code z, x̃ from one of the prior, f the critic's features and D its logit,

    - the encoder minimises the objective (−bound) + `similarity` · ½ ‖f(x) − f(x̂)‖², which is −log N(f(x); f(x̂), 1) up
      to a constant (eq. 7);
    - the decoder, and what the likelihood learns, minimise the same + `adversarial` · the cross-entropy of x̂ and x̃
      being taken for true ones, which has no gradient in the encoder;
    - the critic minimises the cross-entropy of telling x from x̂ and x̃, half of each (eq. 8).

    The paper drops the likelihood of x for that of f(x); here it stays, or there would be no density.
    """

    name: ClassVar[str] = "vae_gan"
    course: ClassVar[tuple[str, ...]] = (*VAE.course, "energy_distance", "critic_loss", "generator_loss", "unlikeness")

    def __init__(
        self, parts: Parts, *, critic_steps: int = 1, similarity: float = 1.0, adversarial: float = 10.0
    ) -> None:
        super().__init__(parts, critic_steps=critic_steps)
        for name, weight in (("similarity", similarity), ("adversarial", adversarial)):
            if weight < 0:
                raise UserError(f"variant.{name} must not be negative, not {weight}")
        self.similarity, self.adversarial = similarity, adversarial

    @classmethod
    @override
    def nets(
        cls, architecture: Architecture, shape: Sequence[int], latent: Latent, own_code: bool
    ) -> dict[str, Callable[[], nn.Module]]:
        nets = super().nets(architecture, shape, latent, own_code)
        return nets | {"critic": partial(_Critic, partial(architecture.encoder, shape, 1, FEATURES))}

    # Steps --------------------------------------------------------------------------------------------------------

    @override
    def critic_step(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        made = self._made(self.posterior(batch.x).sample())
        loss = told_apart(self._judged(batch.target), self._judged(made))
        return loss, {"critic_loss": loss}

    @override
    def generator_step(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        n = len(batch.x)
        drawn, params = self.pass_through(batch, self.objective.draws)
        unlikeness = self._unlikeness(batch.target, self.likelihood.mean(params[:n]))
        fooled = taken_for_true(self._judged(self._made(drawn.codes[:n].detach())))
        loss = self.loss(batch, drawn, params) + self.similarity * unlikeness + self.adversarial * fooled
        terms = {"loss": loss, "log_likelihood": drawn.mean_log_likelihood, "kl": drawn.mean_kl}
        return loss, terms | {"unlikeness": unlikeness, "generator_loss": fooled}

    def _made(self, codes: Tensor) -> Tensor:
        """What is decoded from these codes `(n, code_size)`, and from as many of the prior: `(2 n, *shape)`."""
        new = self.latent.prior_sample(len(codes)).to(codes)
        return self.likelihood.mean(self.params(torch.cat([codes, new])))

    def _judged(self, x: Tensor) -> Tensor:
        return self.critic(x).float()

    def _unlikeness(self, x: Tensor, reconstruction: Tensor) -> Tensor:
        """½ ‖f(x) − f(x̂)‖² of items `(batch, *shape)`, the mean over them."""
        with torch.no_grad():
            true = self.critic.features(x).float()  # type: ignore[operator]
        return 0.5 * (self.critic.features(reconstruction).float() - true).square().sum(1).mean()  # type: ignore[operator]

    def logged(self, means: dict[str, float]) -> dict[str, float]:
        """As a VAE's, where any of its steps was among those that are logged."""
        return super().logged(means) if "kl" in means else means

    # Validation ---------------------------------------------------------------------------------------------------

    @override
    def told(self) -> list[str]:
        return [*VAE.told(self), *super().told()]


class _Critic(nn.Module):
    """Features of items, and a logit of being true that is made of them."""

    def __init__(self, encoder: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.features = encoder()
        self.logit = nn.Sequential(nn.LeakyReLU(0.2), nn.Linear(FEATURES, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.logit(self.features(x))
