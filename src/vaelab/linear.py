"""The best linear code of items, found in the frequency domain and in batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vaelab.seeding import short_seed

# Of the frequencies of an item so many for each number of its code may take part, and no fewer than `LEAST`.
CANDIDATES, LEAST = 8, 1024


class LinearCode(NamedTuple):
    """Items as a mean and weighted directions; what is left of them has no direction.

    Attributes:
        mean: `(*shape)`.
        directions: `(size, *shape)`, orthonormal, those that are worth most first.
        variances: `(size,)`, of the items along each direction.
        rest: the mean variance along each direction that is left out.
    """

    mean: Tensor
    directions: Tensor
    variances: Tensor
    rest: Tensor

    def project(self, x: Tensor) -> Tensor:
        """`(items, size)` of items `(items, *shape)`."""
        return (x - self.mean).flatten(1) @ self.directions.flatten(1).T

    def restore(self, code: Tensor) -> Tensor:
        """`(items, *shape)` of codes `(items, size)`."""
        return (code @ self.directions.flatten(1)).unflatten(1, self.mean.shape) + self.mean


def fit_linear_code(batches: Callable[[], Iterable[Tensor]], size: int, correlated: bool = True) -> LinearCode:
    """Principal components of items, among their frequencies of most variance.

    Neighbours in a picture or a signal are alike, so a cosine transform over all axes (Ahmed et al. 1974) leaves most
    variance to few frequencies, and correlations between these are small. What is seen of them in few items is mostly
    chance: with `n` items and `f` frequencies they shrink by `f / (f + n)`. Where all frequencies take part and items
    are many, it is PCA itself.

    Args:
        batches: what goes through the same items, `(batch, *shape)`, at each call.
        size: of the code; at most as many as the items have numbers.
        correlated: False takes no correlation into account: the code is the frequencies of most variance themselves.
    """
    shape, mean, variance = _moments(batches)
    chosen = variance.argsort(descending=True)[: max(CANDIDATES * size, LEAST) if correlated else size]
    variances, inside = variance[chosen], torch.eye(len(chosen), dtype=torch.float64)
    if correlated:
        variances, inside = _components(batches, mean, chosen)
    size = min(size, len(chosen))
    rest = (variance.sum() - variances[:size].sum()).clamp(min=0) / max(len(variance) - size, 1)
    directions = torch.zeros(size, len(variance))
    directions[:, chosen] = inside[:, :size].T.float()
    return LinearCode(
        _restored(mean.float()[None], shape)[0], _restored(directions, shape), variances[:size].float(), rest.float()
    )


def principal_components(x: Tensor, size: int, seed: int) -> LinearCode:
    """PCA of items `(items, *shape)` as they are, scikit-learn's; `seed` is that of its solver.

    Of few items whose neighbouring numbers are alike it knows too much; of spectrograms, with their narrow lines, more
    than their frequencies tell.
    """
    from sklearn.decomposition import PCA

    rows = x.flatten(1).numpy()
    pca = PCA(min(size, *rows.shape), random_state=short_seed("solver", seed)).fit(rows)
    directions = torch.from_numpy(pca.components_).unflatten(1, x.shape[1:])
    variances = torch.from_numpy(pca.explained_variance_)
    rest = torch.tensor(pca.noise_variance_, dtype=variances.dtype)
    return LinearCode(torch.from_numpy(pca.mean_).view(x.shape[1:]), directions, variances, rest)


def _moments(batches: Callable[[], Iterable[Tensor]]) -> tuple[torch.Size, Tensor, Tensor]:
    """The shape of an item, and the mean and variance `(numbers,)` of each frequency."""
    n, total, square = 0, torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for x in batches():
        shape, seen = x.shape[1:], _frequencies(x).double()
        n, total, square = n + len(seen), total + seen.sum(0), square + seen.square().sum(0)
    mean = total / n
    return shape, mean, (square / n - mean.square()).clamp(min=0)


def _components(batches: Callable[[], Iterable[Tensor]], mean: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
    """Variances and directions `(chosen, chosen)` of principal components of the chosen frequencies, largest first."""
    n, covariance = 0, torch.zeros(len(chosen), len(chosen), dtype=torch.float64)
    centre = mean[chosen].float()
    for x in batches():
        apart = _frequencies(x)[:, chosen] - centre
        n, covariance = n + len(apart), covariance + (apart.T @ apart).double()
    covariance /= n
    shrunk = torch.lerp(covariance, covariance.diag().diag(), len(chosen) / (len(chosen) + n))
    inside = torch.linalg.eigh(shrunk).eigenvectors.flip(1)
    return ((covariance @ inside) * inside).sum(0), inside


def _frequencies(x: Tensor) -> Tensor:
    """`(items, numbers)` orthonormal cosine transform of items `(items, *shape)`."""
    from scipy.fft import dctn

    transformed = dctn(np.asarray(x.cpu(), np.float32), axes=tuple(range(1, x.ndim)), norm="ortho")
    return torch.from_numpy(transformed).flatten(1)


def _restored(frequencies: Tensor, shape: torch.Size) -> Tensor:
    """`(items, *shape)` of `_frequencies`."""
    from scipy.fft import idctn

    assert frequencies.shape[1] == math.prod(shape)
    rows = frequencies.unflatten(1, shape).numpy()
    return torch.from_numpy(idctn(rows, axes=tuple(range(1, rows.ndim)), norm="ortho"))
