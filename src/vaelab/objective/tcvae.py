"""Training with a weight of its own for each part of the KL."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from typing_extensions import override

from vaelab.errors import UserError
from vaelab.objective.base import Drawn, Objective, refuse_capacity, refuse_point
from vaelab.objective.decomposition import Decomposition, decompose

if TYPE_CHECKING:
    from vaelab.beta_schedule.base import Pressure
    from vaelab.latent.base import Latent


@dataclass
class TotalCorrelation(Objective):
    """−E[log p(x|z)] + beta · (the parts of the KL, each with its own weight) (Chen et al. 2018, eq. 4).

    The parts are estimated from the batch, whose mixture stands for the aggregate posterior; see `decompose` for what
    it shows. The gradient is that of the parts themselves as long as the code tells some nats less of its item than
    the log of `dataset.batch_size` (6.2 nats for 512). Of a code that tells more, the weight of the total correlation
    acts on the mutual information, as beta does. Larger batches, fewer dimensions or a larger beta remedy it. The
    paper's weights by the number of all items change only constants, as long as that number is far above the batch's.
    With all weights at 1 this is the ELBO, with a sampled KL.

    Raises:
        UserError: if a weight is negative or infinite.
    """

    mutual_information: float = 1.0
    total_correlation: float = 6.0
    dimension_wise_kl: float = 1.0

    def __post_init__(self) -> None:
        for name, weight in zip(Decomposition._fields, self._weights(), strict=True):
            if not 0 <= weight < math.inf:
                raise UserError(f"objective.{name} must not be negative or infinite, not {weight}")

    def _weights(self) -> tuple[float, float, float]:
        return self.mutual_information, self.total_correlation, self.dimension_wise_kl

    @override
    def check(self, latent: Latent, pressure: Pressure) -> None:
        refuse_point(latent, "tcvae")
        refuse_capacity(pressure, "tcvae")

    @override
    def __call__(self, drawn: Drawn, pressure: Pressure) -> Tensor:
        parts = decompose(drawn.posterior, drawn.latent, drawn.codes)
        kl = sum((weight * part for weight, part in zip(self._weights(), parts, strict=True)), torch.zeros(()))
        return pressure.beta * kl - drawn.mean_log_likelihood

    def item_values(self, drawn: Drawn, pressure: Pressure) -> Tensor:
        """`(batch,)` the log-likelihood, less what the batch's parts weigh more or less than in the KL itself."""
        parts = decompose(drawn.posterior, drawn.latent, drawn.codes)
        more = sum(((weight - 1) * part for weight, part in zip(self._weights(), parts, strict=True)), torch.zeros(()))
        return drawn.log_likelihood.mean(0) - pressure.beta * more
