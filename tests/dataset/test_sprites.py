import pytest
import torch

from vaelab.dataset.sprites import Sprites
from vaelab.errors import UserError
from vaelab.simulators.sprites import sprite_values, sprites


def test_sprites_carry_their_shape_as_label_and_all_factors_as_class_numbers():
    items = Sprites(items=300).load()
    assert items.kind == "picture" and items.raw.shape == (300, 1, 32, 32) and items.raw.dtype == torch.uint8
    assert list(items.factors) == ["shape", "scale", "orientation", "x", "y"]
    assert all(numbers.dtype == torch.int64 and numbers.shape == (300,) for numbers in items.factors.values())
    assert items.label.equal(items.factors["shape"]) and items.label_names == ("square", "ellipse", "heart")


def test_the_factors_of_a_sprite_draw_it_again():
    items = Sprites(items=50, size=24).load()
    assert items.raw.equal(sprites(**sprite_values(items.factors), size=24))


def test_the_seed_alone_decides_the_sprites():
    first, again, other = (Sprites(items=50, seed=seed).load().raw for seed in (0, 0, 1))
    assert first.equal(again) and not first.equal(other)


@pytest.mark.parametrize("wrong", [{"items": 0}, {"size": 8}])
def test_sprites_that_cannot_be_are_an_error(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        Sprites(**wrong).load()
