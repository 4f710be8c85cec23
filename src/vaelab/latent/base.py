"""Latent families: what q(z|x) and p(z) are.

A family has `dim` latent dimensions. The encoder gives `heads · dim` numbers an item, laid out head by head; the
decoder takes a code of `code_size` numbers. `posterior(params)` gives a posterior whose `kl()` is in nats.

A family of your own, and its entry of the group. A posterior is a dataclass of tensors alone, each with a row for each
item, so that items can be taken out of it::

    # mylatents.py
    import math
    from dataclasses import dataclass
    from typing import ClassVar

    import torch

    from vaelab.latent.gaussian import GaussianLatent, GaussianPosterior


    @dataclass
    class OneWidth(GaussianLatent):
        heads: ClassVar[int] = 1
        width: float = 0.1

        def posterior(self, params):
            return GaussianPosterior(params, torch.full_like(params, 2 * math.log(self.width)))

    # mine/latent/one_width.yaml
    _target_: mylatents.OneWidth
    dim: 4
    width: 0.1

One that is derived from `Latent` itself brings `prior_sample`, `prior_log_density` and `log_ratio` as well, or says
`has_prior = False`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from vaelab.errors import UserError

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


def moved(posterior: Posterior, device: torch.device) -> Posterior:
    """The same on a device."""
    return type(posterior)(*(tensor.to(device) for tensor in _tensors(posterior)))


def _tensors(posterior: Posterior) -> list[Tensor]:
    return [getattr(posterior, field.name) for field in fields(posterior)]  # type: ignore[arg-type]


def repeated(draws: int, *tensors: Tensor) -> Sequence[Tensor]:
    """The tensors `(batch, …)`, each `draws` times one after the other: `(draws · batch, …)`."""
    return tensors if draws == 1 else [tensor.repeat(draws, 1) for tensor in tensors]
