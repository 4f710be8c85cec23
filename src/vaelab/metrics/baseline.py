"""What every net stands beside: the mean of the training split, and PCA fitted on it."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaelab.seeding import generator, short_seed


def mean_reconstruction(train: Tensor, test: Tensor) -> Tensor:
    """The mean training item `(items, *size)`, repeated for every test item: shaped as `test`."""
    return train.mean(dim=0).expand_as(test)


def pca_reconstruction(train: Tensor, test: Tensor, components: int, seed: int = 0) -> Tensor:
    """Test items projected on the leading principal components of the training items: the best linear code.

    Eckart and Young (1936): no linear code of that size has a smaller squared error on the training items.
    scikit-learn chooses the solver; for large items the randomised one (Halko et al. 2011), hence the seed.

    Args:
        train: `(items, *size)`, all that the fit sees.
        test: `(items, *size)`.
        components: size of the code; at most as many as there are training items or dimensions are used.
        seed: of the randomised solver.

    Returns:
        Shaped as `test`, on its device, float32.
    """
    pca = fitted_pca(train, components, seed)
    recovered = pca.inverse_transform(pca.transform(_rows(test)))
    return torch.as_tensor(recovered, dtype=torch.float32, device=test.device).reshape(test.shape)


def pca_codes(train: Tensor, test: Tensor, components: int, seed: int = 0) -> Tensor:
    """The linear codes of test items that `pca_reconstruction` makes them of: `(items, components)` float32."""
    return torch.as_tensor(fitted_pca(train, components, seed).transform(_rows(test)), dtype=torch.float32)


def fitted_pca(train: Tensor, components: int, seed: int) -> Any:
    """scikit-learn's PCA of training items `(items, *size)`, with at most so many components."""
    from sklearn.decomposition import PCA

    seen = _rows(train)
    with np.errstate(invalid="ignore"):  # one item alone has no variance to explain
        return PCA(min(components, *seen.shape), random_state=short_seed("solver", seed)).fit(seen)


def _rows(items: Tensor) -> np.ndarray:
    return items.detach().flatten(1).cpu().numpy()


def gaussian_samples(train: Tensor, n: int, seed: int = 0) -> Tensor:
    """Draw `(n, ...)` from the one Gaussian with the training items' mean and covariance: a linear generator.

    Args:
        train: `(items, ...)`.
        n: how many to draw.
        seed: of the draws.
    """
    rows, chance = train.flatten(1).double(), generator("baselines", seed)
    if rows.shape[1] > len(rows):
        # Sums of the items with normal weights have their covariance, and need no directions.
        weights = torch.randn(n, len(rows), generator=chance, dtype=torch.float64)
        drawn = weights @ (rows - rows.mean(0)) / max(len(rows) - 1, 1) ** 0.5
    else:
        covariance = torch.cov(rows.T, correction=min(len(rows) - 1, 1))
        variances, directions = torch.linalg.eigh(torch.atleast_2d(covariance))
        noise = torch.randn(n, len(variances), generator=chance, dtype=torch.float64)
        drawn = (noise * variances.clamp(min=0).sqrt()) @ directions.T
    return (rows.mean(0) + drawn).float().unflatten(1, train.shape[1:])
