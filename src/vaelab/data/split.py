"""Training, validation and test items, chosen so that nothing leaks."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from vaelab.data.items import Items
from vaelab.errors import UserError

SPLITS = ("train", "val", "test")


def split_items(items: Items, fractions: Sequence[float], seed: int) -> dict[str, Tensor]:
    """Indices of the items of each split, by the published fold if there is one, else by `fractions` and `seed`.

    Items of one group stay together, so a split may miss its fraction by part of a group.

    Raises:
        UserError: if the fractions are not three positive numbers, or there are fewer than three groups.
    """
    if items.fold is not None:
        fold = items.fold
    else:
        if len(fractions) != 3 or min(fractions) <= 0 or not math.isfinite(sum(fractions)):
            raise UserError(f"dataset.split must be three positive fractions, such as [0.8,0.1,0.1], not {fractions}")
        group = torch.arange(len(items)) if items.group is None else items.group
        fold = _fold_of_groups(group, fractions, seed)
    return {name: torch.nonzero(fold == k).flatten() for k, name in enumerate(SPLITS)}


def _fold_of_groups(group: Tensor, fractions: Sequence[float], seed: int) -> Tensor:
    """The fold of every item: shuffled groups fill validation, then test; the rest is for training."""
    _, number, sizes = torch.unique(group, return_inverse=True, return_counts=True)
    if len(sizes) < 3:
        raise UserError(
            f"{len(group)} items in {len(sizes)} independent groups (recordings, distinct files) cannot be split "
            "into training, validation and test: give at least 3"
        )
    order = torch.randperm(len(sizes), generator=torch.Generator().manual_seed(seed)).tolist()
    fold_of_group = torch.zeros(len(sizes), dtype=torch.int64)
    for fold in (1, 2):
        room = len(group) * fractions[fold] / sum(fractions)
        # One group at the least is left for each split that is still empty.
        chosen = set(_fill(order, sizes.tolist(), room)[: len(order) - 3 + fold])
        fold_of_group[list(chosen)] = fold
        order = [k for k in order if k not in chosen]
    return fold_of_group[number]


def _fill(free: list[int], sizes: list[int], room: float) -> list[int]:
    """The groups that fit into the room, first come first served; the smallest alone if none does."""
    chosen = []
    for k in free:
        if sizes[k] <= room:
            chosen.append(k)
            room -= sizes[k]
    return chosen or [min(free, key=lambda k: sizes[k])]
