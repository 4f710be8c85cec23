from math import pi

import pytest
import torch

from vaelab.errors import UserError
from vaelab.simulators.sprites import GRID, MARGIN, RADIUS, SHAPES, sprite_factors, sprite_values, sprites

EVERY = pytest.mark.parametrize("shape", range(len(SHAPES)), ids=SHAPES)


def draw(shape, *, n=9, scale=1.0, orientation=0.3, x=0.5, y=0.5, size=32):
    """`n` sprites of one shape, each factor a number or `(n,)` values; brightness `(n, size, size)` in [0, 1]."""
    values = (torch.as_tensor(value, dtype=torch.float32).expand(n) for value in (scale, orientation, x, y))
    return sprites(torch.full((n,), shape), *values, size=size)[:, 0].double() / 255


def centre(pictures):
    """Centre of mass in pixels from the top left corner: across and down, `(n,)` each."""
    pixel, mass = torch.arange(pictures.shape[-1]) + 0.5, pictures.sum((1, 2))
    return (pictures.sum(1) * pixel).sum(1) / mass, (pictures.sum(2) * pixel).sum(1) / mass


@EVERY
@pytest.mark.parametrize("moved", ["x", "y"])
def test_a_place_moves_the_centre_of_mass_by_the_right_amount_and_along_its_own_axis_only(shape, moved):
    place = torch.linspace(0, 1, 9)
    across, down = centre(draw(shape, **{moved: place}))
    along, other = (across, down) if moved == "x" else (down, across)
    expected = 32 * (MARGIN + (1 - 2 * MARGIN) * place)
    torch.testing.assert_close(along, expected.double(), atol=0.05, rtol=0)
    torch.testing.assert_close(other, torch.full_like(other, 16), atol=0.05, rtol=0)


@EVERY
def test_a_move_of_a_tenth_of_a_pixel_shows(shape):
    across, _ = centre(draw(shape, x=0.5 + torch.arange(9) * 0.1 / 16))
    torch.testing.assert_close(across.diff(), torch.full_like(across[1:], 0.1), atol=0.02, rtol=0)


@EVERY
def test_turning_leaves_centre_and_area_where_they_are(shape):
    turned = draw(shape, n=40, orientation=torch.arange(40) * 2 * pi / 40)
    for place in centre(turned):
        torch.testing.assert_close(place, torch.full_like(place, 16), atol=0.1, rtol=0)
    area = turned.sum((1, 2))
    assert area.std() / area.mean() < 0.01


@pytest.mark.parametrize(("shape", "period"), [(0, pi / 2), (1, pi), (2, 2 * pi)], ids=SHAPES)
def test_a_square_repeats_after_a_quarter_turn_an_ellipse_after_half_and_a_heart_after_a_full_one(shape, period):
    angle = torch.arange(9) * 0.7
    start, later, between = (draw(shape, orientation=angle + part * period) for part in (0, 1, 0.5))
    assert (start - later).abs().max() <= 1.01 / 255
    assert (start - between).abs().amax((1, 2)).min() > 0.3


@EVERY
def test_scale_grows_the_area_as_its_square(shape):
    scale = torch.linspace(0.5, 1, 9)
    area = draw(shape, scale=scale, size=64).sum((1, 2))
    assert (area.diff() > 0).all()
    torch.testing.assert_close(area / area[-1], scale.double().square(), atol=0.01, rtol=0)


def test_the_areas_are_those_of_geometry():
    radius = RADIUS * 64
    area = [float(draw(shape, n=1, size=64).sum()) for shape in (0, 1)]
    assert area == pytest.approx([2 * radius**2, pi / 2 * radius**2], rel=0.01)


def test_a_heart_stands_on_its_tip_and_turns_clockwise():
    heart = draw(2, n=2, orientation=torch.tensor([0, pi / 2]), size=64)
    width = (heart > 0.5).sum(2)[0]
    rows = width.nonzero().flatten()
    assert width[rows[1]] > 10 and width[rows[-2]] <= 5
    assert torch.allclose(heart[0].rot90(-1), heart[1], atol=1.01 / 255)


@EVERY
def test_no_sprite_is_cut_by_the_border(shape):
    corners = torch.cartesian_prod(torch.tensor([0.0, 1.0]), torch.tensor([0.0, 1.0]), torch.arange(40) * 2 * pi / 40)
    pictures = draw(shape, n=len(corners), x=corners[:, 0], y=corners[:, 1], orientation=corners[:, 2])
    assert pictures[:, [0, -1]].max() == pictures[:, :, [0, -1]].max() == 0
    assert pictures.amax((1, 2)).min() == 1


def test_shapes_may_mix_and_more_pictures_than_a_block_keep_their_order():
    factors = sprite_factors(1_200, torch.Generator().manual_seed(0))
    values = sprite_values(factors)
    together = sprites(**values)
    assert together.shape == (1_200, 1, 32, 32) and together.dtype == torch.uint8
    last = sprites(**{name: value[-3:] for name, value in values.items()})
    assert (together[-3:].int() - last.int()).abs().max() <= 1


def test_factors_are_uniform_on_the_grid_and_independent():
    factors = sprite_factors(20_000, torch.Generator().manual_seed(0))
    assert {name: int(values.max()) + 1 for name, values in factors.items()} == GRID
    for name, values in factors.items():
        share = values.bincount() / 20_000 * GRID[name]
        assert values.dtype == torch.int64 and (share - 1).abs().max() < 0.2
    correlation = torch.corrcoef(torch.stack(list(factors.values())).float())
    assert (correlation - torch.eye(len(GRID))).abs().max() < 0.03


def test_no_orientation_stands_twice_in_the_grid():
    numbers = {name: torch.arange(40) % values for name, values in GRID.items()}
    angle = sprite_values(numbers)["orientation"]
    assert angle[0] == 0 and torch.allclose(2 * pi - angle[-1], angle[1], atol=1e-5)


@pytest.mark.parametrize(
    "wrong", [{"shape": 3}, {"scale": 0.0}, {"scale": 1.1}, {"x": -0.1}, {"y": 1.1}, {"size": 8}], ids=str
)
def test_a_value_outside_its_range_is_an_error_that_names_it(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        draw(**{"shape": 0, **wrong})
