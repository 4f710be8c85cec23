"""A normal density of one fixed width."""

import torch
from torch import Tensor

from vaelab.likelihood.base import Likelihood, check_width, gaussian_log_density, per_sample


class Gaussian(Likelihood):
    """N(x; decoder's output, sigma²) with one fixed `sigma`, in x's units."""

    def __init__(self, sigma: float = 0.1) -> None:
        super().__init__()
        check_width("sigma", sigma)
        self.sigma = sigma

    def log_prob(self, target: Tensor, params: Tensor) -> Tensor:  # noqa: D102
        return per_sample(gaussian_log_density(target, params, self.sigma**2))

    def sample(self, params: Tensor) -> Tensor:  # noqa: D102
        return params + self.sigma * torch.randn_like(params)
