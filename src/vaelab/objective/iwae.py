"""Training on the importance-weighted bound itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from typing_extensions import override

from vaelab.errors import UserError
from vaelab.objective.base import Drawn, Objective, refuse_capacity, refuse_point
from vaelab.objective.importance import code_log_weight

if TYPE_CHECKING:
    from torch import Tensor

    from vaelab.beta_schedule.base import Pressure
    from vaelab.latent.base import Latent


@dataclass
class ImportanceWeighted(Objective):
    """−log 1/k Σ p(x|z) (p(z) / q(z|x))^beta over `k` draws (Burda et al. 2016, eq. 8; at k = 1 the ELBO).

    Each step decodes every item k times, so its cost grows with k.

    Raises:
        UserError: if `k` is below one.
    """

    k: int = 5

    def __post_init__(self) -> None:
        if self.k < 1:
            raise UserError(f"objective.k must be at least 1, not {self.k}")
        self.draws = self.k

    @override
    def check(self, latent: Latent, pressure: Pressure) -> None:
        refuse_point(latent, "iwae")
        refuse_capacity(pressure, "iwae")

    @override
    def __call__(self, drawn: Drawn, pressure: Pressure) -> Tensor:
        return math.log(self.k) - self._log_weight(drawn, pressure).logsumexp(0).mean()

    def _log_weight(self, drawn: Drawn, pressure: Pressure) -> Tensor:
        """`(draws, batch)` in nats."""
        code = code_log_weight(drawn.posterior, drawn.latent, drawn.codes).view_as(drawn.log_likelihood)
        return drawn.log_likelihood + pressure.beta * code

    def item_values(self, drawn: Drawn, pressure: Pressure) -> Tensor:
        """`(batch,)` each item's own bound, the KL within it."""
        return self._log_weight(drawn, pressure).logsumexp(0) - math.log(self.k)

    @override
    def value(self, items: float, kl: float, kl_of_dimension: Tensor, pressure: Pressure) -> float:
        return items
