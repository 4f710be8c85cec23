"""A normal density of one fixed width."""

import torch
from torch import Tensor
from typing_extensions import override

from vaelab.likelihood.base import Likelihood, check_width, gaussian_log_density, per_sample


class Gaussian(Likelihood):
    """N(x; decoder's output, sigma²) with one fixed `sigma`, in x's units."""

    def __init__(self, sigma: float = 0.1) -> None:
        super().__init__()
        check_width("sigma", sigma)
        self.sigma = sigma

    @override
    def log_prob(self, target: Tensor, params: Tensor) -> Tensor:
        return per_sample(gaussian_log_density(target, params, self.sigma**2))

    @override
    def sample(self, params: Tensor) -> Tensor:
        return params + self.sigma * torch.randn_like(params)
