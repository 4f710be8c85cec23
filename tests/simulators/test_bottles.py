import numpy as np
import pytest

from vaelab.errors import UserError
from vaelab.simulators.bottles import LIP, RANGES, ZOOM, bottle_design, bottles, half_widths

MIDDLE = {name: sum(ends) / 2 for name, ends in RANGES.items()}
PLAIN = {**MIDDLE, "shoulder_exponent": 1.0, "foot": 1.0, "waist": 0.0, "lip": 1.0}


def draw(n=9, size=128, **changed):
    """Brightness `(n, size, size)` in [0, 1] of bottles in the middle of all ranges, some of it changed."""
    return bottles(table(n, **changed), size=size)[:, 0].astype(float) / 255


def table(n, **changed):
    return {name: np.broadcast_to(np.float32(value), n) for name, value in {**MIDDLE, **changed}.items()}


def widths(pictures):
    """Of each row, in pixels."""
    return pictures.sum(2)


@pytest.mark.parametrize("size", [64, 128])
def test_height_and_width_are_those_that_were_asked_for_in_sides_of_the_picture(size):
    height, width = np.linspace(0.4, 0.8, 9), np.linspace(0.15, 0.4, 9)
    seen = draw(height=height, width=width, foot=1.0, waist=0.0, size=size)
    np.testing.assert_allclose(widths(seen).max(1), size * width, atol=0.02)
    axis = seen[:, :, size // 2]
    np.testing.assert_allclose(axis.sum(1), size * height, atol=0.25)
    # The bottle's middle is the picture's.
    np.testing.assert_allclose((axis * (np.arange(size) + 0.5)).sum(1) / axis.sum(1), size / 2, atol=0.15)


def test_a_bottle_is_the_same_on_both_sides_and_a_change_of_a_tenth_of_a_pixel_shows():
    seen = draw(width=0.3 + np.arange(9) * 0.1 / 128, foot=1.0, waist=0.0)
    assert np.array_equal(seen, seen[:, :, ::-1])
    np.testing.assert_allclose(np.diff(widths(seen).max(1)), 0.1, atol=0.01)


def test_the_area_of_a_bottle_of_straight_lines_is_that_of_geometry():
    """A rectangle, a trapezium and a rectangle; the rounded edge that it stands on takes next to nothing."""
    f = PLAIN
    body = 1 - f["neck_length"] - f["shoulder_length"]
    area = body + f["shoulder_length"] * (1 + f["neck_width"]) / 2 + f["neck_length"] * f["neck_width"]
    expected = area * f["height"] * f["width"] * 128**2
    assert draw(n=1, **PLAIN).sum() == pytest.approx(expected, rel=0.005)


def at(place, **changed):
    """Half width over half the body's at one height."""
    f = table(1, **{**PLAIN, **changed})
    return float(half_widths(np.full((1, 1), place, np.float32), f)[0, 0] / (f["width"][0] / 2))


def test_each_factor_moves_the_part_that_it_is_named_after():
    neck_base = 1 - PLAIN["neck_length"]
    assert at(1 - LIP - 0.01, neck_width=0.3) == pytest.approx(0.3)
    assert at(0.999, neck_width=0.3, lip=1.2) == pytest.approx(0.36)
    assert at(neck_base - 0.01) > PLAIN["neck_width"] == pytest.approx(at(neck_base + 0.01))
    assert at(1 - 0.3 + 0.01, neck_length=0.3) == pytest.approx(PLAIN["neck_width"])
    middle = neck_base - PLAIN["shoulder_length"] / 2
    cone = (1 + PLAIN["neck_width"]) / 2
    assert at(middle) == pytest.approx(cone) and at(middle, shoulder_exponent=3.0) > cone + 0.1
    assert at(middle, shoulder_length=0.01) == pytest.approx(1)
    assert at(0.03, foot=0.7) == pytest.approx(0.7, abs=0.02) and at(0.03) == pytest.approx(1)
    body = neck_base - PLAIN["shoulder_length"]
    assert at(body / 2, waist=0.2) == pytest.approx(0.8)
    assert at(-0.01) == at(1.01) == 0


def test_a_design_in_several_zooms_differs_in_height_and_width_alone_and_never_leaves_the_picture():
    for seed in range(20):
        factors = bottle_design(np.random.default_rng(seed), 30)
        changed = {name for name, values in factors.items() if np.ptp(values) > 0}
        assert changed == {"height", "width", "zoom_x", "zoom_y"}
        for name, zoom in (("height", "zoom_y"), ("width", "zoom_x")):
            np.testing.assert_allclose(factors[name] / factors[zoom], (factors[name] / factors[zoom])[0], rtol=1e-5)
            assert ZOOM[0] <= factors[zoom].min() < factors[zoom].max() <= ZOOM[1]
        assert abs(np.corrcoef(factors["zoom_x"], factors["zoom_y"])[0, 1]) < 0.7
        seen = bottles(factors)
        assert seen[:, :, [0, -1]].max() == seen[..., [0, 31, 96, 127]].max() == 0 and seen.max() == 255


def test_the_largest_bottle_fits():
    largest = {name: ZOOM[1] * RANGES[name][1] for name in ("height", "width")}
    seen = draw(n=1, **largest)
    assert seen[:, [0, -1]].max() == seen[:, :, [32, 95]].max() == 0


def test_more_bottles_than_a_block_keep_their_order():
    factors = table(150, height=np.linspace(0.4, 0.8, 150))
    last = bottles({name: values[-3:] for name, values in factors.items()})
    assert np.array_equal(bottles(factors)[-3:], last)


@pytest.mark.parametrize("size", [8, 30])
def test_pictures_too_small_or_without_a_middle_half_are_refused(size):
    with pytest.raises(UserError, match=f"size={size}"):
        draw(size=size)
