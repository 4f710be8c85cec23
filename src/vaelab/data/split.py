"""Training, validation and test items, chosen so that nothing leaks."""

from collections.abc import Sequence

import torch
from torch import Tensor

from vaelab.data.items import Items
from vaelab.errors import UserError
from vaelab.seeding import generator

SPLITS = ("train", "val", "test")
SHOWN = 5  # classes that a note names


def split_items(items: Items, fractions: Sequence[float], seed: int) -> dict[str, Tensor]:
    """Indices of the items of each split, by the published fold if there is one, else by `fractions` and `seed`.

    Items of one group stay together, so a split may miss its fraction by part of a group. Of a published split, a
    validation or test fold without items is drawn from training, and a group that lies in several folds is kept only
    in the one nearest to the test: its other items are in no split.

    Raises:
        UserError: if the fractions are not three positive numbers, or there are too few groups, or nothing to train on.
    """
    group = torch.arange(len(items)) if items.group is None else items.group
    fold = torch.zeros(len(items), dtype=torch.int64) if items.fold is None else _without_leaks(items.fold, group)
    train = torch.nonzero(fold == 0).flatten()
    if not len(train):
        raise UserError("the given split leaves no item to train on: put some into the folder train")
    missing = [k for k in (1, 2) if not (fold == k).any()]
    if missing:
        if len(fractions) != 3 or min(fractions) <= 0:
            raise UserError(f"dataset.split must be three positive fractions, such as [0.8,0.1,0.1], not {fractions}")
        fold[train] = _fold_of_groups(group[train], fractions, seed, missing)
    return {name: torch.nonzero(fold == k).flatten() for k, name in enumerate(SPLITS)}


def split_notes(items: Items, index: dict[str, Tensor]) -> list[str]:
    """What the user should know of the split: items that are in none, and classes that one of its parts lacks."""
    unused = len(items) - sum(map(len, index.values()))
    notes = [f"{unused:,} items are copies or parts of held-out ones: left out of the given split"] if unused else []
    if items.label is None:
        return notes
    classes = items.label.unique()
    for name, of_split in (("training", "train"), ("test", "test")):
        lacks = classes[~torch.isin(classes, items.label[index[of_split]])].tolist()
        names = [items.label_names[k] if items.label_names else str(k) for k in lacks[:SHOWN]]
        listed = ", ".join(names) + (", …" if len(lacks) > SHOWN else "")
        notes += [f"{len(lacks)} of {len(classes)} classes are missing in the {name} split: {listed}"] if lacks else []
    return notes


def _without_leaks(fold: Tensor, group: Tensor) -> Tensor:
    """The fold of each item, -1 where another item of its group lies in a later fold."""
    unique, number = torch.unique(group, return_inverse=True)
    last = torch.zeros(len(unique), dtype=fold.dtype).scatter_reduce(0, number, fold, "amax")
    return torch.where(fold == last[number], fold, -1)


def _fold_of_groups(group: Tensor, fractions: Sequence[float], seed: int, folds: Sequence[int]) -> Tensor:
    """The fold of every item: shuffled groups fill these folds one after the other; the rest is for training."""
    _, number, sizes = torch.unique(group, return_inverse=True, return_counts=True)
    if len(sizes) <= len(folds):
        raise UserError(
            f"{len(group)} items in {len(sizes)} independent groups (recordings, distinct files) cannot be split "
            f"into training, validation and test: give at least {len(folds) + 1}"
        )
    order = torch.randperm(len(sizes), generator=generator("split", seed)).tolist()
    whole = sum(fractions[fold] for fold in (0, *folds))
    fold_of_group = torch.zeros(len(sizes), dtype=torch.int64)
    for filled, fold in enumerate(folds):
        room = len(group) * fractions[fold] / whole
        # One group at the least is left for each split that is still empty.
        chosen = set(_fill(order, sizes.tolist(), room)[: len(order) - len(folds) + filled])
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
