"""Exact means over a whole split, whatever the batch size, and whether the code has collapsed."""

from collections.abc import Callable
from math import isqrt
from typing import NamedTuple

import torch
from torch import Tensor

from vaelab.latent.base import Latent, Posterior, joined, selected
from vaelab.objective.base import Drawn
from vaelab.objective.decomposition import bounds
from vaelab.objective.elbo import active_units, bits_per_dim
from vaelab.seeding import generator

# Items that stand for the aggregate posterior, and densities computed under them: hundredths of a second.
MIXED_ITEMS, MIXED_DENSITIES = 2048, 2**22
# Of a code without a prior there is no bound, and nothing that is paid for it or could lie idle.
WITHOUT_PRIOR = ("log_likelihood", "error")


class Means(NamedTuple):
    """A split's means by name, the mean KL in nats of each latent dimension, `(dim,)`, and of the items' values."""

    named: dict[str, float]
    kl: Tensor
    items: float


class Kept(NamedTuple):
    """Posteriors of some items and a code of each, `(items, code_size)`, with the lots that they drew, `(items,)`."""

    lots: Tensor
    posterior: Posterior
    codes: Tensor


class Tally:
    """Sums over items, in float64, of the bound's terms and of the codes' moments; and some items' posteriors.

    Those are a draw of `seed` in which every item has the same chance, whatever the order and the batches.
    """

    def __init__(self, latent: Latent, seed: int = 0) -> None:
        self.latent, self.chance = latent, generator("reference", seed)
        self.sums: Tensor | None = None
        self.kl: Tensor | None = None
        self.codes: Tensor | None = None
        self.kept: Kept | None = None
        # Eight times as many items as codes: more items tell more of a code, more codes only lessen the noise.
        self.mixed = max(min(MIXED_ITEMS, isqrt(8 * MIXED_DENSITIES // latent.dims)), 1)

    @classmethod
    def names(cls, latent: Latent) -> list[str]:
        """What `means` tells of every split, by name."""
        posterior, none = latent.posterior(torch.zeros(2, latent.heads * latent.dims)), torch.zeros(2)
        tally = cls(latent)
        tally.add(Drawn(none[None], posterior.kl(), posterior.mean, posterior, latent), none)
        return list(tally.means(1, lambda tensor: tensor).named)

    def add(self, drawn: Drawn, error: Tensor, values: Tensor | None = None) -> None:
        """Count one batch: its pass with one draw of each item, its errors and the objective's values, `(batch,)`.

        Without values the objective is worth the log-likelihood.
        """
        log_likelihood, kl, code = drawn.log_likelihood[0].double(), drawn.kl.double(), drawn.posterior.mean.double()
        values = log_likelihood if values is None else values.double()
        rows = [torch.ones_like(log_likelihood), log_likelihood, kl.sum(1), error.double(), values]
        sums = torch.stack(rows).sum(1)
        codes = torch.stack([code.sum(0), code.square().sum(0)])
        self.sums = sums if self.sums is None else self.sums + sums
        self.kl = kl.sum(0) if self.kl is None else self.kl + kl.sum(0)
        self.codes = codes if self.codes is None else self.codes + codes
        if self.latent.has_prior:
            self._keep(drawn.posterior, drawn.codes)

    def _keep(self, posterior: Posterior, codes: Tensor) -> None:
        """Of all items so far, those with the lowest lots, the lowest first."""
        lots = torch.rand(len(codes), generator=self.chance, dtype=torch.float64)
        if self.kept is not None:
            lots, codes = torch.cat([self.kept.lots, lots]), torch.cat([self.kept.codes, codes])
            posterior = joined([self.kept.posterior, posterior])
        best = lots.argsort()[: self.mixed]
        on_device = best.to(codes.device)
        self.kept = Kept(lots[best], selected(posterior, on_device), codes[on_device])

    def means(self, data_dims: int, reduce: Callable[[Tensor], Tensor]) -> Means:
        """The split's means; `reduce` sums a tensor over processes, `data_dims` counts x's numbers."""
        assert self.sums is not None and self.kl is not None and self.codes is not None
        sums, codes, mixed = reduce(self.sums), reduce(self.codes), reduce(self._mixed())
        count = sums[0].clamp(min=1)
        _, log_likelihood, kl, error, items = (sums / count).tolist()
        mean, square = codes / count
        # A code has a whole multiple of `dims` numbers: a phase has two.
        spread = (square - mean.square()).view(-1, self.latent.dims).sum(0)
        elbo = log_likelihood - kl
        found = {
            "elbo": elbo,
            "log_likelihood": log_likelihood,
            "kl": kl,
            "error": error,
            "bits_per_dim": bits_per_dim(elbo, data_dims),
            "active_units": float(active_units(spread)),
        }
        if self.latent.has_prior:
            found |= _brackets(kl, self.latent.dims, *(mixed[1:] / mixed[0].clamp(min=1)).tolist())
        else:
            found = {name: found[name] for name in WITHOUT_PRIOR}
        return Means(found, (reduce(self.kl) / count).cpu(), items)

    def _mixed(self) -> Tensor:
        """One, the bounds on the parts of the KL, and that on the gap by moments, of this process's kept items."""
        assert self.sums is not None and self.codes is not None
        # What is no number has no parts, and is told by the sums.
        if self.kept is None or not (self.sums.isfinite().all() and self.codes.isfinite().all()):
            return self.sums.new_zeros(6)
        posterior, codes = self.kept.posterior, self.kept.codes
        counted = max(MIXED_DENSITIES // (len(codes) * self.latent.dims), 1)
        found = bounds(posterior, self.latent, codes[:counted])
        return torch.stack(
            [self.sums.new_ones(()), *(part.double() for part in found), self.latent.prior_gap(posterior)]
        )


def _brackets(
    kl: float, dims: int, information: float, by_items: float, least: float, most: float, by_moments: float
) -> dict[str, float]:
    """Each part of the KL, and the gap from aggregate posterior to prior, between two bounds.

    The KL is the information and the gap, and the gap is the total correlation and the dimensions' own KL: what one is
    at least, the other is at most. None is below zero.
    """
    information, gap, least = max(information, 0.0), max(by_items, by_moments, 0.0), max(least, 0.0)
    together = dims > 1  # a dimension alone has nothing to correlate with
    return {
        "mutual_information_at_least": information,
        "mutual_information_at_most": kl - gap,
        "total_correlation_at_least": max(gap - most, 0.0) * together,
        "total_correlation_at_most": max(kl - information - least, 0.0) * together,
        "dimension_wise_kl_at_least": least,
        "dimension_wise_kl_at_most": most,
        "prior_gap_at_least": gap,
        "prior_gap_at_most": kl - information,
    }
