"""A plain, deterministic code."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from vaelab.errors import UserError
from vaelab.latent.base import Latent, repeated


@dataclass(frozen=True)
class PointPosterior:
    """All mass on one code `(batch, dim)`: a plain autoencoder."""

    mean: Tensor

    def sample(self, draws: int = 1) -> Tensor:
        """The point itself."""
        return repeated(draws, self.mean)[0]

    def kl(self) -> Tensor:
        """Zero: nothing is paid for the code."""
        return torch.zeros_like(self.mean)

    def log_density(self, code: Tensor) -> Tensor:
        """A point mass has no density."""
        raise UserError("latent=point has no density, so no importance-weighted bound: use latent=gaussian")


@dataclass
class PointLatent(Latent):
    """A plain, deterministic code: no noise, no prior, no KL."""

    has_prior: ClassVar[bool] = False

    @override
    def posterior(self, params: Tensor) -> PointPosterior:
        return PointPosterior(params)

    @override
    def prior_sample(self, n: int) -> Tensor:
        raise UserError("latent=point has no prior: sample with task.density=gmm, flow or posterior")

    @override
    def prior_log_density(self, code: Tensor) -> Tensor:
        raise UserError("latent=point has no prior: use latent=gaussian")
