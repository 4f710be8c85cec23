"""The KL taken apart: what the code says of the item, how its dimensions hang together, and each one's own shape.

KL(q(z|x) ‖ p(z)), averaged over the data, is the sum of the mutual information of item and code, the total correlation
of the code's dimensions, and the KL of each dimension's marginal to its prior (Chen et al. 2018, eq. 2). The last two
together are the gap from the aggregate posterior q(z) to the prior.

All of it hangs on log q(z), for which the mixture of n items' posteriors stands. A code's own posterior is one of the
n, and too large a part of it: it lifts log q(z) by up to all that the code tells of its item, less log n. Of a code
that tells more than log n nats no mixture of n shows how much more (McAllester and Stratos 2020).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from vaelab.latent.base import selected

if TYPE_CHECKING:
    from vaelab.latent.base import Latent, Posterior

# Densities of every code under every posterior held at once: what stays near the cache.
PAIRS = 2**17
# The logarithm of a density that is none; infinity would have no gradient.
NOTHING = -1e30


class Decomposition(NamedTuple):
    """The three parts of the KL in nats, scalars."""

    mutual_information: Tensor
    total_correlation: Tensor
    dimension_wise_kl: Tensor


class Bounds(NamedTuple):
    """What n posteriors tell for certain, but for the noise of sampling: scalars in nats, each a bound on average."""

    mutual_information_at_least: Tensor
    prior_gap_at_least: Tensor
    dimension_wise_kl_at_least: Tensor
    dimension_wise_kl_at_most: Tensor


def decompose(posterior: Posterior, latent: Latent, codes: Tensor) -> Decomposition:
    """The parts of the KL, estimated from one code `(n, code_size)` of each of the n items of `posterior`.

    They add up to the sampled KL. In the mixture a code's own posterior has half of the others' weight: with all of
    it log q(z) is, at first order in 1/n, as much too large as it is too small with none. So where many posteriors
    overlap at each code, values and gradients are right up to the second order; that takes a mutual information some
    nats below log n. Above log n a code meets nobody but itself: the mutual information stays at log 2n, and the total
    correlation has, and pushes on, all that is beyond.
    """
    own, prior = posterior.log_density(codes), latent.prior_log_density(codes)
    joint, marginals = _mixed(_others(posterior, codes), own, weight=0.5, items=len(codes))
    product = marginals.sum(-1)
    return Decomposition((own.sum(-1) - joint).mean(), (joint - product).mean(), (product - prior.sum(-1)).mean())


def bounds(posterior: Posterior, latent: Latent, codes: Tensor) -> Bounds:
    """Bounds on the parts of the KL, from codes `(m, code_size)` of the first m of the n items of `posterior`.

    With a code's own posterior the mixture is too large on average, so the mutual information is at least what it shows
    (Poole et al. 2019, eq. 12 with the density known; never more than log n), and each dimension's KL at most. With the
    prior in its place the mixture is a density that does not know the code, which no density can predict better on
    average than q(z) itself: so the gap to the prior and each dimension's KL are at least what it shows.
    """
    items, prior, others = len(posterior.mean), latent.prior_log_density(codes), _others(posterior, codes)
    own = selected(posterior, slice(len(codes))).log_density(codes)
    joint, marginals = _mixed(others, own, weight=1.0, items=items)
    blind_joint, blind_marginals = _mixed(others, prior, weight=1.0, items=items)
    return Bounds(
        (own.sum(-1) - joint).mean(),
        (blind_joint - prior.sum(-1)).mean(),
        (blind_marginals - prior).sum(-1).mean(),
        (marginals - prior).sum(-1).mean(),
    )


def _mixed(others: tuple[Tensor, Tensor], last: Tensor, weight: float, items: int) -> tuple[Tensor, Tensor]:
    """Log density of codes under the mixture of the others and a last one, whose own log density is `(m, dim)`."""
    joint, marginals = others
    lift, total = math.log(weight), math.log(items - 1 + weight)
    return torch.logaddexp(joint, last.sum(-1) + lift) - total, torch.logaddexp(marginals, last + lift) - total


def _others(posterior: Posterior, codes: Tensor) -> tuple[Tensor, Tensor]:
    """Log of the summed densities of each code under all items but its own: jointly `(m,)`, by dimension `(m, dim)`."""
    rows = max(PAIRS // posterior.mean.numel(), 1)
    own = torch.arange(len(codes), device=codes.device)
    parts = [_sums(posterior, *part) for part in zip(codes.split(rows), own.split(rows), strict=True)]
    joint, marginals = (torch.cat(part) for part in zip(*parts, strict=True))
    return joint, marginals


def _sums(posterior: Posterior, codes: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
    pairs = posterior.log_density(codes.unsqueeze(1))
    alone = own.unsqueeze(1) == torch.arange(pairs.shape[1], device=own.device)
    joint = _log_sum_exp(pairs.sum(-1).masked_fill(alone, NOTHING))
    # A single dimension is all of the code.
    if pairs.shape[-1] == 1:
        return joint, joint.unsqueeze(1)
    return joint, _log_sum_exp(pairs.masked_fill(alone.unsqueeze(-1), NOTHING))


def _log_sum_exp(x: Tensor) -> Tensor:
    """Over dimension 1. Shares below exp(-80) change nothing, but as subnormal numbers would take 20 times as long."""
    floor = x.detach().amax(1, keepdim=True) - 80
    return x.clamp(min=floor).logsumexp(1)
