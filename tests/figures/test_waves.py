import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from vaelab.figures.style import BLUE, GREEN, RED
from vaelab.figures.waves import wave_pairs, wave_path, wave_samples

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


def test_fewer_waves_than_asked_make_fewer_panels():
    assert len(wave_pairs(WAVES[:2], WAVES[:2], count=8).axes) == 2


def test_every_channel_is_drawn():
    stereo = np.concatenate([WAVES, -WAVES], axis=1)
    assert len(wave_pairs(stereo, stereo, count=1).axes[0].lines) == 4


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
