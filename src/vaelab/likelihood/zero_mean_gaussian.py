"""A normal density without a mean, whose width is decoded."""

import torch
from torch import Tensor
from typing_extensions import override

from vaelab.likelihood.base import Likelihood, check_width, gaussian_log_density, per_sample


class ZeroMeanGaussian(Likelihood):
    """N(0, sigma²) with the decoder's output as log sigma: for what has no expectation to speak of, but a power.

    A fading radio tap or a band of noise is such: its variance is all that a code can know of it. `min_sigma`, in
    quadrature with the decoder's, keeps the density finite where the data vanish, and is the noise under every sample.
    """

    has_mean = False

    def __init__(self, min_sigma: float = 0.03) -> None:
        super().__init__()
        check_width("min_sigma", min_sigma)
        self.min_sigma = min_sigma

    @override
    def log_prob(self, target: Tensor, params: Tensor) -> Tensor:
        return per_sample(gaussian_log_density(target, torch.zeros_like(params), self._variance(params)))

    @override
    def mean(self, params: Tensor) -> Tensor:
        return torch.zeros_like(params)

    def statistic(self, x: Tensor) -> Tensor:
        """The logarithms of the squares.

        A decay over many values is read more easily from them, and they hold no signs to learn by heart.
        """
        return 0.25 * torch.log(x.square() + self.min_sigma**2)

    @override
    def sample(self, params: Tensor) -> Tensor:
        return self._variance(params).sqrt() * torch.randn_like(params)

    def _variance(self, params: Tensor) -> Tensor:
        # The bound is far outside what training visits; it keeps one wild batch from overflowing exp.
        return torch.exp(2 * params.clamp(max=20.0)) + self.min_sigma**2
