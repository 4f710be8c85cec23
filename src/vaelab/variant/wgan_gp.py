"""The Wasserstein GAN with a gradient penalty."""

from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from vaelab.errors import UserError
from vaelab.variant.base import Parts
from vaelab.variant.wasserstein import Wasserstein


class WGANGP(Wasserstein):
    """The critic estimates the distance of Wasserstein between true and made items (Gulrajani et al. 2017, eq. 3).

    `penalty` weighs how far the norm of its gradient, item by item, is from one between a true and a made item.
    """

    name: ClassVar[str] = "wgan_gp"

    def __init__(self, parts: Parts, *, critic_steps: int = 5, ema: float = 0.999, penalty: float = 10.0) -> None:
        super().__init__(parts, critic_steps=critic_steps, ema=ema)
        if penalty < 0:
            raise UserError(f"variant.penalty must not be negative, not {penalty}")
        self.penalty = penalty

    @override
    def penalty_of(self, true: Tensor, made: Tensor) -> Tensor:
        return self.penalty * self.gradient_penalty(true, made)

    def gradient_penalty(self, true: Tensor, made: Tensor) -> Tensor:
        """The mean of (‖∇ critic‖ − 1)² over items, each anywhere on the line between a true and a made one."""
        share = torch.rand(len(true), *[1] * (true.ndim - 1), device=true.device)
        return (self.slopes(torch.lerp(true, made, share)) - 1).square().mean()
