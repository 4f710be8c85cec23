"""A Laplace density: absolute errors."""

import math

import torch
from torch import Tensor
from typing_extensions import override

from vaelab.likelihood.base import Likelihood, check_width, per_sample


class Laplace(Likelihood):
    """Laplace(x; decoder's output, scale): absolute errors, sharper edges than a Gaussian's."""

    def __init__(self, scale: float = 0.1) -> None:
        super().__init__()
        check_width("scale", scale)
        self.scale = scale

    @override
    def log_prob(self, target: Tensor, params: Tensor) -> Tensor:
        return per_sample(-(target - params).abs() / self.scale - math.log(2 * self.scale))

    @override
    def sample(self, params: Tensor) -> Tensor:
        return torch.distributions.Laplace(params, self.scale).sample()
