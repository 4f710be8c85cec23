"""R^d with a standard normal prior."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from vaelab.latent.base import Latent, Posterior, repeated
from vaelab.likelihood.base import LOG_2PI, gaussian_log_density


@dataclass(frozen=True)
class GaussianPosterior:
    """N(mean, exp(log_variance)), `(batch, dim)` each."""

    mean: Tensor
    log_variance: Tensor

    def sample(self, draws: int = 1) -> Tensor:
        """Mean + sigma · noise (Kingma and Welling 2014, eq. 10)."""
        mean, sigma = repeated(draws, self.mean, torch.exp(0.5 * self.log_variance))
        return mean + sigma * torch.randn_like(mean)

    def kl(self) -> Tensor:
        """½(mean² + sigma² − 1 − log sigma²) of each dimension (Kingma and Welling 2014, appendix B)."""
        return 0.5 * (self.mean.square() + self.log_variance.exp() - 1 - self.log_variance)

    def log_density(self, code: Tensor) -> Tensor:
        """`(…, dim)` in nats."""
        return gaussian_log_density(code, self.mean, self.log_variance.exp())


@dataclass
class GaussianLatent(Latent):
    """R^dim with a standard normal prior; the encoder gives mean and log variance."""

    heads: ClassVar[int] = 2

    @override
    def posterior(self, params: Tensor) -> GaussianPosterior:
        mean, log_variance = params.chunk(2, dim=1)
        # The bounds are far outside what training visits; they keep one wild batch from overflowing exp.
        return GaussianPosterior(mean, log_variance.clamp(-20.0, 10.0))

    @override
    def prior_sample(self, n: int) -> Tensor:
        return torch.randn(n, self.dims)

    @override
    def prior_log_density(self, code: Tensor) -> Tensor:
        return -0.5 * (code.square() + LOG_2PI)

    def log_ratio(self, known: Posterior, unknown: Posterior) -> Tensor:
        """With the one normal that has the mean and, nearly, the covariance of the known codes.

        The correlations shrink as n / (n + dim), so that few items in many dimensions do not invent them.
        """
        assert isinstance(known, GaussianPosterior) and isinstance(unknown, GaussianPosterior)
        mean, within = known.mean.double(), known.log_variance.double().exp().mean(0)
        kept, apart = len(mean) / (len(mean) + self.dims), mean - mean.mean(0)
        # Covariance = √diagonal · (1 + scatterᵀ scatter) · √diagonal.
        diagonal = within + (1 - kept) * apart.square().mean(0)
        scatter = apart * (kept / len(mean) / diagonal).sqrt()
        if len(scatter) > self.dims:
            scatter = torch.linalg.qr(scatter, mode="r").R  # the same product from fewer rows
        product = torch.eye(len(scatter)).to(scatter) + scatter @ scatter.T
        lower = torch.linalg.cholesky(product)
        # The inverse of 1 + scatterᵀ scatter is 1 - rootᵀ root.
        root = torch.linalg.solve_triangular(lower, scatter, upper=False)
        codes, variance = unknown.mean.double(), unknown.log_variance.double().exp().mean(0)
        far = (codes - mean.mean(0)) / diagonal.sqrt()
        square = far.square().sum(1).mean() - (far @ root.T).square().sum(1).mean()
        square += ((1 - root.square().sum(0)) * variance / diagonal).sum()
        log_determinant = diagonal.log().sum() + 2 * lower.diagonal().log().sum()
        return 0.5 * (codes.square().mean(0).sum() + variance.sum() - log_determinant - square)
