"""What GANs have in common whose critic estimates a distance, its gradients penalised item by item."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from typing_extensions import override

from vaelab.errors import UserError
from vaelab.variant.base import Parts
from vaelab.variant.gan import GAN


class Wasserstein(GAN):
    """The critic minimises E[critic(made)] − E[critic(true)] + `penalty_of`; the generator −E[critic(made)].

    Without the penalty and with the other sign it is the critic's estimate of the distance, logged as `distance`.
    """

    course: ClassVar[tuple[str, ...]] = ("energy_distance", "distance", "critic_loss", "generator_loss")

    def __init__(self, parts: Parts, *, critic_steps: int = 5, ema: float = 0.999) -> None:
        super().__init__(parts, critic_steps=critic_steps, ema=ema)
        norms = sorted({type(net).__name__ for net in self.critic.modules() if isinstance(net, _BatchNorm)})
        if norms:
            raise UserError(
                f"variant={self.name} penalises each item's own gradient, and {norms[0]} in the architecture's encoder "
                "mixes the items of a batch: take GroupNorm or none"
            )

    def own_nets(self) -> list[nn.Module]:
        """All but the critic: what is compiled cannot be differentiated twice."""
        return [net for net in super().own_nets() if net is not self.critic]

    def penalty_of(self, true: Tensor, made: Tensor) -> Tensor:
        """What the critic pays for its gradients around true and made items `(batch, *shape)`: a scalar."""
        raise NotImplementedError

    @override
    def critic_terms(self, true: Tensor, made: Tensor) -> dict[str, Tensor]:
        distance = self.judged(true).mean() - self.judged(made).mean()
        return {"critic_loss": self.penalty_of(true, made) - distance, "distance": distance}

    @override
    def generator_loss(self, made: Tensor) -> Tensor:
        return -self.judged(made).mean()

    def slopes(self, x: Tensor) -> Tensor:
        """The norm of the critic's gradient at each item `(batch, *shape)`: `(batch,)`, to be differentiated again.

        In single precision, whatever the rest is trained in: half precision rounds small gradients to zero.
        """
        x = x.detach().requires_grad_()
        with self._differentiable_twice():
            (gradient,) = torch.autograd.grad(self.judged(x).sum(), x, create_graph=True)
        return gradient.flatten(1).norm(dim=1)

    @contextmanager
    def _differentiable_twice(self) -> Iterator[None]:
        with ExitStack() as stack:
            stack.enter_context(torch.autocast(self.device.type, enabled=False))
            if any(isinstance(net, nn.RNNBase) for net in self.critic.modules()):
                # The GPU's own recurrent nets have no second derivative; torch's have.
                stack.enter_context(torch.backends.cudnn.flags(enabled=False))
            yield
