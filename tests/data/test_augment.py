import math

import pytest
import torch

from vaelab.data.augment import Augmentation, jittered, moved, rotated
from vaelab.data.items import Items
from vaelab.errors import UserError


def pictures(n=200, channels=3, height=9, width=12):
    return torch.rand(n, channels, height, width, generator=torch.Generator().manual_seed(1))


def changed(x, seed=0, **settings):
    return Augmentation(**settings)(x, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("settings", [{"flip": True}, {"crop": 2}, {"rotate": 20.0}, {"jitter": 0.3}])
def test_every_picture_is_changed_by_its_own_draw_and_again_by_the_same(settings):
    x = pictures(1).repeat(40, 1, 1, 1)
    made = changed(x, **settings)
    assert made.shape == x.shape and made.min() >= 0 and made.max() <= 1
    assert len(made.unique(dim=0)) >= (2 if "flip" in settings else 15)
    assert torch.equal(made, changed(x, **settings)) and not torch.equal(made, changed(x, seed=1, **settings))


def test_nothing_asked_for_is_nothing_done():
    assert not Augmentation() and Augmentation(crop=1)
    assert torch.equal(changed(pictures()), pictures())


def test_pictures_move_as_they_would_from_a_mirrored_frame():
    x = pictures(4)
    framed = torch.nn.functional.pad(x, [3, 3, 3, 3], mode="reflect")
    steps = torch.tensor([[0, 0], [3, -3], [-2, 1], [1, 3]])
    for k, (down, right) in enumerate(steps.tolist()):
        expected = framed[k, :, 3 + down : 12 + down, 3 + right : 15 + right]
        assert torch.equal(moved(moved(x, steps[:, 0], -2), steps[:, 1], -1)[k], expected)


def test_moves_are_uniform_up_to_the_limit():
    x = torch.zeros(5000, 1, 9, 9)
    x[:, :, 4, 4] = 1
    places = changed(x, crop=2).flatten(1).argmax(1)
    counts = torch.stack([places // 9, places % 9]).flatten().bincount(minlength=9)
    assert (counts[:2] == 0).all() and (counts[7:] == 0).all()
    assert counts[2:7].min() > 0.9 * 2000 and counts[2:7].max() < 1.1 * 2000


@pytest.mark.parametrize("size", [(9, 9), (8, 8)])
def test_a_quarter_turn_is_anticlockwise(size):
    x = pictures(2, 1, *size)
    assert torch.allclose(rotated(x, torch.full((2,), math.pi / 2)), x.rot90(1, (2, 3)), atol=1e-5)


def test_a_disc_in_an_oblong_picture_stays_a_disc():
    up, right = torch.meshgrid(torch.arange(40) - 19.5, torch.arange(80) - 39.5, indexing="ij")
    disc = torch.sigmoid(12 - torch.hypot(up, right))[None, None]
    for angle in (0.3, 1.0, math.pi / 2):
        turned = rotated(disc, torch.tensor([angle]))
        # Corners come from the mirrored frame.
        assert torch.allclose(turned[..., 5:35, 25:55], disc[..., 5:35, 25:55], atol=0.03)


def test_turns_go_both_ways_up_to_the_limit():
    x = torch.zeros(2000, 1, 101, 101)
    x[:, :, 50, 90] = 1  # to the right of the middle
    blurred = torch.nn.functional.avg_pool2d(x, 5, 1, 2)
    place = changed(blurred, rotate=30.0).flatten(1).argmax(1)
    angle = torch.rad2deg(torch.atan2(50.0 - place // 101, place % 101 - 50.0))
    assert 27 < angle.max() < 33 and -33 < angle.min() < -27
    assert angle.std() == pytest.approx(30 / 3**0.5, rel=0.06)


def test_brightness_contrast_and_saturation_are_what_they_are_called():
    x = 0.3 + 0.2 * pictures(50)
    one, mean = torch.ones(50), lambda x: x.mean((1, 2, 3))
    brighter = jittered(x, torch.stack([1.2 * one, one, one], 1))
    assert torch.allclose(brighter, 1.2 * x, atol=1e-5)
    flat = jittered(x, torch.stack([one, 0 * one, one], 1))
    assert flat.flatten(1).std(1).max() < 1e-5
    grey = jittered(x, torch.stack([one, one, 0 * one], 1))
    assert torch.allclose(grey[:, :1].expand_as(grey), grey, atol=1e-5)
    assert torch.allclose(
        mean(grey), mean((x * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, True)), atol=1e-5
    )


def test_greys_stay_greys():
    made = changed(pictures(20, 1).repeat(1, 3, 1, 1), jitter=0.5)
    assert torch.allclose(made[:, :1].expand_as(made), made, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"crop": -1}, "dataset.crop must be at least 0 pixels, not -1"),
        ({"rotate": 200.0}, "dataset.rotate must lie between 0 and 180 degrees, not 200"),
        ({"shift": 1.0}, r"dataset.shift must be a share in \[0, 1\), not 1"),
        ({"jitter": 1.0}, r"dataset.jitter must be a share in \[0, 1\), not 1"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(settings, words):
    with pytest.raises(UserError, match=f"^{words}"):
        Augmentation(**settings)


def test_signals_and_spectrograms_move_in_time_alone():
    x = torch.randn(300, 1, 6, 40)
    made = changed(x, shift=0.1)
    framed = torch.nn.functional.pad(x.flatten(1, 2), [4, 4], mode="reflect").unflatten(1, (1, 6))
    steps = [next(s for s in range(9) if torch.equal(a, b[..., s : s + 40])) for a, b in zip(made, framed, strict=True)]
    assert set(steps) == set(range(9))
    assert changed(torch.randn(5, 2, 40), shift=0.5).shape == (5, 2, 40)


def items(kind, *shape, clean=False):
    x = torch.zeros(9, *shape)
    return Items(kind, x, x if clean else None)


def test_what_cannot_be_changed_so_is_refused():
    with pytest.raises(UserError, match=r"^dataset.crop=9 moves pictures of 9×12 out of sight: give less$"):
        Augmentation(crop=9).check(items("picture", 3, 9, 12))
    with pytest.raises(UserError, match=r"^dataset.shift moves signals and sound; these are pictures: leave it out$"):
        Augmentation(shift=0.1).check(items("picture", 3, 9, 12))
    with pytest.raises(UserError, match=r"^dataset.shift would part traces from their clean partners: leave it out$"):
        Augmentation(shift=0.1).check(items("trace", 1, 30, clean=True))
    Augmentation(crop=8).check(items("picture", 3, 9, 12))
    Augmentation(shift=0.1).check(items("sound", 1, 30))
