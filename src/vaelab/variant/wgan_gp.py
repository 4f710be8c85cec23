"""The Wasserstein GAN with a gradient penalty."""

from typing import ClassVar

import torch
from torch import Tensor

from vaelab.errors import UserError
from vaelab.variant.base import Parts
from vaelab.variant.gan import GAN


class WGANGP(GAN):
    """The critic estimates the distance of Wasserstein between true and made items (Gulrajani et al. 2017, eq. 3).

    `penalty` weighs how far the norm of its gradient, item by item, is from one between a true and a made item.
    """

    name: ClassVar[str] = "wgan_gp"

    def __init__(self, parts: Parts, *, critic_steps: int = 5, ema: float = 0.999, penalty: float = 10.0) -> None:
        super().__init__(parts, critic_steps=critic_steps, ema=ema)
        if penalty < 0:
            raise UserError(f"variant.penalty must not be negative, not {penalty}")
        self.penalty = penalty

    def critic_loss(self, true: Tensor, made: Tensor) -> Tensor:
        """Minus the difference of the critic's means, with the penalty."""
        difference = self.judged(made).mean() - self.judged(true).mean()
        return difference + self.penalty * self.gradient_penalty(true, made)

    def generator_loss(self, made: Tensor) -> Tensor:
        """Minus the critic's mean."""
        return -self.judged(made).mean()

    def gradient_penalty(self, true: Tensor, made: Tensor) -> Tensor:
        """The mean of (‖∇ critic‖ − 1)² over items, each anywhere on the line between a true and a made one."""
        share = torch.rand(len(true), *[1] * (true.ndim - 1), device=true.device)
        between = torch.lerp(true, made.detach(), share).requires_grad_()
        (gradient,) = torch.autograd.grad(self.judged(between).sum(), between, create_graph=True)
        return (gradient.flatten(1).norm(dim=1) - 1).square().mean()
