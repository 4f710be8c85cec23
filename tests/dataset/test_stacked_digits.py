import pytest
import torch

from vaelab.dataset.digits import Digits
from vaelab.dataset.stacked_digits import CHANNELS, StackedDigits
from vaelab.errors import UserError


def rows_of(pictures, digits):
    """Which digits channels `(n, 8, 8)` are; copies stand for the first of them."""
    known = {picture.numpy().tobytes(): k for k, picture in reversed(list(enumerate(digits)))}
    return {known[picture.numpy().tobytes()] for picture in pictures}


def test_each_channel_is_a_digit_that_its_factor_names():
    items, digits = StackedDigits(items=300).load(), Digits().load()
    assert items.raw.shape == (300, 3, 8, 8) and items.raw.dtype == torch.uint8 and items.label is None
    assert tuple(items.factors) == CHANNELS and items.facts == {"stacked": 10.0}
    known = {picture.numpy().tobytes(): int(k) for picture, k in zip(digits.raw[:, 0], digits.label, strict=True)}
    for channel, name in enumerate(CHANNELS):
        told = [known[picture.numpy().tobytes()] for picture in items.raw[:, channel]]
        assert told == items.factors[name].tolist()


def test_no_digit_is_in_two_splits():
    items, digits = StackedDigits(items=20_000).load(), Digits().load().raw[:, 0]
    used = [rows_of(items.raw[items.fold == fold].flatten(0, 1), digits) for fold in range(3)]
    assert items.fold.bincount().tolist() == [16_000, 2_000, 2_000]
    assert not used[0] & used[1] and not used[0] & used[2] and not used[1] & used[2]
    assert len(used[0]) > 1_300 and len(used[2]) > 150


def test_digits_of_the_channels_are_drawn_by_themselves_and_fill_all_thousand_modes():
    factors = StackedDigits().load().factors
    digits = torch.stack([factors[name] for name in CHANNELS])
    mode = 100 * digits[0] + 10 * digits[1] + digits[2]
    assert len(mode.unique()) == 1000 and torch.corrcoef(digits.double()).triu(1).abs().max() < 0.02


def test_too_few_items_are_an_error():
    with pytest.raises(UserError, match=r"^items=2: give at least 3[^\n]*$"):
        StackedDigits(items=2).load()
    assert StackedDigits(items=3).load().fold.tolist() == [0, 1, 2]
