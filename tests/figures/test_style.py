import sys
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from vaelab.figures.style import class_colours, figure, frequency_axis, png, render, small_multiples, time_axis


@pytest.mark.parametrize(
    ("samples", "rate", "last", "label"),
    [
        (500, 180e6, 499 / 180, "time (µs)"),
        (8000, 16000.0, 499.9375, "time (ms)"),
        (90, 180e6, 89 / 0.18, "time (ns)"),
        (128, None, 127, "sample"),
    ],
)
def test_time_is_shown_in_the_unit_that_suits_its_length(samples, rate, last, label):
    times, name = time_axis(samples, rate)
    assert name == label
    assert len(times) == samples
    assert times[-1] == pytest.approx(last)


@pytest.mark.parametrize(
    ("rate", "nyquist", "unit"),
    [(180e6, 90, "MHz"), (8000.0, 4, "kHz"), (100.0, 50, "Hz"), (None, 0.5, "cycles")],
)
def test_frequency_is_shown_in_the_unit_that_suits_the_rate(rate, nyquist, unit):
    frequencies, name = frequency_axis(100, rate)
    assert unit in name
    assert frequencies[-1] == pytest.approx(nyquist)


@pytest.mark.parametrize("count", [1, 3, 10, 24])
def test_each_class_has_a_colour_of_its_own(count):
    assert len({str(colour) for colour in class_colours(count)}) == count


def test_small_multiples_are_exactly_as_many_as_asked():
    drawn, panels = small_multiples(5, columns=3, panel_height=1)
    assert drawn.axes == panels
    assert len(panels) == 5


def test_a_figure_leaves_no_global_state_behind():
    import matplotlib

    before = dict(matplotlib.rcParams)
    drawn, _ = figure(2, 2)
    drawn.canvas.draw()
    assert dict(matplotlib.rcParams) == before
    if "matplotlib.pyplot" in sys.modules:
        assert not sys.modules["matplotlib.pyplot"].get_fignums()


def test_tick_labels_are_small_although_ticks_are_made_when_drawn():
    _, axes = figure()
    axes[0, 0].plot(np.arange(3))
    assert {label.get_fontsize() for label in axes[0, 0].get_xticklabels()} == {7}


def test_a_figure_becomes_a_file_of_the_pixels_that_it_has():
    # Drawing a figure again moves its axes by a hair.
    first, second = (figure(width=2.0, height=1.0) for _ in range(2))
    for _, axes in (first, second):
        axes[0, 0].plot([0, 1], color="red")
    picture = Image.open(BytesIO(png(first[0])))
    assert picture.format == "PNG" and picture.mode == "RGB" and picture.size == (300, 150)
    assert picture.info["dpi"] == pytest.approx((150, 150), abs=0.1)
    assert np.array_equal(np.asarray(picture), render(second[0]))
    assert (np.asarray(picture) == [255, 0, 0]).all(-1).any()
