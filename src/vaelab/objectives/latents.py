"""Latent families: what q(z|x) and p(z) are.

A family has `dim` latent dimensions. The encoder gives `heads · dim` numbers an item, laid out head by head; the
decoder takes a code of `code_size` numbers. `posterior(params)` gives a posterior whose `kl()` is in nats.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from vaelab.errors import UserError
from vaelab.objectives.likelihoods import LOG_2PI, gaussian_log_density

# Parts of the items, each held against the moments of all others.
FOLDS = 5


class Posterior(Protocol):
    """q(z|x) of a batch."""

    @property
    def mean(self) -> Tensor:
        """`(batch, code_size)` the code that a deterministic pass uses."""

    def sample(self, draws: int = 1) -> Tensor:
        """`(draws · batch, code_size)` reparameterised draws, the whole batch once after the other."""

    def kl(self) -> Tensor:
        """`(batch, dim)` KL(q(z|x) ‖ p(z)) of each dimension, in nats."""

    def log_density(self, code: Tensor) -> Tensor:
        """`(…, dim)` log q(code|x) of each dimension in nats; codes `(…, code_size)` that broadcast with the batch."""


@dataclass
class Latent:
    """The interface of a family. `dim` None: as many dimensions as the architecture's own code has."""

    dim: int | None = None
    heads: ClassVar[int] = 1
    has_prior: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.dim is not None and self.dim < 1:
            raise UserError(f"latent.dim must be at least 1, not {self.dim}")

    @property
    def dims(self) -> int:
        """The number of latent dimensions, once it is known."""
        if self.dim is None:
            raise UserError("latent.dim must be given: this architecture has no code of its own")
        return self.dim

    @property
    def code_size(self) -> int:
        """How many numbers the decoder sees."""
        return self.dims

    def posterior(self, params: Tensor) -> Posterior:
        """q(z|x) from the encoder's output `(batch, heads · dim)`."""
        raise NotImplementedError

    def prior_sample(self, n: int) -> Tensor:
        """`(n, code_size)` codes drawn from p(z) with torch's global generator."""
        raise NotImplementedError

    def prior_log_density(self, code: Tensor) -> Tensor:
        """`(…, dim)` log p(code) of each dimension in nats, for codes `(…, code_size)`."""
        raise NotImplementedError

    def prior_gap(self, posterior: Posterior) -> Tensor:
        """A lower bound on the KL from the aggregate posterior to the prior: a scalar in nats, float64.

        Four fifths of the items give the moments of a density r, and the last fifth what log r(z) / p(z) is on average;
        each fifth in turn. No density that does not know z has more of that than the aggregate posterior itself, so it
        is a bound on average, whatever r misses; the moments of the very items would give too much, some dim² / 4n
        nats. Of few items in many dimensions it is below zero, which says nothing. A single item gives zero.
        """
        n = len(posterior.mean)
        gap, folds = posterior.mean.new_zeros((), dtype=torch.float64), min(FOLDS, n)
        fold = torch.arange(n, device=posterior.mean.device) % folds
        for k in range(folds) if n > 1 else ():
            part = fold == k
            gap += part.sum() / n * self.log_ratio(selected(posterior, ~part), selected(posterior, part))
        return gap

    def log_ratio(self, known: Posterior, unknown: Posterior) -> Tensor:
        """The mean of log r(z) / p(z) over codes of `unknown`, where r has the moments of the codes of `known`.

        Of all densities with the moments that the family knows, r has the most entropy. A scalar in nats, float64.
        """
        raise NotImplementedError

    def project(self, code: Tensor) -> Tensor:
        """The nearest valid code: what a mixture or a straight line between codes must go through."""
        return code


def joined(posteriors: Sequence[Posterior]) -> Posterior:
    """Several batches' posteriors of one family, as one."""
    columns = zip(*map(_tensors, posteriors), strict=True)
    return type(posteriors[0])(*map(torch.cat, columns))


def selected(posterior: Posterior, items: Tensor | slice) -> Posterior:
    """Those of some items: a slice, numbers `(k,)`, or a mask `(batch,)`."""
    return type(posterior)(*(tensor[items] for tensor in _tensors(posterior)))


def _tensors(posterior: Posterior) -> list[Tensor]:
    return [getattr(posterior, field.name) for field in fields(posterior)]  # type: ignore[arg-type]


def _repeated(draws: int, *tensors: Tensor) -> Sequence[Tensor]:
    return tensors if draws == 1 else [tensor.repeat(draws, 1) for tensor in tensors]


@dataclass(frozen=True)
class GaussianPosterior:
    """N(mean, exp(log_variance)), `(batch, dim)` each."""

    mean: Tensor
    log_variance: Tensor

    def sample(self, draws: int = 1) -> Tensor:
        """Mean + sigma · noise (Kingma and Welling 2014, eq. 10)."""
        mean, sigma = _repeated(draws, self.mean, torch.exp(0.5 * self.log_variance))
        return mean + sigma * torch.randn_like(mean)

    def kl(self) -> Tensor:
        """½(mean² + sigma² − 1 − log sigma²) of each dimension (Kingma and Welling 2014, appendix B)."""
        return 0.5 * (self.mean.square() + self.log_variance.exp() - 1 - self.log_variance)

    def log_density(self, code: Tensor) -> Tensor:
        """`(…, dim)` in nats."""
        return gaussian_log_density(code, self.mean, self.log_variance.exp())


@dataclass
class Gaussian(Latent):
    """R^dim with a standard normal prior; the encoder gives mean and log variance."""

    heads: ClassVar[int] = 2

    def posterior(self, params: Tensor) -> GaussianPosterior:  # noqa: D102
        mean, log_variance = params.chunk(2, dim=1)
        # The bounds are far outside what training visits; they keep one wild batch from overflowing exp.
        return GaussianPosterior(mean, log_variance.clamp(-20.0, 10.0))

    def prior_sample(self, n: int) -> Tensor:  # noqa: D102
        return torch.randn(n, self.dims)

    def prior_log_density(self, code: Tensor) -> Tensor:  # noqa: D102
        return -0.5 * (code.square() + LOG_2PI)

    def log_ratio(self, known: Posterior, unknown: Posterior) -> Tensor:
        """With the one normal that has the mean and, nearly, the covariance of the known codes.

        The correlations shrink as n / (n + dim), so that few items in many dimensions do not invent them.
        """
        assert isinstance(known, GaussianPosterior) and isinstance(unknown, GaussianPosterior)
        mean, within = known.mean.double(), known.log_variance.double().exp().mean(0)
        kept, apart = len(mean) / (len(mean) + self.dims), mean - mean.mean(0)
        # Covariance = √diagonal · (1 + scatterᵀ scatter) · √diagonal.
        diagonal = within + (1 - kept) * apart.square().mean(0)
        scatter = apart * (kept / len(mean) / diagonal).sqrt()
        if len(scatter) > self.dims:
            scatter = torch.linalg.qr(scatter, mode="r").R  # the same product from fewer rows
        product = torch.eye(len(scatter)).to(scatter) + scatter @ scatter.T
        lower = torch.linalg.cholesky(product)
        # The inverse of 1 + scatterᵀ scatter is 1 - rootᵀ root.
        root = torch.linalg.solve_triangular(lower, scatter, upper=False)
        codes, variance = unknown.mean.double(), unknown.log_variance.double().exp().mean(0)
        far = (codes - mean.mean(0)) / diagonal.sqrt()
        square = far.square().sum(1).mean() - (far @ root.T).square().sum(1).mean()
        square += ((1 - root.square().sum(0)) * variance / diagonal).sum()
        log_determinant = diagonal.log().sum() + 2 * lower.diagonal().log().sum()
        return 0.5 * (codes.square().mean(0).sum() + variance.sum() - log_determinant - square)


@dataclass(frozen=True)
class WrappedNormalPosterior:
    """Independent phases, each a normal wrapped around the circle.

    `cosine` and `sine` `(batch, dim)` are those of the mean phase, `sigma` `(batch, dim)` its spread in radians.
    A code is `(cos phases, sin phases)`, `(batch, 2 · dim)`.
    """

    cosine: Tensor
    sine: Tensor
    sigma: Tensor

    NARROW: ClassVar[float] = 0.6

    @property
    def mean(self) -> Tensor:
        """The mean phase as a code."""
        return torch.cat([self.cosine, self.sine], dim=-1)

    def resultant(self) -> tuple[Tensor, Tensor]:
        """Mean cosine and sine of the batch's codes, `(dim,)` float64 each."""
        shrink = torch.exp(-0.5 * self.sigma.double().square())
        return (self.cosine * shrink).mean(0), (self.sine * shrink).mean(0)

    def sample(self, draws: int = 1) -> Tensor:
        """The mean phase turned by sigma · noise."""
        cosine, sine, sigma = _repeated(draws, self.cosine, self.sine, self.sigma)
        turn = sigma * torch.randn_like(sigma)
        return torch.cat(
            [cosine * torch.cos(turn) - sine * torch.sin(turn), sine * torch.cos(turn) + cosine * torch.sin(turn)],
            dim=-1,
        )

    def kl(self) -> Tensor:
        """Log 2π − H(wrapped normal): the prior is uniform on the circle."""
        narrow = 0.5 * (LOG_2PI + 1) + torch.log(self.sigma)
        # Below 0.6 rad the wrapped tails hold less than 1e-6: the plain normal's entropy is exact to float32. To look
        # whether any is wider would make a GPU wait.
        if self.sigma.device.type == "cpu" and bool((self.sigma < self.NARROW).all()):
            return math.log(2 * math.pi) - narrow
        entropy = torch.where(self.sigma < self.NARROW, narrow, _wide_entropy(self.sigma, self.NARROW))
        return math.log(2 * math.pi) - entropy

    def log_density(self, code: Tensor) -> Tensor:
        """`(…, dim)` per radian, in nats."""
        cosine, sine = code.chunk(2, dim=-1)
        # An arctangent for each code and each mean, not for each pair of them.
        gap = torch.atan2(sine, cosine) - torch.atan2(self.sine, self.cosine)
        gap = torch.remainder(gap + math.pi, 2 * math.pi) - math.pi
        # What is left out lies (2 · most + 1) half turns away, beyond six of the widest sigma.
        widest = float(self.sigma.detach().max().nan_to_num())
        most = math.ceil(max((6 * widest / math.pi - 1) / 2, 0))
        variance = self.sigma.square()
        nearest = gaussian_log_density(gap, torch.zeros_like(gap), variance)
        if most == 0:
            return nearest
        # The density a few turns further, in units of that at the gap itself, which is the largest.
        turns = [2 * math.pi * k for k in range(-most, most + 1) if k]
        further = (torch.exp((-turn * (gap + turn / 2) / variance).clamp(min=-80)) for turn in turns)
        return nearest + torch.log1p(sum(further, torch.zeros(())))


def _wide_entropy(sigma: Tensor, smallest: float, points: int = 64, terms: int = 12) -> Tensor:
    """Entropy in nats of a wrapped normal of `sigma` ≥ `smallest` radians, by its Fourier series.

    p(θ) = (1 + 2 Σ exp(−n²sigma²/2) cos nθ) / 2π (Mardia and Jupp 2000, eq. 3.5.66); the trapezium rule converges
    exponentially on a circle.
    """
    n = torch.arange(1, terms + 1, device=sigma.device, dtype=sigma.dtype)
    angle = 2 * math.pi * torch.arange(points, device=sigma.device, dtype=sigma.dtype) / points
    weights = torch.exp(-0.5 * n.square() * sigma.clamp(min=smallest).square().unsqueeze(-1))
    # Mixed precision would round this product to three digits.
    with torch.autocast(sigma.device.type, enabled=False):
        density = (1 + 2 * weights @ torch.cos(n.unsqueeze(1) * angle)) / (2 * math.pi)
    return -(density * torch.log(density.clamp(min=1e-12))).mean(-1) * 2 * math.pi


@dataclass
class Circle(Latent):
    """`dim` phases on the circle S¹ with a uniform prior, for data that come back to where they began.

    The encoder gives a direction (two heads) and a log spread; the decoder sees (cos, sin), so nothing tears.
    """

    heads: ClassVar[int] = 3

    @property
    def code_size(self) -> int:
        """Cosine and sine of each phase."""
        return 2 * self.dims

    def posterior(self, params: Tensor) -> WrappedNormalPosterior:  # noqa: D102
        cosine, sine, log_sigma = params.chunk(3, dim=1)
        radius = torch.sqrt(cosine.square() + sine.square() + 1e-12)
        return WrappedNormalPosterior(cosine / radius, sine / radius, log_sigma.clamp(-10.0, 1.5).exp())

    def prior_sample(self, n: int) -> Tensor:  # noqa: D102
        phase = 2 * math.pi * torch.rand(n, self.dims)
        return torch.cat([torch.cos(phase), torch.sin(phase)], dim=-1)

    def prior_log_density(self, code: Tensor) -> Tensor:  # noqa: D102
        return code.new_full((*code.shape[:-1], self.dims), -math.log(2 * math.pi))

    def log_ratio(self, known: Posterior, unknown: Posterior) -> Tensor:
        """With the von Mises density that has each phase's mean direction and resultant length R.

        Of all densities on the circle with that R it has the most entropy (Mardia and Jupp 2000, section 3.5.4). Its
        concentration is Banerjee et al.'s (2005, eq. 4.4) approximation; any other would give a bound, too.
        """
        assert isinstance(known, WrappedNormalPosterior) and isinstance(unknown, WrappedNormalPosterior)
        cosine, sine = known.resultant()
        length = torch.hypot(cosine, sine).clamp(1e-12, 1 - 1e-6)
        concentration = length * (2 - length.square()) / (1 - length.square())
        log_bessel = torch.special.i0e(concentration).log() + concentration
        along = sum(a * b for a, b in zip((cosine, sine), unknown.resultant(), strict=True)) / length
        return (concentration * along - log_bessel).sum()

    def project(self, code: Tensor) -> Tensor:
        """Onto the circle, along the radius; the origin, which has no phase, gets phase 0."""
        cosine, sine = code.chunk(2, dim=-1)
        cosine = cosine.where((cosine != 0) | (sine != 0), 1.0)
        radius = torch.hypot(cosine, sine)
        return torch.cat([cosine / radius, sine / radius], dim=-1)


@dataclass(frozen=True)
class PointPosterior:
    """All mass on one code `(batch, dim)`: a plain autoencoder."""

    mean: Tensor

    def sample(self, draws: int = 1) -> Tensor:
        """The point itself."""
        return _repeated(draws, self.mean)[0]

    def kl(self) -> Tensor:
        """Zero: nothing is paid for the code."""
        return torch.zeros_like(self.mean)

    def log_density(self, code: Tensor) -> Tensor:
        """A point mass has no density."""
        raise UserError("latent=point has no density, so no importance-weighted bound: use latent=gaussian")


@dataclass
class Point(Latent):
    """A plain, deterministic code: no noise, no prior, no KL."""

    has_prior: ClassVar[bool] = False

    def posterior(self, params: Tensor) -> PointPosterior:  # noqa: D102
        return PointPosterior(params)

    def prior_sample(self, n: int) -> Tensor:  # noqa: D102
        raise UserError("latent=point has no prior: sample with task.density=gmm or task.density=posterior")

    def prior_log_density(self, code: Tensor) -> Tensor:  # noqa: D102
        raise UserError("latent=point has no prior: use latent=gaussian")
