import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from vaelab.figures.style import BLUE, GREEN, RED
from vaelab.figures.waves import filled_waves, wave_grid, wave_pairs, wave_path, wave_samples

WAVES = np.sin(np.linspace(0, 6, 50) + np.arange(12)[:, None, None])


def colours(panel):
    return [to_hex(line.get_color(), keep_alpha=False) for line in panel.lines]


def test_originals_are_green_and_reconstructions_red_over_them():
    drawn = wave_pairs(WAVES, torch.tensor(0.5 * WAVES), count=6)
    assert len(drawn.axes) == 6
    for k, panel in enumerate(drawn.axes):
        original, reconstruction = panel.lines
        assert colours(panel) == [GREEN.lower(), RED.lower()]
        np.testing.assert_allclose(original.get_ydata(), WAVES[k, 0])
        np.testing.assert_allclose(reconstruction.get_ydata(), 0.5 * WAVES[k, 0])


def test_what_was_hidden_is_shaded_under_the_original_and_what_fills_it():
    hidden = np.zeros((12, 50), bool)
    hidden[:, 10:20] = True
    drawn = filled_waves(WAVES, hidden, np.where(hidden[:, None], 0, WAVES), count=3)
    assert len(drawn.axes) == 3
    for k, panel in enumerate(drawn.axes):
        assert colours(panel) == [GREEN.lower(), RED.lower()]
        np.testing.assert_allclose(panel.lines[0].get_ydata(), WAVES[k, 0])
        assert not panel.lines[1].get_ydata()[10:20].any()
        (shade,) = panel.collections
        across = shade.get_paths()[0].vertices[:, 0]
        assert (across.min(), across.max()) == (10, 19)


def test_fewer_waves_than_asked_make_fewer_panels():
    assert len(wave_pairs(WAVES[:2], WAVES[:2], count=8).axes) == 2


def panels_of(drawn):
    """Panels by their row, from above, and column."""
    return sorted(drawn.axes, key=lambda panel: (panel.get_subplotspec().rowspan.start, panel.get_position().x0))


def test_channels_are_drawn_under_one_another_and_named():
    stereo = np.concatenate([WAVES, -3 * WAVES], axis=1)
    drawn = wave_pairs(stereo, 0.5 * stereo, count=2)
    panels = panels_of(drawn)
    assert [panel.get_ylabel() for panel in panels] == ["channel 1", "", "channel 2", ""]
    for k, (item, channel) in enumerate([(0, 0), (1, 0), (0, 1), (1, 1)]):
        original, reconstruction = panels[k].lines
        np.testing.assert_allclose(original.get_ydata(), stereo[item, channel])
        np.testing.assert_allclose(reconstruction.get_ydata(), 0.5 * stereo[item, channel])
    # Each channel on a scale of its own, the same for all items.
    assert panels[0].get_ylim() == panels[1].get_ylim() != panels[2].get_ylim() == panels[3].get_ylim()
    assert [text.get_text() for text in drawn.legends[0].get_texts()] == ["original", "reconstruction"]


def test_of_very_many_channels_the_first_are_drawn_and_it_is_said():
    panels = panels_of(wave_samples(np.tile(WAVES, (1, 30, 1))))
    assert len(panels) == 8 * 4 and panels[0].get_ylabel() == "channel 1 of 30"
    assert len(wave_path(np.tile(WAVES, (1, 30, 1))).axes) == 8


def test_the_last_row_of_several_channels_may_be_short():
    panels = panels_of(wave_samples(np.tile(WAVES[:6], (1, 2, 1))))
    assert (
        len(panels) == 12
        and [panel.get_ylabel() for panel in panels if panel.get_ylabel()]
        == [
            "channel 1",
            "channel 2",
        ]
        * 2
    )


def test_a_grid_has_a_title_over_every_wave_and_no_legend():
    drawn = wave_grid(np.tile(WAVES[:2], (1, 2, 1)), ["a", "b"])
    assert [panel.get_title("left") for panel in panels_of(drawn)] == ["a", "b", "", ""] and not drawn.legends


def test_a_path_has_a_panel_for_each_channel():
    drawn = wave_path(np.concatenate([WAVES, 100 * WAVES + 7000], axis=1))
    assert [panel.get_title("left") for panel in drawn.axes] == ["channel 1", "channel 2"]
    assert [len(panel.lines) for panel in drawn.axes] == [12, 12]
    # As high as one another, whatever their unit.
    spans = [np.ptp(panel.lines[0].get_ydata()) for panel in drawn.axes]
    assert spans[0] == pytest.approx(spans[1])
    # And each where it is along the path.
    assert drawn.axes[0].get_ylim() == pytest.approx(drawn.axes[1].get_ylim())


@pytest.mark.parametrize("smoothed", [None, 0.9 * WAVES])
def test_samples_are_red_between_a_green_reference_and_a_blue_smoothed_wave(smoothed):
    drawn = wave_samples(WAVES, reference=WAVES, smoothed=smoothed, sample_rate=8000.0)
    expected = [GREEN, RED] + ([BLUE] if smoothed is not None else [])
    assert colours(drawn.axes[0]) == [colour.lower() for colour in expected]
    legend = [text.get_text() for text in drawn.legends[0].get_texts()]
    assert legend == ["reference", "raw", "smoothed"][: len(expected)]


def test_samples_without_a_reference_stand_alone():
    assert colours(wave_samples(WAVES).axes[0]) == [RED.lower()]


def test_a_path_is_one_line_a_step_each_higher_than_the_last():
    drawn = wave_path(WAVES)
    means = [line.get_ydata().mean() for line in drawn.axes[0].lines]
    assert len(means) == 12
    assert means[-1] - means[0] == pytest.approx(1, abs=0.2)
    assert len(set(colours(drawn.axes[0]))) == 12


def test_a_path_of_silence_is_drawn():
    assert len(wave_path(np.zeros((3, 1, 10))).axes[0].lines) == 3
