import pytest
import torch

from vaelab.data.items import Items
from vaelab.data.split import SPLITS, split_items
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
