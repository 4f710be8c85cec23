"""How near a silhouette is to its original: the area that both have, and what is wrong at the edge."""

import torch
import torch.nn.functional as F
from torch import Tensor

# Of black or white; antialiasing leaves greys at the edge alone.
NEAR, SHARE = 0.1, 0.95
BAND = 2  # pixels on either side of the edge, along rows, columns and diagonals


def are_silhouettes(x: Tensor) -> bool:
    """Whether pictures `(items, channels, height, width)` in [0, 1] are white shapes on black, or the other way round.

    They are where there is one channel, with black and white in it and hardly any grey.
    """
    black, white = x < NEAR, x > 1 - NEAR
    both = bool(black.any() and white.any())
    return x.shape[1] == 1 and both and float((black | white).float().mean()) >= SHARE


def iou(x: Tensor, reference: Tensor) -> Tensor:
    """Intersection over union (Jaccard 1912) of the white areas, those of at least .5; 1 where both have none.

    Args:
        x: `(items, 1, height, width)` in [0, 1].
        reference: shaped as `x`.

    Returns:
        `(items,)` in [0, 1].
    """
    made, true = ((pictures >= 0.5).flatten(1) for pictures in (x, reference))
    union = (made | true).sum(1)
    return torch.where(union > 0, (made & true).sum(1) / union, 1.0)


def edge_error(x: Tensor, reference: Tensor) -> Tensor:
    """Mean |x − reference| within two pixels of the reference's edge, over all such pixels: a scalar.

    NaN where no reference has an edge.

    Args:
        x: `(items, 1, height, width)` in [0, 1].
        reference: shaped as `x`.
    """
    white = (reference >= 0.5).float()
    near_white, near_black = (F.max_pool2d(area, 2 * BAND + 1, 1, BAND) for area in (white, 1 - white))
    return (x - reference).abs()[(near_white > 0) & (near_black > 0)].mean()


def shape_measures(x: Tensor, reconstruction: Tensor) -> dict[str, float]:
    """Of held-out silhouettes and their reconstructions, both `(items, 1, height, width)` in [0, 1]."""
    return {"iou": float(iou(reconstruction, x).mean()), "edge_error": float(edge_error(reconstruction, x))}
