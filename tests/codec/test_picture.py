import pytest
import torch

from vaelab.codec.picture import PictureCodec, drawn_white
from vaelab.errors import UserError


def greys():
    return torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)


def test_every_grey_comes_back_as_it_was():
    codec = PictureCodec()
    x, level = codec.encode(greys())
    assert x.dtype == torch.float32 and x.min() == 0 and x.max() == 1 and level.tolist() == [0]
    assert codec.decode(x).equal(greys())


def test_what_a_net_puts_outside_the_range_is_cut_to_it():
    assert PictureCodec().decode(torch.tensor([[[[-0.5, 1.7]]]])).tolist() == [[[[0, 255]]]]


def test_dynamic_binarisation_draws_anew_each_time_with_the_grey_as_its_mean():
    codec, rng = PictureCodec("dynamic"), torch.Generator().manual_seed(0)
    raw = torch.full((1, 1, 200, 200), 64, dtype=torch.uint8)
    one, two = (codec.encode(raw, generator=rng).x for _ in range(2))
    assert set(one.unique().tolist()) == {0, 1} and not one.equal(two)
    assert one.mean() == pytest.approx(64 / 255, abs=0.01)


def test_each_grey_is_white_as_often_as_it_is_bright_and_in_no_order():
    rng, n = torch.Generator().manual_seed(0), 20_000
    drawn = drawn_white(greys().flatten().repeat(n, 1), rng).float()
    p = torch.arange(256) / 255
    assert drawn[:, 0].sum() == 0 and drawn[:, 255].sum() == n
    deviations = (drawn.mean(0) - p)[1:-1] / (p * (1 - p) / n).sqrt()[1:-1]
    assert deviations.abs().max() < 4.5 and 0.8 < deviations.square().mean() < 1.25
    # Neighbours, in the row and below each other, know nothing of each other.
    free = (drawn - p)[:, 1:-1] / (p * (1 - p)).sqrt()[1:-1]
    assert (free[:, 1:] * free[:, :-1]).mean().abs() < 0.002 and (free[1:] * free[:-1]).mean().abs() < 0.002


def test_the_second_byte_decides_where_the_first_does_not(monkeypatch):
    raw, at = torch.tensor([7, 7, 7, 8, 6, 255, 0], dtype=torch.uint8), torch.Generator()
    first, second = [7, 7, 7, 7, 7, 255, 0], [6, 7, 8, 0, 255, 255, 0]
    bytes_ = torch.tensor([*first, *second, 0, 0], dtype=torch.uint8)
    monkeypatch.setattr(torch.Tensor, "random_", lambda words, *_, generator: bytes_.view(torch.int64))
    assert drawn_white(raw, at).tolist() == [True, False, False, True, False, True, False]


def test_dynamic_binarisation_without_a_generator_is_its_expectation():
    assert PictureCodec("dynamic").encode(greys()).x.equal(PictureCodec().encode(greys()).x)


def test_the_threshold_lies_at_one_half():
    x = PictureCodec("threshold").encode(greys()).x.flatten()
    assert x[127] == 0 and x[128] == 1 and set(x.tolist()) == {0, 1}


def test_a_binarisation_that_is_unknown_is_an_error():
    with pytest.raises(UserError, match="binarisation=static: give none, dynamic or threshold"):
        PictureCodec("static")


def test_pictures_that_are_not_finite_are_refused():
    with pytest.raises(UserError, match="NaN"):
        PictureCodec().encode(torch.full((1, 1, 2, 2), torch.nan))
