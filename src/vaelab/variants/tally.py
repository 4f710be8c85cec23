"""Exact means over a whole split, whatever the batch size, and whether the code has collapsed."""

from collections.abc import Callable
from math import isqrt
from typing import NamedTuple

import torch
from torch import Tensor

from vaelab.objectives.base import Drawn
from vaelab.objectives.decomposition import decompose
from vaelab.objectives.elbo import active_units, bits_per_dim
from vaelab.objectives.latents import Latent, Posterior, joined

# Items whose posteriors are held against each other, and densities computed for it: hundredths of a second.
MIXED_ITEMS, MIXED_DENSITIES = 1024, 2**22
# Of a code without a prior there is no bound, and nothing that is paid for it or could lie idle.
WITHOUT_PRIOR = ("log_likelihood", "error")
# What begins so is better the greater it is; all the rest are errors, costs and gaps.
GREATER = ("objective", "elbo", "log_likelihood", "active_units", "mutual_information")


class Means(NamedTuple):
    """A split's means by name, the mean KL in nats of each latent dimension, `(dim,)`, and of the items' values."""

    named: dict[str, float]
    kl: Tensor
    items: float


class Tally:
    """Sums over items, in float64, of the bound's terms and of the codes' moments; and the first items' posteriors."""

    def __init__(self, latent: Latent) -> None:
        self.latent = latent
        self.sums: Tensor | None = None
        self.kl: Tensor | None = None
        self.codes: Tensor | None = None
        self.drawn: list[tuple[Posterior, Tensor]] = []
        self.mixed = min(MIXED_ITEMS, isqrt(MIXED_DENSITIES // latent.dims))

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
        if self.latent.has_prior and sum(len(part) for _, part in self.drawn) < self.mixed:
            self.drawn.append((drawn.posterior, drawn.codes))

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
            found |= _gaps(kl, *(mixed[1:] / mixed[0]).tolist())
        else:
            found = {name: found[name] for name in WITHOUT_PRIOR}
        return Means(found, (reduce(self.kl) / count).cpu(), items)

    def _mixed(self) -> Tensor:
        """One, the parts of the KL and the prior's gap, of this process's first items."""
        if not self.drawn:
            assert self.sums is not None
            return torch.zeros(5, device=self.sums.device)
        posterior = joined([posterior for posterior, _ in self.drawn], self.mixed)
        codes = torch.cat([codes for _, codes in self.drawn])[: self.mixed]
        parts = decompose(posterior, self.latent, codes)
        gap = self.latent.prior_gap(posterior).to(codes.device)
        return torch.stack([torch.ones_like(gap), *parts, gap])


def _gaps(
    kl: float, mutual_information: float, total_correlation: float, dimension_wise_kl: float, moments_gap: float
) -> dict[str, float]:
    """Bounds on the parts of the KL, and on their sum but the first: the gap from aggregate posterior to prior."""
    return {
        "mutual_information_at_least": mutual_information,
        "mutual_information_at_most": kl - moments_gap,
        "total_correlation_at_most": total_correlation,
        "dimension_wise_kl": dimension_wise_kl,
        "prior_gap_at_least": moments_gap,
        "prior_gap_at_most": total_correlation + dimension_wise_kl,
    }
