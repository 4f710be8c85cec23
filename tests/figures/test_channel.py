import numpy as np
import pytest
from matplotlib.colors import to_hex

from vaelab.figures.channel import (
    LOWEST_DB,
    channel_pairs,
    channel_path,
    channel_samples,
    delay_spread_distributions,
    power_profiles,
)
from vaelab.figures.style import GREEN, GREY, RED

POWER = np.exp(-np.arange(40) / np.arange(1, 11)[:, None])
RATE = 20e6


def colours(panel):
    return [to_hex(line.get_color()).upper() for line in panel.lines]


def test_an_item_its_realisation_and_what_is_expected_share_a_panel_in_decibels_over_delay():
    drawn = channel_pairs(POWER, 10 * POWER, POWER, RATE)
    assert len(drawn.axes) == 8 and colours(drawn.axes[0])[:2] == [GREEN, RED]
    original, again, _ = drawn.axes[2].lines
    np.testing.assert_allclose(original.get_ydata(), 10 * np.log10(POWER[2]), atol=1e-6)
    np.testing.assert_allclose(again.get_ydata(), 10 + 10 * np.log10(POWER[2]), atol=1e-6)
    assert original.get_xdata()[-1] == pytest.approx(39 / 20) and "µs" in drawn.get_supxlabel()
    assert "delay" in drawn.get_supxlabel()


def test_samples_stand_alone_and_few_make_few_panels():
    drawn = channel_samples(POWER[:3], RATE)
    assert len(drawn.axes) == 3 and colours(drawn.axes[0]) == [RED] and not drawn.legends


def test_a_tap_without_power_is_drawn_at_the_bottom():
    assert channel_samples(np.zeros((1, 8)), RATE).axes[0].lines[0].get_ydata().max() < LOWEST_DB


def test_mean_profiles_have_a_line_and_a_name_each():
    drawn = power_profiles({"true": POWER[0], "independent taps": POWER[1], "generated": POWER[2]}, RATE)
    assert colours(drawn.axes[0]) == [GREEN, GREY, RED]
    assert [text.get_text() for text in drawn.legends[0].get_texts()] == ["true", "independent taps", "generated"]
    np.testing.assert_allclose(drawn.axes[0].lines[2].get_ydata(), 10 * np.log10(POWER[2]), atol=1e-6)


def test_the_distribution_of_delay_spreads_reaches_one_half_at_their_median_in_nanoseconds():
    spreads = 1e-9 * np.arange(1, 102)
    line = delay_spread_distributions({"true": spreads, "generated": 2 * spreads}).axes[0].lines
    middle = [float(np.interp(0.5, one.get_ydata(), one.get_xdata())) for one in line]
    assert middle == pytest.approx([51, 102], rel=0.02)


def test_a_path_is_an_image_from_the_first_step_upwards_beside_its_delay_spreads():
    drawn = channel_path(POWER, 1e-7 * np.arange(1, 11), RATE)
    mesh = drawn.axes[0].collections[0]
    np.testing.assert_allclose(np.asarray(mesh.get_array())[0], 10 * np.log10(np.maximum(POWER[0], 1e-9)), atol=1e-6)
    curve = drawn.axes[1].lines[0]
    np.testing.assert_allclose(curve.get_xdata(), 100 * np.arange(1, 11))
    np.testing.assert_allclose(curve.get_ydata(), np.linspace(0, 1, 10))
