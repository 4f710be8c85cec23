import numpy as np
import pytest
import torch

from vaelab.data.split import split_items
from vaelab.dataset.bottles import Bottles
from vaelab.errors import UserError
from vaelab.simulators.bottles import RANGES, bottles


def test_the_factors_of_a_bottle_draw_it_again():
    items = Bottles(designs=6, zooms=3, size=32).load()
    assert items.kind == "picture" and items.raw.shape == (18, 1, 32, 32) and items.raw.dtype == torch.uint8
    assert set(items.factors) == {*RANGES, "zoom_x", "zoom_y"}
    assert np.array_equal(items.raw, bottles({k: v.numpy() for k, v in items.factors.items()}, size=32))


def test_no_design_is_in_two_splits():
    items = Bottles(designs=20, zooms=4, size=16).load()
    found = [set(items.group[index].tolist()) for index in split_items(items, (0.6, 0.2, 0.2), seed=0).values()]
    assert sum(map(len, found)) == len(set.union(*found)) == 20 and all(found)


def test_the_seed_decides_the_bottles_and_a_design_stays_when_more_are_asked_for():
    first, again, other, more = (
        Bottles(designs=designs, zooms=2, size=32, seed=seed).load().raw
        for designs, seed in ((5, 0), (5, 0), (5, 1), (8, 0))
    )
    assert first.equal(again) and not first.equal(other) and first.equal(more[:10])


@pytest.mark.parametrize("wrong", [{"designs": 0}, {"zooms": 0}, {"size": 10}])
def test_bottles_that_cannot_be_are_an_error(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        Bottles(**wrong).load()
