import numpy as np

from vaelab.figures.spectrograms import spectrogram_grid, spectrogram_pairs

LEVELS = np.random.default_rng(0).uniform(-100, -5, (6, 1, 33, 20))


def test_the_originals_are_above_on_the_scale_of_their_own_peak():
    drawn = spectrogram_pairs(LEVELS, LEVELS + 30, sample_rate=8000, hop_length=128, count=3)
    drawn.canvas.draw()
    *panels, bar = drawn.axes
    assert len(panels) == 6
    assert panels[0].get_position().y0 > panels[3].get_position().y1
    np.testing.assert_allclose(panels[0].images[0].get_array(), LEVELS[0, 0])
    np.testing.assert_allclose(panels[3].images[0].get_array(), LEVELS[0, 0] + 30)
    top = LEVELS[:3].max()
    assert {panel.images[0].get_clim() for panel in panels} == {(top - 80, top)}
    assert bar.get_ylabel() == "level (dB)"


def test_the_axes_are_in_seconds_and_kilohertz_with_low_frequencies_below():
    panel = spectrogram_grid(LEVELS, sample_rate=8000, hop_length=128).axes[0]
    assert panel.images[0].get_extent() == [0.0, 20 * 128 / 8000, 0.0, 4.0]
    assert panel.images[0].origin == "lower"


def test_a_grid_has_one_panel_a_spectrogram_and_a_bar():
    drawn = spectrogram_grid(LEVELS[:5], 8000, 128, columns=3, titles=list("abcde"))
    assert [panel.get_title(loc="left") for panel in drawn.axes] == [*"abcde", ""]
