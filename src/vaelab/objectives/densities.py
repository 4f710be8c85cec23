"""Densities over codes to sample from: the prior, or what the posterior of the data looks like."""

import warnings
from typing import Literal

import torch
from torch import Tensor

from vaelab.errors import UserError
from vaelab.objectives.latents import Latent

Density = Literal["prior", "gmm", "posterior"]


def sample_codes(density: Density, n: int, *, latent: Latent, codes: Tensor | None, seed: int) -> Tensor:
    """Draw `(n, code_size)` codes.

    `prior` draws from p(z) and needs no data. The others need `codes` `(items, code_size)`, posterior means of
    training items: `gmm` fits a mixture of 20 Gaussians to them (Ghosh et al. 2020, section 4), `posterior` draws
    from the items themselves.

    Raises:
        UserError: for an unknown density, or if n < 1.
    """
    if n < 1:
        raise UserError(f"task.n must be at least 1, not {n}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if density == "prior":
            return latent.prior_sample(n)
        if density not in ("gmm", "posterior"):
            raise UserError(f"there is no density {density!r}: use prior, gmm or posterior")
        assert codes is not None
        drawn = _mixture(codes, n, seed) if density == "gmm" else codes[torch.randint(len(codes), (n,))]
    return latent.project(drawn)


def _mixture(codes: Tensor, n: int, seed: int, components: int = 20) -> Tensor:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    few = min(components, max(1, len(codes) // 10))
    # Full covariances of very wide codes would have more numbers than there are items.
    kind = "full" if codes.shape[1] <= 64 else "diag"
    mixture = GaussianMixture(few, covariance_type=kind, reg_covar=1e-6, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        drawn, _ = mixture.fit(codes.double().numpy()).sample(n)
    return torch.from_numpy(drawn).float()[torch.randperm(n)]
