"""What a training step minimises: the interface of the group `objective`.

One of your own, and its entry of the group. What weighs in the loss must weigh in `value`, too, which chooses the best
weights::

    # myobjectives.py
    from vaelab.objective.base import Objective


    class HalfKL(Objective):
        def __init__(self, share: float = 0.5) -> None:
            self.share = share

        def __call__(self, drawn, pressure):
            return self.share * pressure.on(drawn.mean_kl) - drawn.mean_log_likelihood

        def value(self, items, kl, kl_of_dimension, pressure):
            return items - self.share * pressure.on(kl)

    # mine/objective/half_kl.yaml
    _target_: myobjectives.HalfKL
    share: 0.5
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from vaelab.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from vaelab.beta_schedule.base import Pressure
    from vaelab.latent.base import Latent, Posterior


@dataclass(frozen=True)
class Drawn:
    """One batch on its way through the model, with one or several draws of z for each item.

    Attributes:
        log_likelihood: `(draws, batch)` log p(target | z) in nats.
        kl: `(batch, dim)` KL from the posterior to the prior of each latent dimension, in nats.
        codes: `(draws · batch, code_size)`, the whole batch once after the other.
        posterior: q(z|x) of the batch.
        latent: the family, which knows p(z).
    """

    log_likelihood: Tensor
    kl: Tensor
    codes: Tensor
    posterior: Posterior
    latent: Latent

    @cached_property
    def mean_log_likelihood(self) -> Tensor:
        """Over draws and items: a scalar."""
        return self.log_likelihood.mean()

    @cached_property
    def mean_kl(self) -> Tensor:
        """Summed over dimensions, mean over items: a scalar."""
        return self.kl.sum(1).mean()


class Objective:
    """A loss in nats per sample; `draws` is how many z of each item it looks at.

    What it comes to over a whole split is its `value`, the greater the better. Beside it evaluation is the same for all
    of them: the bound at beta = 1 with one draw.
    """

    draws: int = 1

    def check(self, latent: Latent, pressure: Pressure) -> None:
        """Refuse, before the first step, a latent or a schedule (here at its end) that cannot be weighed.

        Raises:
            UserError: naming the setting and the remedy.
        """

    def __call__(self, drawn: Drawn, pressure: Pressure) -> Tensor:
        """What is minimised: a scalar."""
        raise NotImplementedError

    def item_values(self, drawn: Drawn, pressure: Pressure) -> Tensor:
        """`(batch,)` what each item is worth but for its KL, in nats: its log-likelihood, for most objectives."""
        return drawn.log_likelihood.mean(0)

    def value(self, items: float, kl: float, kl_of_dimension: Tensor, pressure: Pressure) -> float:
        """Minus what is minimised, over a whole split, in nats.

        Args:
            items: mean of `item_values`.
            kl: mean over items, summed over dimensions.
            kl_of_dimension: `(dim,)` mean over items.
            pressure: what the schedule asks for in the end.
        """
        return items - pressure.on(kl)


def refuse_capacity(pressure: Pressure, objective: str) -> None:
    """Raise `UserError` for a schedule that holds the KL itself at a capacity."""
    if pressure.capacity:
        raise UserError(
            f"objective={objective} has no KL to hold at a capacity: use objective=elbo, or another beta_schedule"
        )


def refuse_point(latent: Latent, objective: str) -> None:
    """Raise `UserError` for a latent that has no density."""
    if not latent.has_prior:
        raise UserError(
            f"objective={objective} weighs the code's density, and latent=point has none: use latent=gaussian"
        )
