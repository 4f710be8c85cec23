from dataclasses import replace
from math import pi

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from vaelab.errors import UserError
from vaelab.simulators import galaxies
from vaelab.simulators.galaxies import CLASSES, Galaxy, drawn_galaxy, galaxy_picture

BARRED, ELLIPTICAL, SPIRAL = range(3)
EVERY = pytest.mark.parametrize("label", range(3), ids=CLASSES)
PLAIN = Galaxy(SPIRAL, radius=0.08, axis_ratio=0.6, position_angle=0.5, bulge=0.1, redness=0.0, brightness=1.0)


@pytest.fixture(autouse=True)
def empty_sky(monkeypatch, request):
    """One galaxy alone, unless a test is about what is around it."""
    if "around" not in request.node.name:
        for name in ("_stars", "_neighbours"):
            monkeypatch.setattr(galaxies, name, lambda size, rng: np.zeros((3, size, size), np.float32))


def pictures(n=8, size=64, **changed):
    """The same galaxy with `n` other chances: `(n, 3, size, size)` in [0, 1], the sky taken off."""
    galaxy = replace(PLAIN, **changed)
    drawn = [galaxy_picture(galaxy, size, np.random.default_rng(seed)) for seed in range(n)]
    return (np.stack(drawn) / 255 - 0.035).clip(0)


def moments(picture):
    """Centre, across and up from the middle in pixels, and second moments about it, of what is well above the sky."""
    light = picture.mean(0) * (picture.mean(0) > 0.1)
    size = picture.shape[-1]
    x = np.arange(size) + 0.5 - size / 2
    at = [(light * place).sum() / light.sum() for place in (x[None, :], -x[:, None])]
    dx, dy = x[None, :] - at[0], -x[:, None] - at[1]
    return at, [(light * square).sum() / light.sum() for square in (dx * dx, dy * dy, dx * dy)]


@EVERY
@pytest.mark.parametrize("angle", [0.2, 1.2, 2.2])
def test_a_galaxy_lies_in_the_middle_along_its_position_angle(label, angle):
    seen = [moments(picture) for picture in pictures(12, label=label, position_angle=angle, axis_ratio=0.5)]
    assert np.abs([at for at, _ in seen]).max() < 4
    xx, yy, xy = np.mean([square for _, square in seen], 0)
    found = 0.5 * np.arctan2(2 * xy, xx - yy)
    assert abs((found - angle + pi / 2) % pi - pi / 2) < 0.2


@EVERY
def test_the_smaller_the_axis_ratio_the_flatter_the_galaxy(label):
    def flatness(ratio):
        xx, yy, xy = np.mean([moments(one)[1] for one in pictures(label=label, axis_ratio=ratio)], 0)
        root = np.hypot(xx - yy, 2 * xy)
        return np.sqrt((xx + yy - root) / (xx + yy + root))

    found = [flatness(ratio) for ratio in (0.5, 0.75, 1.0)]
    assert found == sorted(found) and found[0] < 0.7 and found[2] > 0.85


@EVERY
def test_radius_brightness_and_redness_show(label):
    def light(**changed):
        return pictures(label=label, **changed).mean(0)

    assert light(radius=0.11).mean() > 1.3 * light(radius=0.07).mean()
    assert light(brightness=1.5).mean() > 1.1 * light(brightness=0.7).mean()
    red, blue = (light(redness=redness).mean((1, 2)) for redness in (1.0, -1.0))
    assert red[0] / red[2] > 1.2 * blue[0] / blue[2]


def test_ellipticals_and_the_middles_of_spirals_are_redder_than_arms():
    def ratio(light):
        return light[0].sum() / light[2].sum()

    spiral, elliptical = (pictures(label=label, axis_ratio=0.9).mean(0) for label in (SPIRAL, ELLIPTICAL))
    around = spiral.copy()
    around[:, 26:38, 26:38] = 0
    assert ratio(elliptical) > 1.3 > ratio(spiral) > ratio(around)
    assert ratio(spiral[:, 30:34, 30:34]) > 1.1 * ratio(around)


def test_ellipticals_are_smooth_and_discs_are_not():
    def rough(label):
        """How light differs along rings, by their light; of galaxies that lie flat before us."""
        seen = gaussian_filter(pictures(label=label, axis_ratio=1.0, size=128).mean(1), (0, 1, 1))
        place = np.arange(128) - 63.5
        ring = np.hypot(place[:, None], place).round()
        return np.mean([seen[:, ring == k].std(1) / seen[:, ring == k].mean(1) for k in range(10, 20)])

    assert rough(SPIRAL) > 1.5 * rough(ELLIPTICAL)


def test_arms_of_a_barred_spiral_begin_at_the_ends_of_its_bar():
    for seed in range(10):
        arms = galaxies._Arms(PLAIN, 1.3, np.random.default_rng(seed))
        arms.texture = np.ones_like(arms.texture)
        begin = np.float32(1.3)
        assert arms.count == 2 and float(arms.crest(begin)) == pytest.approx(0, abs=1e-5)
        ahead, aside = (arms.density(np.full(1, begin), np.full(1, angle, np.float32))[0] for angle in (0, pi / 2))
        again = arms.density(np.full(1, begin), np.full(1, pi, np.float32))[0]
        assert min(ahead, again) > 0 and arms.density(np.full(1, 0.1), np.zeros(1, np.float32))[0] < 0.1 * ahead
        assert ahead == pytest.approx(again, rel=1e-3) and ahead > 1.5 * aside


def test_an_arm_without_bends_has_one_pitch():
    for seed in range(10):
        arms = galaxies._Arms(PLAIN, 0.0, np.random.default_rng(seed))
        arms.heights = np.zeros_like(arms.heights)
        radius = np.float32(arms.begin) * np.exp(np.linspace(0, 1.5, 20, dtype=np.float32))
        turned = np.diff(arms.crest(radius)) / np.diff(np.log(radius))
        pitch = np.rad2deg(np.arctan(1 / np.abs(turned)))
        assert np.ptp(pitch) < 0.1 and 12 <= pitch.mean() <= 26


def test_a_texture_is_read_between_its_points_and_round_its_ends():
    texture = np.random.default_rng(0).random((6, 8), np.float32)
    step = 2 * pi / 8
    phase = np.array([0, 3, 8, -1, 2.5], np.float32) * np.float32(step)
    depth = np.array([0, 2, 0, 0, 2], np.float32) / 14
    expected = [texture[0, 0], texture[2, 3], texture[0, 0], texture[0, 7], (texture[2, 2] + texture[2, 3]) / 2]
    np.testing.assert_allclose(galaxies._looked_up(texture, phase, depth), expected, atol=1e-4)


def test_half_the_light_of_sersics_profile_is_within_its_radius():
    radius = np.linspace(0, 60, 600_001)
    for index in (2.0, 4.0):
        ring = galaxies._sersic(radius, index) * radius
        assert ring[radius < 1].sum() / ring.sum() == pytest.approx(0.5, abs=0.02)


def test_a_spot_has_its_light_at_its_place():
    light = np.array([[3.0, 2.0, 1.0]], np.float32)
    x, y, width = (np.array([value], np.float32) for value in (0.25, 0.5, 1.5))
    spot = galaxies._points(x, y, width, light, 64)
    np.testing.assert_allclose(spot.sum((1, 2)), [3, 2, 1], rtol=1e-3)
    assert (spot[0].sum(0) * (np.arange(64) + 0.5)).sum() / 3 == pytest.approx(16, abs=0.01)
    assert (spot[0].sum(1) * (np.arange(64) + 0.5)).sum() / 3 == pytest.approx(32, abs=0.01)


def test_stars_around_a_galaxy_are_many_faint_and_few_bright_ones():
    sky = np.stack([galaxies._stars(64, np.random.default_rng(seed)).sum((1, 2)).mean() for seed in range(300)])
    assert np.median(sky) < 0.7 * sky.mean() and sky.max() > 5 * sky.mean()


@EVERY
def test_half_the_size_shows_the_same_galaxy(label):
    large, small = (pictures(16, size=size, label=label).mean((0, 1)) for size in (128, 64))
    binned = large.reshape(64, 2, 64, 2).mean((1, 3))
    assert np.corrcoef(binned.ravel(), small.ravel())[0, 1] > 0.97
    assert small.mean() == pytest.approx(binned.mean(), rel=0.15)


@EVERY
def test_what_is_drawn_of_a_class_has_its_shape(label):
    drawn = [drawn_galaxy(label, np.random.default_rng(seed)) for seed in range(50)]
    assert {one.label for one in drawn} == {label} and all(0 < one.axis_ratio <= 1 for one in drawn)
    assert all((one.bulge == 1) == (label == ELLIPTICAL) for one in drawn)
    seen = galaxy_picture(drawn[0], 32, np.random.default_rng(0))
    assert seen.shape == (3, 32, 32) and seen.dtype == np.uint8 and seen.max() > 100


def test_a_picture_too_small_is_refused():
    with pytest.raises(UserError, match="size=8"):
        pictures(size=8)
