"""p(x | z): how a decoder's output becomes a density over x.

A likelihood takes the decoder's output `params`, shaped as x, and gives densities in nats per sample (summed over
all dimensions). `output` says what the decoder's numbers are to a person: `mean` maps them to x's own units.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vaelab.errors import UserError

LOG_2PI = math.log(2 * math.pi)
# Of a spread in the units of encoded data, which are near one.
NARROWEST, WIDEST = 1e-6, 1e6


class Likelihood(nn.Module):
    """The interface. `support` is the closed interval that x must lie in."""

    support: tuple[float, float] = (-math.inf, math.inf)

    def log_prob(self, target: Tensor, params: Tensor) -> Tensor:
        """`(batch,)` log p(target | params) in nats; both `(batch, *shape)`."""
        raise NotImplementedError

    def mean(self, params: Tensor) -> Tensor:
        """E[x], shaped as `params`."""
        return params

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


def _per_sample(log_density: Tensor) -> Tensor:
    return log_density.flatten(1).sum(1)


class Bernoulli(Likelihood):
    """Independent Bernoulli with the decoder's output as logits.

    For grey values strictly between 0 and 1 this is the usual cross-entropy, not a normalised density.
    """

    support = (0.0, 1.0)

    def log_prob(self, target: Tensor, params: Tensor) -> Tensor:  # noqa: D102
        # x · logit − log(1 + e^logit): two passes over memory where the library's cross-entropy takes more.
        if len(target) == 1:
            # One item under many draws: its part is a product of matrices.
            return params.flatten(1) @ target.flatten() - _per_sample(F.softplus(params))
        return _per_sample(target * params - F.softplus(params))

    def mean(self, params: Tensor) -> Tensor:  # noqa: D102
        return params.sigmoid()

    def sample(self, params: Tensor) -> Tensor:  # noqa: D102
        return torch.bernoulli(params.sigmoid())


def gaussian_log_density(x: Tensor, mean: Tensor, variance: Tensor | float) -> Tensor:
    """Element-wise log N(x; mean, variance), in nats."""
    log_variance = torch.log(variance) if isinstance(variance, Tensor) else math.log(variance)
    return -0.5 * (LOG_2PI + log_variance + (x - mean).square() / variance)


class Gaussian(Likelihood):
    """N(x; decoder's output, sigma²) with one fixed `sigma`, in x's units."""

    def __init__(self, sigma: float = 0.1) -> None:
        super().__init__()
        check_width("sigma", sigma)
        self.sigma = sigma

    def log_prob(self, target: Tensor, params: Tensor) -> Tensor:  # noqa: D102
        return _per_sample(gaussian_log_density(target, params, self.sigma**2))

    def sample(self, params: Tensor) -> Tensor:  # noqa: D102
        return params + self.sigma * torch.randn_like(params)


class LearnedGaussian(Likelihood):
    """N(x; decoder's output, sigma²) with the one sigma that fits best (Rybkin et al. 2021, section 3.2).

    In training sigma² is the batch's mean squared error, its maximum-likelihood value, or with `per_item` each item's
    own: then what counts is by which factor an error shrinks, so that weak items weigh as much as strong ones.
    `variance` follows it as a moving average over about `1 / (1 - momentum)` steps and is what evaluation uses.
    `min_sigma` keeps the density finite, and the KL from drowning in it, when the fit becomes perfect.
    """

    variance: Tensor
    seen: Tensor

    def __init__(self, momentum: float = 0.98, min_sigma: float = 0.01, per_item: bool = False) -> None:
        super().__init__()
        if not 0 <= momentum < 1:
            raise UserError(f"likelihood.momentum must lie in [0, 1), not {momentum}")
        check_width("min_sigma", min_sigma)
        self.momentum, self.min_variance, self.per_item = momentum, min_sigma**2, per_item
        self.register_buffer("variance", torch.ones(()))
        self.register_buffer("seen", torch.zeros(()))

    def log_prob(self, target: Tensor, params: Tensor) -> Tensor:  # noqa: D102
        variance = self._optimal(target, params) if self.training else self.variance
        return _per_sample(gaussian_log_density(target, params, variance))

    def sample(self, params: Tensor) -> Tensor:  # noqa: D102
        return params + self.variance.sqrt() * torch.randn_like(params)

    def learnt(self) -> dict[str, Tensor]:  # noqa: D102
        return {"sigma": self.variance.sqrt()}

    def _optimal(self, target: Tensor, params: Tensor) -> Tensor:
        error = (target - params).square()
        error = error.mean(tuple(range(1, error.ndim)), keepdim=True) if self.per_item else error.mean()
        optimal = error.clamp(min=self.min_variance)
        with torch.no_grad():
            self.seen += 1
            weight = (1 / self.seen).clamp(min=1 - self.momentum)
            self.variance.lerp_(optimal.mean(), weight)
        return optimal


class Laplace(Likelihood):
    """Laplace(x; decoder's output, scale): absolute errors, sharper edges than a Gaussian's."""

    def __init__(self, scale: float = 0.1) -> None:
        super().__init__()
        check_width("scale", scale)
        self.scale = scale

    def log_prob(self, target: Tensor, params: Tensor) -> Tensor:  # noqa: D102
        return _per_sample(-(target - params).abs() / self.scale - math.log(2 * self.scale))

    def sample(self, params: Tensor) -> Tensor:  # noqa: D102
        return torch.distributions.Laplace(params, self.scale).sample()


class Logistic(Likelihood):
    """A logistic density around the decoder's output, gathered into the bins of `levels` values on [0, 1].

    A probability of what a file can hold, so that bits per dimension compare across models (Kingma et al. 2016, eq. 14,
    and Salimans et al. 2017, eq. 2). The outermost bins reach to infinity; values between two levels count as the
    nearer. The one `scale` is learnt with the net.
    """

    support = (0.0, 1.0)

    def __init__(self, levels: int = 256, scale: float = 0.1) -> None:
        super().__init__()
        if levels < 2:
            raise UserError(f"likelihood.levels must be at least 2, not {levels}")
        check_width("scale", scale)
        self.steps = levels - 1
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))

    def log_prob(self, target: Tensor, params: Tensor) -> Tensor:  # noqa: D102
        level = torch.round(target * self.steps)
        precision = torch.exp(-self.log_scale)
        upper = ((level + 0.5) / self.steps - params) * precision
        lower = ((level - 0.5) / self.steps - params) * precision
        # log(σ(u) − σ(l)) = log σ(u) + log σ(−l) + log(1 − e^(l − u)): exact far from the centre, too.
        inner = F.logsigmoid(upper) + F.logsigmoid(-lower) + torch.log(-torch.expm1(-precision / self.steps))
        edged = torch.where(level <= 0, F.logsigmoid(upper), inner)
        return _per_sample(torch.where(level >= self.steps, F.logsigmoid(-lower), edged))

    def mean(self, params: Tensor) -> Tensor:
        """The centre, inside of [0, 1]: the mean but for what the outermost bins gather."""
        return params.clamp(0.0, 1.0)

    def sample(self, params: Tensor) -> Tensor:  # noqa: D102
        uniform = torch.rand_like(params).clamp(1e-7, 1 - 1e-7)
        drawn = params + self.log_scale.exp() * (uniform.log() - torch.log1p(-uniform))
        return torch.round(drawn.clamp(0.0, 1.0) * self.steps) / self.steps

    def learnt(self) -> dict[str, Tensor]:  # noqa: D102
        return {"scale": self.log_scale.detach().exp()}


class ZeroMeanGaussian(Likelihood):
    """N(0, sigma²) with the decoder's output as log sigma: for what has no expectation to speak of, but a power.

    A fading radio tap or a band of noise is such: its variance is all that a code can know of it. `min_sigma`, in
    quadrature with the decoder's, keeps the density finite where the data vanish, and is the noise under every sample.
    """

    def __init__(self, min_sigma: float = 0.03) -> None:
        super().__init__()
        check_width("min_sigma", min_sigma)
        self.min_sigma = min_sigma

    def log_prob(self, target: Tensor, params: Tensor) -> Tensor:  # noqa: D102
        return _per_sample(gaussian_log_density(target, torch.zeros_like(params), self._variance(params)))

    def mean(self, params: Tensor) -> Tensor:  # noqa: D102
        return torch.zeros_like(params)

    def sample(self, params: Tensor) -> Tensor:  # noqa: D102
        return self._variance(params).sqrt() * torch.randn_like(params)

    def _variance(self, params: Tensor) -> Tensor:
        # The bound is far outside what training visits; it keeps one wild batch from overflowing exp.
        return torch.exp(2 * params.clamp(max=20.0)) + self.min_sigma**2
