import numpy as np
import pytest
from matplotlib.colors import to_hex

from vaelab.figures.style import BLUE, RED
from vaelab.figures.sweep import quality_over_diversity, ranked_groups, rate_distortion

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


def test_each_group_has_a_row_from_the_top_with_its_seeds_its_mean_and_its_deviation():
    groups = {"flow": [1.0, 2.0, 3.0], "gan": [2.5], "a$b": [4.0, 6.0]}
    panel = ranked_groups(groups, "sample/energy_distance ↓").axes[0]
    assert [label.get_text() for label in panel.get_yticklabels()] == ["flow", "gan", r"a\$b"]
    assert panel.get_ylim()[0] > panel.get_ylim()[1] and panel.get_xscale() == "linear"
    means = [bar.lines[0] for bar in panel.containers]
    assert [(mean.get_xdata()[0], mean.get_ydata()[0]) for mean in means] == [(2.0, 0), (2.5, 1), (5.0, 2)]
    (ends,) = panel.containers[0].lines[2][0].get_segments()
    assert ends[:, 0].tolist() == pytest.approx([1.0, 3.0])
    assert not panel.containers[1].lines[2]
    assert panel.get_xlabel() == "sample/energy_distance ↓"


@pytest.mark.parametrize(("least", "scale"), [(0.01, "log"), (0.5, "linear"), (-0.01, "linear")])
def test_groups_that_are_far_apart_stand_on_a_logarithmic_axis(least, scale):
    assert ranked_groups({"a": [least, 0.6], "b": [1.0]}, "x").axes[0].get_xscale() == scale


def test_quality_stands_over_diversity_with_areas_that_go_with_the_time():
    groups = {"gan": ([0.5, 0.7], [0.2, 0.4], [10.0, 10.0]), "flow": ([0.9], [0.8], [40.0])}
    panel = quality_over_diversity(groups, "sample/density", "sample/coverage").axes[0]
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("sample/coverage", "sample/density")
    points = [dots for dots in panel.collections if dots.get_label() in ("gan: 10 s", "flow: 40 s")]
    assert [dots.get_offsets()[0].tolist() for dots in points] == [pytest.approx([0.3, 0.6]), [0.8, 0.9]]
    small, large = (dots.get_sizes()[0] for dots in points)
    assert large == pytest.approx(4 * small)
