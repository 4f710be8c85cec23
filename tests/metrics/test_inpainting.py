import math

import pytest
import torch

from vaelab.metrics import inpainting
from vaelab.metrics.inpainting import classical_fills, hidden_errors, hidden_psnr_db, mean_fill, smooth_fill


def mask(*size, share=0.5, items=1):
    torch.manual_seed(0)
    return torch.rand(items, 1, *size) < share


def test_only_hidden_numbers_count_each_item_by_itself():
    x, true = torch.zeros(2, 2, 3), torch.zeros(2, 2, 3)
    hidden = torch.tensor([[[True, False, False]], [[True, True, False]]])
    x[0, :, 0] = torch.tensor([1.0, 3.0])
    x[1, 0, 1] = 2.0
    x[:, :, 2] = 99.0
    assert hidden_errors(x, true, hidden).tolist() == [(1 + 9) / 2, 4 / 4]


def test_psnr_is_that_of_all_items_together_and_never_infinite():
    assert hidden_psnr_db(torch.tensor([0.0, 0.02])) == pytest.approx(-10 * math.log10(0.01))
    assert hidden_psnr_db(torch.zeros(3)) == pytest.approx(100)


def test_the_mean_fill_is_the_mean_of_what_is_visible_of_each_channel():
    x = torch.tensor([[[1.0, 50.0, 3.0], [10.0, 50.0, 20.0]]])
    hidden = torch.tensor([[[False, True, False]]])
    assert mean_fill(x, hidden).tolist() == [[[1, 2, 3], [10, 15, 20]]]


def test_of_a_signal_the_harmonic_fill_is_a_straight_line_and_the_biharmonic_one_a_cubic():
    t = torch.arange(12.0)[None, None]
    hidden = torch.zeros(1, 1, 12, dtype=torch.bool)
    hidden[..., 4:8] = True
    line, cubic = 3 * t - 1, t**3 - 2 * t**2
    assert torch.allclose(smooth_fill(line * ~hidden, hidden, 1), line, atol=1e-5)
    assert torch.allclose(smooth_fill(cubic * ~hidden, hidden, 2), cubic, atol=1e-3)
    assert not torch.allclose(smooth_fill(cubic * ~hidden, hidden, 1), cubic, atol=1)


def test_a_single_hidden_pixel_is_by_hand_what_its_neighbours_say():
    torch.manual_seed(1)
    x, hidden = torch.randn(1, 1, 7, 7), torch.zeros(1, 1, 7, 7, dtype=torch.bool)
    hidden[..., 3, 3] = True
    near = sum(x[0, 0, 3 + a, 3 + b] for a, b in ((0, 1), (1, 0), (0, -1), (-1, 0)))
    diagonal = sum(x[0, 0, 3 + a, 3 + b] for a in (-1, 1) for b in (-1, 1))
    far = sum(x[0, 0, 3 + a, 3 + b] for a, b in ((0, 2), (2, 0), (0, -2), (-2, 0)))
    # The stencils of Δ and Δ² of the plane, solved for their middle.
    assert smooth_fill(x, hidden, 1)[0, 0, 3, 3] == pytest.approx(float(near / 4), abs=1e-5)
    assert smooth_fill(x, hidden, 2)[0, 0, 3, 3] == pytest.approx(float((8 * near - 2 * diagonal - far) / 20), abs=1e-5)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("size", [(9,), (1, 7), (5, 6)])
def test_what_is_hidden_says_nothing_of_how_it_is_filled_and_what_is_visible_stays(size, order):
    x, hidden = torch.randn(6, 2, *size), mask(*size, items=6)
    hidden[1] = hidden[0]
    filled = smooth_fill(x, hidden, order)
    assert torch.equal(filled.where(~hidden, 0), x.where(~hidden, 0))
    assert torch.equal(smooth_fill(x.masked_fill(hidden, 77.0), hidden, order), filled)
    one = smooth_fill(x[3:4], hidden[3:4], order)
    assert torch.allclose(one, filled[3:4], atol=1e-4)


def test_constants_come_back_whatever_is_hidden():
    hidden = mask(6, 5, share=0.8, items=4)
    x = torch.full((4, 1, 6, 5), 3.0)
    for fill in classical_fills(x.masked_fill(hidden, 9), hidden, x).values():
        assert torch.allclose(fill, x, atol=1e-4)


def test_the_mean_item_fills_with_what_training_items_have_there():
    x, hidden, train = torch.randn(3, 1, 8), mask(8, items=3), torch.randn(20, 1, 8)
    fill = classical_fills(x, hidden, train)["mean_item"]
    assert torch.equal(fill, torch.where(hidden, train.mean(0), x))


def test_where_rounding_would_drown_it_there_is_no_biharmonic_fill(monkeypatch):
    x, hidden = torch.randn(2, 1, 9), mask(9, items=2)
    assert "biharmonic" in classical_fills(x, hidden, x)
    monkeypatch.setattr(inpainting, "WIDEST", 8)
    assert "biharmonic" not in classical_fills(x, hidden, x)
