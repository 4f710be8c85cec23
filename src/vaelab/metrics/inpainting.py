"""How near what was hidden of an item comes back, beside what needs no net."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaelab.metrics.baseline import mean_reconstruction
from vaelab.metrics.picture import SMALLEST_MSE

# Numbers along a side: rounding of the biharmonic equation grows with the fourth power of a gap.
WIDEST = 20_000


def hidden_errors(x: Tensor, reference: Tensor, hidden: Tensor) -> Tensor:
    """The mean square error of each item's hidden numbers, `(items,)`.

    Args:
        x: `(items, channels, *size)`.
        reference: shaped as `x`.
        hidden: `(items, 1, *size)` bool; some of each item.
    """
    errors = (x - reference).square().mean(1, keepdim=True) * hidden
    return errors.flatten(1).sum(1) / hidden.flatten(1).sum(1)


def hidden_psnr_db(error: Tensor) -> float:
    """−10 log10 of the mean of errors `(items,)`, for a data range of 1; at most 100 dB.

    Of all items together: of one whose hidden part is flat nearly nothing is left, and its own would outweigh others.
    """
    return float(-10 * error.mean().clamp_min(SMALLEST_MSE).log10())


def classical_fills(x: Tensor, hidden: Tensor, train: Tensor) -> dict[str, Tensor]:
    """Items `(items, channels, *size)` with what is `hidden` `(items, 1, *size)` filled in by several ways.

    `mean` is that of the item's own visible numbers, `mean_item` what training items have there on average, `harmonic`
    a membrane through what is visible, and `biharmonic` a thin plate.
    """
    fills = {
        "mean": mean_fill(x, hidden),
        "mean_item": torch.where(hidden, mean_reconstruction(train, x), x),
        "harmonic": smooth_fill(x, hidden, order=1),
    }
    return fills if max(x.shape[2:]) > WIDEST else fills | {"biharmonic": smooth_fill(x, hidden, order=2)}


def mean_fill(x: Tensor, hidden: Tensor) -> Tensor:
    """Each channel's hidden numbers as the mean of its visible ones; shapes as those of `hidden_errors`."""
    seen = (~hidden).expand_as(x).flatten(2)
    mean = (x.flatten(2) * seen).sum(2) / seen.sum(2)
    return torch.where(hidden, mean.view(*mean.shape, *[1] * (x.ndim - 2)), x)


def smooth_fill(x: Tensor, hidden: Tensor, order: int) -> Tensor:
    """Hidden numbers u such that Δᵏu = 0 where they are, k being the `order`, and what is visible stays.

    At order 1 neighbours differ as little as can be, at order 2 (biharmonic: Damelin and Hoang 2018) Laplacians are as
    small as can be, in the sum of their squares. Δ is that of the grid, whose edges reflect. Shapes as those of
    `hidden_errors`; the sparse system of each mask is solved once for all channels and items that have it.
    """
    flat = x.flatten(2).double().numpy()
    filled, operator = flat.copy(), _laplacian(x.shape[2:]) ** order
    masks, which = torch.unique(hidden.flatten(1), dim=0, return_inverse=True)
    for k, mask in enumerate(masks.numpy()):
        rows = np.flatnonzero(which.numpy() == k)
        # One column for each channel of each item.
        columns = flat[rows].reshape(-1, mask.size).T
        columns[mask] = _solved(operator, mask, columns[~mask])
        filled[rows] = columns.T.reshape(filled[rows].shape)
    return torch.from_numpy(filled).to(x.dtype).view_as(x)


def _laplacian(size: Sequence[int]) -> Any:
    """The sparse −Δ of a grid, `(numbers, numbers)`: symmetric, and positive but for constants."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.linalg import LaplacianNd

    return csr_matrix(-LaplacianNd(tuple(size), boundary_conditions="neumann", dtype=np.float64).tosparse())


def _solved(operator: Any, mask: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """The hidden numbers `(hidden, columns)` of grids with these visible ones `(visible, columns)`."""
    from scipy.sparse.linalg import splu

    of_hidden = operator[mask]
    # Symmetric and positive, so that no pivots are looked for.
    options: dict[str, Any] = {"permc_spec": "MMD_AT_PLUS_A", "diag_pivot_thresh": 0.0}
    factors = splu(of_hidden[:, mask].tocsc(), options={"SymmetricMode": True}, **options)
    return factors.solve(-(of_hidden[:, ~mask] @ visible))
