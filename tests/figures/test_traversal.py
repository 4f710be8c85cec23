import numpy as np
import pytest

from vaelab.figures.sheets import spectrogram_pictures, wave_sheet
from vaelab.figures.traversal import traversal_frames, traversal_rows

rng = np.random.default_rng(0)
WAVES = rng.normal(size=(3, 5, 1, 20))
PICTURES = rng.uniform(size=(3, 5, 1, 6, 9))


@pytest.mark.parametrize("items", [WAVES, PICTURES, rng.uniform(size=(3, 5, 3, 6, 9))], ids=["wave", "grey", "rgb"])
def test_every_dimension_has_a_titled_row_with_its_steps_below(items):
    panels = traversal_rows(items, ["a", "b", "c"], list("12345"), "code").axes
    assert [panel.get_title(loc="left") for panel in panels] == ["a", "b", "c"]
    assert [label.get_text() for label in panels[-1].get_xticklabels()] == list("12345")


def test_a_row_of_waves_has_one_line_a_step_and_all_rows_one_scale():
    panels = traversal_rows(WAVES * np.array([1, 2, 0.1]).reshape(3, 1, 1, 1), ["a", "b", "c"], list("12345")).axes
    assert [len(panel.lines) for panel in panels] == [5, 5, 5]
    spans = [np.ptp([line.get_ydata() for line in panel.lines]) for panel in panels]
    assert spans[1] > spans[0] > spans[2] and spans[1] == pytest.approx(0.88)


@pytest.mark.parametrize("items", [WAVES, PICTURES], ids=["wave", "picture"])
def test_there_is_a_frame_for_every_step_and_they_differ(items):
    frames = traversal_frames(items, ["a", "b", "c"])
    assert len(frames) == 5 and frames.shape[-1] == 3 and frames.dtype == np.uint8
    assert all((frames[0] != frame).any() for frame in frames[1:])


def test_a_sheet_has_a_wave_in_every_cell():
    panel = wave_sheet(rng.normal(size=(2, 3, 1, 20))).axes[0]
    corners = sorted((int(line.get_ydata().min()), int(line.get_xdata().min())) for line in panel.lines)
    assert corners == [(row, column) for row in range(2) for column in range(3)]


def test_equal_waves_are_drawn_and_not_refused():
    assert wave_sheet(np.zeros((1, 1, 1, 4))).axes[0].lines
    assert traversal_rows(np.zeros((1, 2, 1, 4)), ["a"], ["1", "2"]).axes


def test_a_spectrogram_becomes_a_picture_with_high_frequencies_above():
    low = np.full((1, 1, 4, 5), -200.0)
    low[0, 0, 0] = 0.0
    picture = spectrogram_pictures(low)
    assert picture.shape == (1, 3, 4, 5) and picture[0, :, -1].min() > 0.7 and picture[0, :, 0].max() < 0.05


def test_the_channels_of_a_cell_lie_under_one_another_each_as_high_as_the_other_and_it_is_said():
    small = rng.normal(size=(2, 3, 1, 20))
    waves = np.concatenate([small, 1000 * small, small], axis=2)
    sheet, rows = wave_sheet(waves), traversal_rows(waves, ["a", "b"], list("123"), "code")
    assert sheet.get_supxlabel() == "in each cell channels 1 to 3, from above"
    assert rows.get_supxlabel() == "code; in each cell channels 1 to 3, from above"
    for panel in (sheet.axes[0], rows.axes[0]):
        first, second, third = (line.get_ydata() for line in panel.lines[:3])
        assert first.min() > second.max() and second.min() > third.max()
        assert np.ptp(first) == pytest.approx(np.ptp(second))
    assert wave_sheet(small).get_supxlabel() == ""
