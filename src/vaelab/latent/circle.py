"""Phases on the circle S¹ with a uniform prior."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from vaelab.latent.base import Latent, Posterior, repeated
from vaelab.likelihood.base import LOG_2PI, gaussian_log_density


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
        cosine, sine, sigma = repeated(draws, self.cosine, self.sine, self.sigma)
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
class CircleLatent(Latent):
    """`dim` phases on the circle S¹ with a uniform prior, for data that come back to where they began.

    The encoder gives a direction (two heads) and a log spread; the decoder sees (cos, sin), so nothing tears.
    """

    heads: ClassVar[int] = 3

    @property
    def code_size(self) -> int:
        """Cosine and sine of each phase."""
        return 2 * self.dims

    @override
    def posterior(self, params: Tensor) -> WrappedNormalPosterior:
        cosine, sine, log_sigma = params.chunk(3, dim=1)
        radius = torch.sqrt(cosine.square() + sine.square() + 1e-12)
        return WrappedNormalPosterior(cosine / radius, sine / radius, log_sigma.clamp(-10.0, 1.5).exp())

    @override
    def prior_sample(self, n: int) -> Tensor:
        phase = 2 * math.pi * torch.rand(n, self.dims)
        return torch.cat([torch.cos(phase), torch.sin(phase)], dim=-1)

    @override
    def prior_log_density(self, code: Tensor) -> Tensor:
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
