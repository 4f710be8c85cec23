"""Flow matching: a net learns the velocity at which noise goes straight to items."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from vaelab.architecture.timed import over
from vaelab.variant.base import Parts
from vaelab.variant.transport import Field, Transport, at, even_times

Pairing = Literal["independent", "optimal"]
Sampler = Literal["euler", "heun"]


class FlowMatching(Transport):
    """x at a time is (1 − time) · noise + time · item, and a net learns the mean velocity there, item − noise.

    Lipman et al. 2023, eq. 23 with no width at the end; Liu et al. 2023, eq. 1.

    With `pairing=optimal` the noise of a batch is shared out among its items so that the way is shortest, and paths
    hardly cross (Tong et al. 2024, section 3.2). New items are made in `steps`: with `sampler=heun` each asks the net
    twice, at its two ends, and errs far less.
    """

    name: ClassVar[str] = "flow_matching"

    def __init__(
        self,
        parts: Parts,
        *,
        pairing: Pairing = "independent",
        sampler: Sampler = "heun",
        steps: int = 25,
        ema: float = 0.999,
    ) -> None:
        super().__init__(parts, ema=ema)
        self.pairing, self.sampler = pairing, sampler
        self.in_steps(steps)

    def errors(self, field: Field, x: Tensor) -> Tensor:
        """`(batch,)` mean square errors of the velocity, at a time of each item's own."""
        noise, time = torch.randn_like(x), even_times(len(x), x.device)
        if self.pairing == "optimal":
            noise = nearest(noise, x)
        velocity = field(torch.lerp(noise, x, over(time[:, None], x)), time).float()
        return (velocity - (x - noise)).square().flatten(1).mean(1)

    def carried(self, field: Field, noise: Tensor) -> Tensor:
        """Along the velocity, in even steps of time."""
        x, step = noise, 1 / self.steps
        for k in range(self.steps):
            velocity = at(field, x, k * step)
            if self.sampler == "heun":
                velocity = (velocity + at(field, x + step * velocity, (k + 1) * step)) / 2
            x = x + step * velocity
        return x


def nearest(noise: Tensor, x: Tensor) -> Tensor:
    """The noise `(batch, *shape)` in the order in which it is nearest to x as a whole, by squares of distances."""
    from scipy.optimize import linear_sum_assignment

    costs = torch.cdist(x.flatten(1), noise.flatten(1)).square()
    _, chosen = linear_sum_assignment(costs.cpu().numpy())
    return noise[torch.from_numpy(chosen).to(noise.device)]
