"""Exact means over a whole split, whatever the batch size."""

from collections.abc import Callable

import torch
from torch import Tensor

from vaelab.objectives.elbo import Terms, active_units, bits_per_dim


class Tally:
    """Sums over items, in float64, of the bound's terms and of the codes' moments.

    `dims` counts the latent dimensions, of which a code has a whole multiple of numbers (a phase has two).
    """

    def __init__(self, dims: int) -> None:
        self.dims = dims
        self.sums: Tensor | None = None
        self.kl: Tensor | None = None
        self.codes: Tensor | None = None

    def add(self, terms: Terms, code: Tensor, error: Tensor) -> None:
        """Count one batch: its terms, the means of its codes `(batch, code_size)`, its errors `(batch,)`."""
        log_likelihood, kl = terms.log_likelihood.double(), terms.kl.double()
        ones = torch.ones_like(log_likelihood)
        sums = torch.stack([ones, log_likelihood, kl.sum(1), error.double()]).sum(1)
        codes = torch.stack([code.double().sum(0), code.double().square().sum(0)])
        self.sums = sums if self.sums is None else self.sums + sums
        self.kl = kl.sum(0) if self.kl is None else self.kl + kl.sum(0)
        self.codes = codes if self.codes is None else self.codes + codes

    def means(self, data_dims: int, reduce: Callable[[Tensor], Tensor]) -> dict[str, float]:
        """The split's means, name to number; `reduce` sums a tensor over processes, `data_dims` counts x's numbers."""
        assert self.sums is not None and self.kl is not None and self.codes is not None
        sums, codes = reduce(self.sums), reduce(self.codes)
        _, log_likelihood, kl, error = (sums / sums[0].clamp(min=1)).tolist()
        mean, square = codes / sums[0]
        spread = (square - mean.square()).view(-1, self.dims).sum(0)
        elbo = log_likelihood - kl
        return {
            "elbo": elbo,
            "log_likelihood": log_likelihood,
            "kl": kl,
            "error": error,
            "bits_per_dim": bits_per_dim(elbo, data_dims),
            "active_units": float(active_units(spread)),
        }
