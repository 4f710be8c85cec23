"""The KL taken apart: what the code says of the item, how its dimensions hang together, and each one's own shape.

KL(q(z|x) ‖ p(z)), averaged over the data, is the sum of the mutual information of item and code, the total correlation
of the code's dimensions, and the KL of each dimension's marginal to its prior (Chen et al. 2018, eq. 2).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from vaelab.objectives.latents import Latent, Posterior

# Densities of every code under every posterior held at once: what stays near the cache.
PAIRS = 2**17


class Decomposition(NamedTuple):
    """The three parts of the KL in nats, scalars."""

    mutual_information: Tensor
    total_correlation: Tensor
    dimension_wise_kl: Tensor


def decompose(posterior: Posterior, latent: Latent, codes: Tensor) -> Decomposition:
    """The parts of the KL, estimated from one code `(n, code_size)` of each of the n items of `posterior`.

    The aggregate posterior is the mixture of these n posteriors. A code's own is among them, so the mutual information
    comes out as a lower bound that cannot exceed log n (Poole et al. 2019, eq. 12 with the density known), and the
    total correlation, which has the same mixture inside, too large by what the mutual information lacks.
    """
    own = posterior.log_density(codes).sum(-1)
    rows = max(PAIRS // (len(codes) * latent.dims), 1)
    parts = [_mixture(posterior, part) for part in codes.split(rows)]
    joint, marginals = (torch.cat(part) for part in zip(*parts, strict=True))
    product, prior = marginals.sum(-1), latent.prior_log_density(codes).sum(-1)
    return Decomposition((own - joint).mean(), (joint - product).mean(), (product - prior).mean())


def _mixture(posterior: Posterior, codes: Tensor) -> tuple[Tensor, Tensor]:
    """Log density of codes `(rows, code_size)` under the mixture: jointly `(rows,)`, by dimension `(rows, dim)`."""
    pairs = posterior.log_density(codes.unsqueeze(1))
    joint = _log_mean_exp(pairs.sum(-1))
    # A single dimension is all of the code.
    return joint, joint.unsqueeze(1) if pairs.shape[-1] == 1 else _log_mean_exp(pairs)


def _log_mean_exp(x: Tensor) -> Tensor:
    """Over dimension 1. Shares below exp(-80) change nothing, but as subnormal numbers would take 20 times as long."""
    floor = x.detach().amax(1, keepdim=True) - 80
    return x.clamp(min=floor).logsumexp(1) - math.log(x.shape[1])
