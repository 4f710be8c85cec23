"""How many of the known modes new items come from, and how evenly."""

import math

import torch
from torch import Tensor

NEAR = 3  # standard deviations


def mode_measures(points: Tensor, means: Tensor, std: float) -> dict[str, float]:
    """What points have of a mixture of equal, round, equally probable normals (Lin et al. 2018, section 4.1).

    `high_quality` is the share of points within three standard deviations of the nearest mean, `modes` counts the modes
    that have such a point, and `reverse_kl` is that of those points' shares of the modes; where there are none it is
    left out.

    Args:
        points: `(n, 2)`.
        means: `(modes, 2)`.
        std: along each axis.
    """
    distance, nearest = torch.cdist(points.double(), means.double()).min(1)
    good = distance < NEAR * std
    told = {"modes": 0.0} if not good.any() else spread(nearest[good], len(means))
    return told | {"high_quality": float(good.double().mean())}


def spread(mode: Tensor, modes: int) -> dict[str, float]:
    """How many modes occur among items, and KL(share of the items ‖ uniform) in nats; at most log `modes`.

    Even items that are uniform have about (modes − 1) / 2n on average, since a share of n is never even.

    Args:
        mode: `(n,)` that of each.
        modes: how many there are.
    """
    share = mode.bincount(minlength=modes).double() / len(mode)
    entropy = float(torch.special.entr(share).sum())
    return {"modes": float((share > 0).sum()), "reverse_kl": max(math.log(modes) - entropy, 0.0)}
