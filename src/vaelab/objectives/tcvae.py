"""Training with a weight of its own for each part of the KL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from vaelab.errors import UserError
from vaelab.objectives.base import Drawn, Objective, refuse_point
from vaelab.objectives.decomposition import Decomposition, decompose

if TYPE_CHECKING:
    from vaelab.objectives.beta_schedules import Pressure
    from vaelab.objectives.latents import Latent


@dataclass
class TotalCorrelation(Objective):
    """−E[log p(x|z)] + beta · (the parts of the KL, each with its own weight) (Chen et al. 2018, eq. 4).

    The parts are those of the batch, whose mixture stands for the aggregate posterior. To weigh its posteriors by the
    number of all items instead, as the paper does, adds a constant and changes no gradient. With all weights at 1 this
    is the ELBO, with a sampled KL.

    Raises:
        UserError: if a weight is negative.
    """

    mutual_information: float = 1.0
    total_correlation: float = 6.0
    dimension_wise_kl: float = 1.0

    def __post_init__(self) -> None:
        for name, weight in zip(Decomposition._fields, self._weights(), strict=True):
            if weight < 0:
                raise UserError(f"objective.{name} must not be negative, not {weight}")

    def _weights(self) -> tuple[float, float, float]:
        return self.mutual_information, self.total_correlation, self.dimension_wise_kl

    def check(self, latent: Latent, pressure: Pressure) -> None:  # noqa: D102
        refuse_point(latent, "tcvae")

    def __call__(self, drawn: Drawn, pressure: Pressure) -> Tensor:  # noqa: D102
        parts = decompose(drawn.posterior, drawn.latent, drawn.codes)
        kl = sum((weight * part for weight, part in zip(self._weights(), parts, strict=True)), torch.zeros(()))
        return pressure.on(kl) - drawn.mean_log_likelihood

    def item_values(self, drawn: Drawn, pressure: Pressure) -> Tensor:
        """`(batch,)` the log-likelihood, less what the batch's parts weigh more or less than in the KL itself."""
        parts = decompose(drawn.posterior, drawn.latent, drawn.codes)
        more = sum(((weight - 1) * part for weight, part in zip(self._weights(), parts, strict=True)), torch.zeros(()))
        return drawn.log_likelihood.mean(0) - pressure.beta * more
