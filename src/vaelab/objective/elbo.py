"""The evidence lower bound, in nats per sample: summed over dimensions, averaged over the batch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor
from typing_extensions import override

from vaelab.errors import UserError
from vaelab.objective.base import Objective

if TYPE_CHECKING:
    from vaelab.beta_schedule.base import Pressure
    from vaelab.latent.base import Latent
    from vaelab.objective.base import Drawn


class Terms(NamedTuple):
    """The two terms of the bound, item by item.

    Attributes:
        log_likelihood: `(batch,)` log p(target | z) in nats.
        kl: `(batch, dim)` KL from the posterior to the prior of each latent dimension, in nats.
    """

    log_likelihood: Tensor
    kl: Tensor

    def elbo(self) -> Tensor:
        """`(batch,)` the bound at beta = 1, whatever the training weighs (Kingma and Welling 2014, eq. 3)."""
        return self.log_likelihood - self.kl.sum(1)


@dataclass
class Elbo(Objective):
    """−E[log p(x|z)] + beta · KL, each latent dimension having `free_bits` nats for nothing.

    Raises:
        UserError: if `free_bits` is negative.
    """

    free_bits: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.free_bits < math.inf:
            raise UserError(f"objective.free_bits must not be negative or infinite, not {self.free_bits}")

    @override
    def check(self, latent: Latent, pressure: Pressure) -> None:
        if not pressure.capacity:
            return
        if not latent.has_prior:
            raise UserError(
                "latent=point has no KL to draw to a capacity: use latent=gaussian, or another beta_schedule"
            )
        if (free := latent.dims * self.free_bits) > pressure.capacity:
            raise UserError(
                f"objective.free_bits={self.free_bits:g} gives {latent.dims} dimensions {free:g} nats for nothing, "
                f"more than the capacity of {pressure.capacity:g}: lower it, or raise beta_schedule.target"
            )

    @override
    def __call__(self, drawn: Drawn, pressure: Pressure) -> Tensor:
        kl = with_free_bits(drawn.kl, self.free_bits) if self.free_bits > 0 else drawn.mean_kl
        return pressure.on(kl) - drawn.mean_log_likelihood

    @override
    def value(self, items: float, kl: float, kl_of_dimension: Tensor, pressure: Pressure) -> float:
        if self.free_bits > 0:
            kl = float(with_free_bits(kl_of_dimension[None], self.free_bits))
        return items - pressure.on(kl)


def with_free_bits(kl: Tensor, free_bits: float) -> Tensor:
    """The KL that is paid for: no dimension's batch mean below `free_bits` nats (Kingma et al. 2016, eq. 15).

    `(batch, dim)` in, a scalar out.
    """
    return kl.mean(0).clamp(min=free_bits).sum()


def active_units(variance: Tensor, threshold: float = 0.01) -> int:
    """How many dimensions' posterior means vary over the data by more than `threshold`; `variance` is `(dim,)`.

    Burda et al. 2016, section 4: A_u = Cov_x(E[u]) > 0.01.
    """
    return int((variance > threshold).sum())


def bits_per_dim(elbo: float, dims: int) -> float:
    """−ELBO in bits for each of `dims` dimensions of x, in the codec's units."""
    return -elbo / (dims * math.log(2.0))
