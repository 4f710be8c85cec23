import math

import pytest
import torch

from vaelab.dataset.galaxies import Galaxies, factors_of
from vaelab.errors import UserError
from vaelab.simulators.galaxies import CLASSES, Galaxy


def test_classes_come_in_turn_and_everything_known_is_a_finite_quantity():
    items = Galaxies(items=9, size=32).load()
    assert items.kind == "picture" and items.raw.shape == (9, 3, 32, 32) and items.raw.dtype == torch.uint8
    assert items.label.tolist() == [0, 1, 2] * 3 and items.label_names == CLASSES
    for values in items.factors.values():
        assert values.shape == (9,) and values.dtype == torch.float32 and values.isfinite().all()
    assert torch.equal(items.factors["bulge"] == 1, items.label == CLASSES.index("elliptical"))


def test_a_position_angle_and_the_one_half_a_turn_on_are_one():
    first, turned, upright = (
        Galaxy(2, 0.1, 0.5, angle, 0.1, 0, 1) for angle in (0.3, 0.3 + math.pi, 0.3 + math.pi / 2)
    )
    known = factors_of([first, turned, upright])
    for name in ("position_cos", "position_sin"):
        assert float(known[name][0]) == pytest.approx(float(known[name][1]), abs=1e-6)
        assert float(known[name][0]) == pytest.approx(-float(known[name][2]), abs=1e-6)
    assert known["axis_ratio"].tolist() == [0.5] * 3


def test_the_seed_decides_the_galaxies_and_one_stays_when_more_are_asked_for():
    first, again, other, more = (
        Galaxies(items=items, size=16, seed=seed).load().raw for items, seed in ((4, 0), (4, 0), (4, 1), (7, 0))
    )
    assert first.equal(again) and not first.equal(other) and first.equal(more[:4])


@pytest.mark.parametrize("wrong", [{"items": 0}, {"size": 8}])
def test_galaxies_that_cannot_be_are_an_error(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        Galaxies(**wrong).load()
