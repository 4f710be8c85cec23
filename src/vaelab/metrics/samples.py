"""How near new items come to true ones as a whole, whatever they are."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

MOST, NUMBERS = 1024, 2**24


def compared(shape: Sequence[int]) -> int:
    """How many items of this shape are held against as many others: fewer of large ones, for the time."""
    return max(min(MOST, NUMBERS // math.prod(shape)), 2)


def energy_distance(x: Tensor, true: Tensor) -> float:
    """The energy distance 2 E|X − Y| − E|X − X'| − E|Y − Y'| of two lots of items (Székely and Rizzo 2013).

    It is zero for equal distributions, and only for them. Pairs of an item with itself do not count, so that it is
    right on average, and may come out a little below zero. Distances are root-mean-square over an item's numbers.

    Args:
        x: `(n, *shape)`.
        true: `(m, *shape)`.
    """
    a, b = (items.flatten(1).double() for items in (x, true))
    within = _mean_distance(a) + _mean_distance(b)
    return float(2 * torch.cdist(a, b).mean() - within) / a.shape[1] ** 0.5


def _mean_distance(items: Tensor) -> Tensor:
    """Over all pairs of two items; of one alone, zero."""
    return torch.cdist(items, items).sum() / max(len(items) * (len(items) - 1), 1)
