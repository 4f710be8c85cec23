import pytest
import torch

from vaelab.data.items import Items
from vaelab.data.split import SPLITS, split_items, split_notes
from vaelab.errors import UserError

SEEDS = range(40)


def items(n=100, **known):
    return Items("signal", torch.zeros(n, 1, 4), **known)


def groups_of(seed, n=200, groups=40):
    """Groups of very different sizes, in no order."""
    generator = torch.Generator().manual_seed(seed)
    weights = torch.rand(groups, generator=generator) ** 3 + 0.01
    return 7 * torch.multinomial(weights, n, replacement=True, generator=generator)


def assert_a_partition(index, n):
    together = torch.cat([index[name] for name in SPLITS])
    assert torch.equal(together.sort().values, torch.arange(n))
    assert all(len(index[name]) > 0 for name in SPLITS)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_group_is_never_parted_and_every_item_is_in_one_split(seed):
    group = groups_of(seed)
    index = split_items(items(200, group=group), (0.7, 0.15, 0.15), seed)
    assert_a_partition(index, 200)
    sides = [set(group[index[name]].tolist()) for name in SPLITS]
    assert sides[0].isdisjoint(sides[1]) and sides[0].isdisjoint(sides[2]) and sides[1].isdisjoint(sides[2])


@pytest.mark.parametrize("seed", SEEDS)
def test_a_split_misses_its_fraction_by_no_more_than_the_largest_group(seed):
    group = groups_of(seed)
    index = split_items(items(200, group=group), (0.6, 0.2, 0.2), seed)
    largest = int(group.bincount().max())
    for name, expected in zip(SPLITS, (120, 40, 40), strict=True):
        assert abs(len(index[name]) - expected) <= 2 * largest


@pytest.mark.parametrize(
    ("fractions", "counts"),
    [((0.8, 0.1, 0.1), (80, 10, 10)), ((0.5, 0.2, 0.3), (50, 20, 30)), ((8, 1, 1), (80, 10, 10))],
)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_items_that_stand_for_themselves_are_split_as_asked(fractions, counts, seed):
    index = split_items(items(), fractions, seed)
    assert_a_partition(index, 100)
    assert tuple(len(index[name]) for name in SPLITS) == counts


@pytest.mark.parametrize("n", [3, 4, 5, 7, 11])
@pytest.mark.parametrize("fractions", [(0.98, 0.01, 0.01), (0.01, 0.98, 0.01), (0.01, 0.01, 0.98)])
def test_no_split_is_empty_however_few_the_items(n, fractions):
    for seed in SEEDS:
        assert_a_partition(split_items(items(n), fractions, seed), n)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_split_is_empty_where_one_group_holds_nearly_everything(seed):
    group = torch.cat([torch.zeros(97, dtype=torch.int64), torch.tensor([1, 2, 3])])
    assert_a_partition(split_items(items(100, group=group), (0.8, 0.1, 0.1), seed), 100)


def test_the_same_seed_gives_the_same_split_and_another_another():
    first, again, other = (split_items(items(), (0.8, 0.1, 0.1), seed) for seed in (3, 3, 4))
    assert all(torch.equal(first[name], again[name]) for name in SPLITS)
    assert not torch.equal(first["test"], other["test"])


def test_the_worlds_randomness_has_no_say_in_the_split():
    torch.manual_seed(0)
    first = split_items(items(), (0.8, 0.1, 0.1), 3)
    torch.manual_seed(1)
    assert torch.equal(first["val"], split_items(items(), (0.8, 0.1, 0.1), 3)["val"])


def test_a_published_split_is_respected():
    fold = torch.tensor([2, 0, 1, 0, 0, 2, 1])
    index = split_items(items(7, fold=fold), (0.8, 0.1, 0.1), seed=5)
    assert {name: index[name].tolist() for name in SPLITS} == {"train": [1, 3, 4], "val": [2, 6], "test": [0, 5]}


@pytest.mark.parametrize("fractions", [(0.8, 0.2), (0.8, 0.2, 0.0), (0.9, -0.1, 0.2), (0.7, 0.1, 0.1, 0.1)])
def test_fractions_other_than_three_positive_ones_are_refused_in_one_line(fractions):
    with pytest.raises(UserError, match=r"^dataset.split must be three positive fractions[^\n]+$"):
        split_items(items(), fractions, 0)


@pytest.mark.parametrize("group", [None, torch.zeros(50, dtype=torch.int64), torch.arange(50) % 2])
def test_fewer_than_three_independent_groups_are_refused_in_one_line(group):
    n = 2 if group is None else 50
    with pytest.raises(UserError, match=rf"^{n} items in [12] independent groups [^\n]+ give at least 3$"):
        split_items(items(n, group=group), (0.8, 0.1, 0.1), 0)


def given_folds(*counts):
    return torch.arange(3).repeat_interleave(torch.tensor(counts))


@pytest.mark.parametrize(
    ("counts", "filled"), [((90, 0, 10), (80, 10, 10)), ((90, 10, 0), (80, 10, 10)), ((100, 0, 0), (80, 10, 10))]
)
def test_a_fold_that_was_not_given_is_drawn_from_training(counts, filled):
    given = given_folds(*counts)
    index = split_items(items(100, fold=given), (0.8, 0.1, 0.1), 0)
    assert_a_partition(index, 100)
    assert tuple(len(index[name]) for name in SPLITS) == filled
    for k in (1, 2):
        if counts[k]:
            assert torch.equal(index[SPLITS[k]], torch.nonzero(given == k).flatten())


def test_what_is_drawn_from_a_given_training_fold_keeps_groups_whole():
    group = torch.arange(30).repeat_interleave(3)
    index = split_items(items(90, fold=given_folds(60, 0, 30), group=group), (0.8, 0.1, 0.1), 0)
    assert set(group[index["train"]].tolist()).isdisjoint(group[index["val"]].tolist()) and len(index["val"]) == 6


@pytest.mark.parametrize("counts", [(0, 10, 10), (0, 0, 20)])
def test_a_given_split_without_training_items_is_refused_in_one_line(counts):
    with pytest.raises(UserError, match=r"^the given split leaves no item to train on[^\n]+$"):
        split_items(items(20, fold=given_folds(*counts)), (0.8, 0.1, 0.1), 0)


def test_too_few_items_to_draw_a_missing_fold_from_are_refused_in_one_line():
    with pytest.raises(UserError, match=r"^1 items in 1 independent groups [^\n]+ give at least 2$"):
        split_items(items(3, fold=given_folds(1, 0, 2)), (0.8, 0.1, 0.1), 0)


def test_copies_in_several_folds_of_a_given_split_stay_in_the_last_alone_and_are_told():
    given = items(8, fold=torch.tensor([0, 0, 0, 0, 1, 1, 2, 2]), group=torch.tensor([0, 1, 2, 3, 1, 4, 2, 4]))
    index = split_items(given, (0.8, 0.1, 0.1), 0)
    assert {name: index[name].tolist() for name in SPLITS} == {"train": [0, 3], "val": [4], "test": [6, 7]}
    assert split_notes(given, index) == ["3 items are copies or parts of held-out ones: left out of the given split"]


def test_a_class_that_a_part_lacks_is_told():
    label = torch.tensor([0, 0, 1, 1, 0, 2])
    known = items(6, fold=torch.tensor([0, 0, 0, 0, 1, 2]), label=label, label_names=("ant", "bee", "cat"))
    assert split_notes(known, split_items(known, (0.8, 0.1, 0.1), 0)) == [
        "1 of 3 classes are missing in the training split: cat",
        "2 of 3 classes are missing in the test split: ant, bee",
    ]


def test_a_split_with_every_class_on_each_side_has_nothing_to_tell():
    known = items(6, fold=torch.tensor([0, 0, 1, 1, 2, 2]), label=torch.tensor([0, 1] * 3))
    assert split_notes(known, split_items(known, (0.8, 0.1, 0.1), 0)) == []
