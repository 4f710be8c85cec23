"""p(x | z): how a decoder's output becomes a density over x.

A likelihood takes the decoder's output `params`, shaped as x, and gives densities in nats per sample (summed over
all dimensions). `mean` says what the decoder's numbers are to a person: it maps them to x's own units.

One of your own, and its entry of the group::

    # mylikelihoods.py
    import torch

    from vaelab.likelihood.base import Likelihood, check_width, per_sample


    class StudentT(Likelihood):
        def __init__(self, scale: float = 0.2, freedom: float = 4.0) -> None:
            super().__init__()
            check_width("scale", scale)
            self.scale, self.freedom = scale, freedom

        def log_prob(self, target, params):
            return per_sample(torch.distributions.StudentT(self.freedom, params, self.scale).log_prob(target))

        def sample(self, params):
            return torch.distributions.StudentT(self.freedom, params, self.scale).sample()

    # mine/likelihood/student_t.yaml
    _target_: mylikelihoods.StudentT
    scale: 0.2
    freedom: 4.0
"""

import math

import torch
from torch import Tensor, nn

from vaelab.errors import UserError

LOG_2PI = math.log(2 * math.pi)


# Of a spread in the units of encoded data, which are near one.
NARROWEST, WIDEST = 1e-6, 1e6


class Likelihood(nn.Module):
    """The interface. `support` is the closed interval that x must lie in; `has_mean` says that `mean` can be any x."""

    support: tuple[float, float] = (-math.inf, math.inf)
    has_mean = True

    def log_prob(self, target: Tensor, params: Tensor) -> Tensor:
        """`(batch,)` log p(target | params) in nats; both `(batch, *shape)`."""
        raise NotImplementedError

    def mean(self, params: Tensor) -> Tensor:
        """E[x], shaped as `params`."""
        return params

    def statistic(self, x: Tensor) -> Tensor:
        """All that the density knows of x `(batch, *shape)`, and so all that a code can be told from: shaped as `x`."""
        return x

    def sample(self, params: Tensor) -> Tensor:
        """One draw of x, shaped as `params`."""
        raise NotImplementedError

    def learnt(self) -> dict[str, Tensor]:
        """How wide the density is, in x's units, where that is one number that training finds: a scalar by its name."""
        return {}

    def check_support(self, low: float, high: float) -> None:
        """Refuse data whose smallest and largest value leave the support.

        Raises:
            UserError: naming the range and the remedy.
        """
        if low < self.support[0] or high > self.support[1]:
            name = type(self).__name__.lower()
            raise UserError(
                f"the data run from {low:.4g} to {high:.4g}, outside what likelihood={name} allows "
                f"[{self.support[0]:g}, {self.support[1]:g}]: use likelihood=gaussian or rescale the data"
            )


def check_width(name: str, width: float) -> None:
    """Refuse a spread, in encoded units, whose square or inverse single precision cannot hold. Raises `UserError`."""
    if not NARROWEST <= width <= WIDEST:
        raise UserError(f"likelihood.{name} must lie in [{NARROWEST:g}, {WIDEST:g}], not {width:g}")


def per_sample(log_density: Tensor) -> Tensor:
    """The sum over all dimensions of each item: `(batch, *shape)` in, `(batch,)` out."""
    return log_density.flatten(1).sum(1)


def gaussian_log_density(x: Tensor, mean: Tensor, variance: Tensor | float) -> Tensor:
    """Element-wise log N(x; mean, variance), in nats."""
    log_variance = torch.log(variance) if isinstance(variance, Tensor) else math.log(variance)
    return -0.5 * (LOG_2PI + log_variance + (x - mean).square() / variance)
