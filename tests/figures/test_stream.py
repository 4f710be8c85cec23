import numpy as np
import pytest
from matplotlib.colors import to_hex

from vaelab.figures.stream import stream_frame
from vaelab.figures.style import BLUE, GREEN, RED

rng = np.random.default_rng(0)
WAVES = rng.normal(size=(3, 1, 50))
FILLING, EMPTYING = rng.normal(size=(2, 40, 3))
FILLING[10:] = np.nan
EMPTYING[:30] = np.nan


def test_the_upper_windows_show_every_code_in_its_place_and_nothing_where_there_is_none():
    filling, emptying, _ = stream_frame([FILLING, EMPTYING], None, limit=2.0).axes
    for panel, codes in ((filling, FILLING), (emptying, EMPTYING)):
        image = panel.images[0]
        shown = image.get_array()
        assert shown.shape == (3, 40) and image.get_clim() == (-2.0, 2.0)
        assert np.array_equal(np.ma.getmaskarray(shown), np.isnan(codes.T))
        assert np.array_equal(shown.compressed(), codes.T[~np.isnan(codes.T)])
    titles = [panel.get_title(loc="left") for panel in (filling, emptying)]
    assert titles == ["codes being filled: 10 of 40", "codes being decoded: 10 of 40"]


def test_the_lower_window_has_the_newest_wave_red_between_green_reference_and_blue_smoothed():
    drawn = stream_frame([FILLING, EMPTYING], WAVES, 2 * WAVES[0], WAVES[1], told="told", span=(-5, 5))
    panel = drawn.axes[2]
    lines = [(to_hex(line.get_color()), line.get_ydata()) for line in panel.lines]
    assert [colour for colour, _ in lines] == [GREEN.lower(), RED.lower(), BLUE.lower()]
    for (_, values), wave in zip(lines, (2 * WAVES[0], WAVES[2], WAVES[1]), strict=True):
        assert np.array_equal(values, wave[0])
    assert panel.get_ylim() == (-5, 5) and drawn.get_suptitle() == "told"


def test_a_wave_with_nothing_to_compare_stands_alone():
    panel = stream_frame([FILLING, EMPTYING], WAVES).axes[2]
    assert len(panel.lines) == 1


@pytest.mark.parametrize("channels", [1, 3])
def test_the_newest_eight_pictures_stand_in_a_row_the_newest_on_the_right(channels):
    pictures = np.linspace(0, 0.9, 10)[:, None, None, None] * np.ones((10, channels, 5, 4))
    for count, first in ((10, 2), (3, 0)):
        sheet = stream_frame([FILLING, EMPTYING], pictures[:count]).axes[2].images[0].get_array()
        assert sheet.shape[:2] == (5, 8 * 5 - 1)
        assert np.allclose(sheet[:, -4:], pictures[count - 1, 0, 0, 0])
        left = pictures[first, 0, 0, 0] if count == 10 else 1.0
        assert np.allclose(sheet[:, :4], left)


def test_the_channels_of_a_wave_have_each_a_colour_and_a_name():
    panel = stream_frame([FILLING, EMPTYING], np.tile(WAVES, (1, 3, 1)) * [[1], [2], [3]]).axes[2]
    assert len({line.get_color() for line in panel.lines}) == 3
    assert [text.get_text() for text in panel.get_legend().get_texts()] == ["channel 1", "channel 2", "channel 3"]
    for k, line in enumerate(panel.lines):
        assert np.array_equal(line.get_ydata(), (k + 1) * WAVES[2, 0])
