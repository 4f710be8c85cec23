from pathlib import Path

import numpy as np
import pytest

from vaelab.dataset.axes import SIGNALS, arranged, laid_out, signal_axes, wished_axes
from vaelab.errors import UserError

FILE = Path("a.npy")


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    "shape", [(5000, 140), (500, 141), (60, 2000), (1797, 64), (10992, 16), (3, 9001), (20, 3), (9001, 40)]
)
def test_tables_as_they_are_usual_are_read_with_one_signal_a_row(shape):
    assert signal_axes(FILE, noise(*shape)) == ("items", "time")


@pytest.mark.parametrize("shape", [(154, 3, 9001), (32, 2, 128), (10, 12, 5000), (50, 64, 32)])
def test_three_dimensions_as_they_are_usual_are_items_channels_time(shape):
    assert signal_axes(FILE, noise(*shape)) == SIGNALS


@pytest.mark.parametrize("shape", [(9001, 3), (650_000, 2), (5000, 12)])
def test_few_columns_of_many_rows_are_refused_with_both_readings(shape):
    rows, columns = shape
    words = rf"{rows:,} items of {columns} samples, or {columns} items of {rows:,} samples\? [^\n]*"
    with pytest.raises(UserError, match=words + r"dataset\.axes=\[items,time\] or dataset\.axes=\[time,items\]$"):
        signal_axes(FILE, noise(*shape))


def test_columns_that_run_on_smoothly_while_rows_do_not_are_refused_with_both_readings():
    waves = np.sin(np.linspace(0, 60, 2000)[:, None] + 6 * np.random.default_rng(0).random(40))
    assert signal_axes(FILE, waves.T) == ("items", "time")
    with pytest.raises(UserError, match=r"2,000 items of 40 samples, or 40 items of 2,000 samples\?"):
        signal_axes(FILE, waves)


def test_channels_last_are_refused_with_both_readings():
    with pytest.raises(
        UserError, match=r"154 items of 9,001 channels of 3 samples, or 154 items of 3 channels of 9,001"
    ):
        signal_axes(FILE, noise(154, 9001, 3))


@pytest.mark.parametrize(
    "array", [np.zeros((100, 28, 28), np.uint8), np.zeros((100, 20, 30), np.uint8), noise(100, 28, 28)]
)
def test_pictures_are_pointed_to_their_own_dataset(array):
    with pytest.raises(UserError, match=r"dataset=image_table; [^\n]*dataset\.axes=\[items,channels,time\]$"):
        signal_axes(FILE, array)


@pytest.mark.parametrize("axes", [("time",), ("time", "items"), ("channels", "time"), ("items", "time", "channels")])
def test_an_array_goes_back_into_the_axes_that_it_came_in(axes):
    sizes = {"items": 4, "channels": 2, "time": 9}
    array = noise(*(sizes[name] for name in axes))
    whole = arranged(array, axes, SIGNALS)
    assert whole.shape == tuple(sizes[name] if name in axes else 1 for name in SIGNALS)
    np.testing.assert_array_equal(laid_out(whole, axes, SIGNALS), array)


def test_axes_are_words_in_a_list_or_between_commas_and_others_are_refused():
    assert wished_axes("time,items", SIGNALS) == wished_axes(["time", "items"], SIGNALS) == ("time", "items")
    assert wished_axes(None, SIGNALS) is None
    for wrong in ("time,time", "rows,columns", ""):
        with pytest.raises(
            UserError, match=r"^dataset\.axes=\[.*\]: name each axis once, out of items, channels, time$"
        ):
            wished_axes(wrong, SIGNALS)
