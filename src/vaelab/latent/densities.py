"""Densities over codes to sample from: the prior, or what the posterior of the data looks like, fitted or learnt."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from vaelab.errors import UserError
from vaelab.latent.base import Latent
from vaelab.latent.flow import Flow
from vaelab.seeding import seeded, short_seed, stream_seed

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

Density = Literal["prior", "gmm", "posterior", "flow"]


Sampler = Callable[[int, int], Tensor]


def sample_codes(
    density: Density, n: int, *, latent: Latent, codes: Tensor | None, seed: int, flow: Flow | None = None
) -> Tensor:
    """Draw `(n, code_size)` codes, as `code_sampler` does."""
    if n < 1:
        raise UserError(f"task.n must be at least 1, not {n}")
    return code_sampler(density, latent=latent, codes=codes, seed=seed, flow=flow)(n, 0)


def code_sampler(
    density: Density, *, latent: Latent, codes: Tensor | None, seed: int, flow: Flow | None = None
) -> Sampler:
    """A function from `n` and the number of a block to `(n, code_size)` codes; each block has its own.

    `prior` draws from p(z) and needs no data. `gmm` and `posterior` need `codes` `(items, code_size)`, posterior means
    of training items: `gmm` fits a mixture of 20 Gaussians to them, once (Ghosh et al. 2020, section 4), `posterior`
    draws from the items themselves. `flow` draws from the one that is given, which `fit_flow` has learnt from draws of
    the posteriors of training items (two-stage VAE: Dai and Wipf 2019); a code with a form of its own, such as a
    phase, is the nearest one to what comes out.

    Raises:
        UserError: for an unknown density.
    """
    if density == "prior":
        return _seeded(latent.prior_sample, seed)
    if density == "flow":
        assert flow is not None
        return _seeded(lambda n: latent.project(flow.draw(n)), seed)
    if density not in ("gmm", "posterior"):
        raise UserError(f"there is no density {density!r}: use prior, gmm, posterior or flow")
    assert codes is not None
    if density == "posterior":
        return _seeded(lambda n: latent.project(codes[torch.randint(len(codes), (n,))]), seed)
    mixture = _mixture(codes, seed)

    def draw(n: int, block: int) -> Tensor:
        mixture.random_state = short_seed("mixture", seed, block)
        drawn = torch.from_numpy(mixture.sample(n)[0]).float()
        # It draws one component after the other.
        return latent.project(_seeded(lambda n: drawn[torch.randperm(n)], seed)(n, block))

    return draw


def _seeded(draw: Callable[[int], Tensor], seed: int) -> Sampler:
    def of_block(n: int, block: int) -> Tensor:
        with seeded(stream_seed("samples", seed, block)):
            return draw(n)

    return of_block


def _mixture(codes: Tensor, seed: int, components: int = 20) -> GaussianMixture:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    few = min(components, max(1, len(codes) // 10))
    # Scikit-learn wants two: a code alone is all that there is of the density.
    seen = (codes if len(codes) > 1 else codes.repeat(2, 1)).double()
    # Full covariances of very wide codes would have more numbers than there are items.
    kind = "full" if codes.shape[1] <= 64 else "diag"
    # Rounds that bring less than this many nats a code change its likelihood less than another start would.
    # Of codes far from one, a share of their variance: less than that is lost in rounding.
    least = 1e-6 * max(1.0, float(seen.var(0).max()))
    start = short_seed("mixture", seed)
    mixture = GaussianMixture(few, covariance_type=kind, tol=0.01, reg_covar=least, random_state=start)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return mixture.fit(seen.numpy())
