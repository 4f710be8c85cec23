"""Densities over codes to sample from: the prior, or what the posterior of the data looks like."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from vaelab.errors import UserError
from vaelab.objectives.latents import Latent
from vaelab.seeding import seeded

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

Density = Literal["prior", "gmm", "posterior"]


Sampler = Callable[[int, int], Tensor]


def sample_codes(density: Density, n: int, *, latent: Latent, codes: Tensor | None, seed: int) -> Tensor:
    """Draw `(n, code_size)` codes, as `code_sampler` does."""
    if n < 1:
        raise UserError(f"task.n must be at least 1, not {n}")
    return code_sampler(density, latent=latent, codes=codes, seed=seed)(n, seed)


def code_sampler(density: Density, *, latent: Latent, codes: Tensor | None, seed: int) -> Sampler:
    """A function from `n` and a seed to `(n, code_size)` codes.

    `prior` draws from p(z) and needs no data. The others need `codes` `(items, code_size)`, posterior means of
    training items: `gmm` fits a mixture of 20 Gaussians to them, once (Ghosh et al. 2020, section 4), `posterior` draws
    from the items themselves.

    Raises:
        UserError: for an unknown density.
    """
    if density == "prior":
        return _seeded(latent.prior_sample)
    if density not in ("gmm", "posterior"):
        raise UserError(f"there is no density {density!r}: use prior, gmm or posterior")
    assert codes is not None
    if density == "posterior":
        return _seeded(lambda n: latent.project(codes[torch.randint(len(codes), (n,))]))
    mixture = _mixture(codes, seed)

    def draw(n: int, seed: int) -> Tensor:
        mixture.random_state = seed
        drawn = torch.from_numpy(mixture.sample(n)[0]).float()
        # It draws one component after the other.
        return latent.project(_seeded(lambda n: drawn[torch.randperm(n)])(n, seed))

    return draw


def _seeded(draw: Callable[[int], Tensor]) -> Sampler:
    def of_seed(n: int, seed: int) -> Tensor:
        with seeded(seed):
            return draw(n)

    return of_seed


def _mixture(codes: Tensor, seed: int, components: int = 20) -> GaussianMixture:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    few = min(components, max(1, len(codes) // 10))
    # Full covariances of very wide codes would have more numbers than there are items.
    kind = "full" if codes.shape[1] <= 64 else "diag"
    # Rounds that bring less than this many nats a code change its likelihood less than another start would.
    mixture = GaussianMixture(few, covariance_type=kind, tol=0.01, reg_covar=1e-6, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return mixture.fit(codes.double().numpy())
