import numpy as np
import pytest
from matplotlib.colors import to_hex

from vaelab.figures.style import BLUE, RED
from vaelab.figures.sweep import rate_distortion

BETAS = (0.5, 1, 4)
KL = np.array([[20.0, 10.0, 1.0], [22.0, 12.0, 3.0]])
DISTORTION = np.array([[30.0, 35.0, 50.0], [32.0, 33.0, 52.0]])


def test_distortion_stands_over_rate_at_the_means_each_with_its_beta():
    plane = rate_distortion(BETAS, KL, DISTORTION).axes[0]
    joined, dots = plane.lines
    assert joined.get_xdata().tolist() == [21, 11, 2] and joined.get_ydata().tolist() == [31, 34, 51]
    assert len(dots.get_xdata()) == 6
    assert {text.get_text(): text.xy for text in plane.texts} == {"0.5": (21, 31), "1": (11, 34), "4": (2, 51)}
    assert "rate" in plane.get_xlabel() and "distortion" in plane.get_ylabel()


def test_betas_whose_codes_have_died_alike_share_a_label():
    plane = rate_distortion((1, 4, 8, 20), [5.0, 1e-4, 1e-5, 0.0], [20.0, 27.0, 26.9996, 27.001]).axes[0]
    assert [text.get_text() for text in plane.texts] == ["1", "4, 8, 20"]
    assert plane.texts[1].xy == (1e-4, 27.0)


def test_both_stand_over_beta_on_a_logarithmic_axis_with_the_betas_as_ticks():
    panel = rate_distortion(BETAS, KL, DISTORTION).axes[1]
    assert panel.get_xscale() == "log" and panel.get_xticks().tolist() == list(BETAS)
    lines = {line.get_label(): line for line in panel.lines if not line.get_label().startswith("_")}
    assert lines["rate"].get_ydata().tolist() == [21, 11, 2]
    assert lines["distortion"].get_ydata().tolist() == [31, 34, 51]
    assert [to_hex(lines[name].get_color()).upper() for name in ("rate", "distortion")] == [BLUE, RED]
    assert lines["rate"].get_xdata().tolist() == list(BETAS)


def test_one_seed_may_come_without_its_own_axis():
    plane = rate_distortion(BETAS, KL[0], DISTORTION[0]).axes[0]
    assert plane.lines[0].get_ydata().tolist() == pytest.approx(DISTORTION[0].tolist())
