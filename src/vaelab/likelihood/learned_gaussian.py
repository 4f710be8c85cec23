"""A normal density of the width that fits best."""

import torch
from torch import Tensor
from typing_extensions import override

from vaelab.errors import UserError
from vaelab.likelihood.base import Likelihood, check_width, gaussian_log_density, per_sample


class LearnedGaussian(Likelihood):
    """N(x; decoder's output, sigma²) with the one sigma that fits best (Rybkin et al. 2021, section 3.2).

    In training sigma² is the batch's mean squared error, its maximum-likelihood value, or with `per_item` each item's
    own: then what counts is by which factor an error shrinks, so that weak items weigh as much as strong ones.
    `variance` follows it as a moving average over about `1 / (1 - momentum)` steps and is what evaluation uses.
    `min_sigma` keeps the density finite, and the KL from drowning in it, when the fit becomes perfect.
    """

    variance: Tensor
    seen: Tensor

    def __init__(self, momentum: float = 0.98, min_sigma: float = 0.01, per_item: bool = False) -> None:
        super().__init__()
        if not 0 <= momentum < 1:
            raise UserError(f"likelihood.momentum must lie in [0, 1), not {momentum}")
        check_width("min_sigma", min_sigma)
        self.momentum, self.min_variance, self.per_item = momentum, min_sigma**2, per_item
        self.register_buffer("variance", torch.ones(()))
        self.register_buffer("seen", torch.zeros(()))

    @override
    def log_prob(self, target: Tensor, params: Tensor) -> Tensor:
        variance = self._optimal(target, params) if self.training else self.variance
        return per_sample(gaussian_log_density(target, params, variance))

    @override
    def sample(self, params: Tensor) -> Tensor:
        return params + self.variance.sqrt() * torch.randn_like(params)

    @override
    def learnt(self) -> dict[str, Tensor]:
        return {"sigma": self.variance.sqrt()}

    def _optimal(self, target: Tensor, params: Tensor) -> Tensor:
        error = (target - params).square()
        error = error.mean(tuple(range(1, error.ndim)), keepdim=True) if self.per_item else error.mean()
        optimal = error.clamp(min=self.min_variance)
        with torch.no_grad():
            self.seen += 1
            weight = (1 / self.seen).clamp(min=1 - self.momentum)
            self.variance.lerp_(optimal.mean(), weight)
        return optimal
