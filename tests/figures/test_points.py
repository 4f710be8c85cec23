import numpy as np
import torch

from vaelab.figures.points import PAIRS, point_pairs, point_path, point_scatter
from vaelab.figures.style import GREEN, RED, render

MEANS = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [4.0, 4.0]])


def test_modes_are_ringed_where_points_are_near_and_crossed_where_none_is():
    points = torch.tensor([[0.1, 0.0], [0.0, -0.2], [4.0, 3.8], [2.0, 2.0]])
    panel = point_scatter(points, MEANS + 0.1, MEANS, std=0.1).axes[0]
    found, lost = panel.lines
    assert (found.get_label(), found.get_markeredgecolor()) == ("mode found", GREEN)
    assert (lost.get_label(), lost.get_markeredgecolor()) == ("mode lost", RED)
    np.testing.assert_array_equal(found.get_xydata(), MEANS[[0, 3]])
    np.testing.assert_array_equal(lost.get_xydata(), MEANS[[1, 2]])
    assert panel.get_title(loc="left") == "2 of 4 modes, 75.0 % within 3 standard deviations"


def test_generated_points_are_over_the_true_ones():
    panel = point_scatter(MEANS[:2], MEANS).axes[0]
    true, made = panel.collections
    assert (true.get_label(), made.get_label()) == ("true", "generated")
    np.testing.assert_array_equal(made.get_offsets(), MEANS[:2])
    assert [text.get_text() for text in panel.get_legend().get_texts()] == ["true", "generated"]
    assert point_scatter(MEANS).axes[0].get_legend() is None


def test_both_axes_have_one_scale_and_something_is_drawn():
    for drawn in (point_scatter(MEANS), point_pairs(MEANS, MEANS + 1), point_path(MEANS)):
        assert drawn.axes[0].get_aspect() == 1
        assert render(drawn).min() < 200


def test_pairs_are_joined_and_too_many_are_not_drawn():
    panel = point_pairs(MEANS, MEANS + 1).axes[0]
    assert len(panel.lines) == 4
    np.testing.assert_array_equal(panel.lines[1].get_xydata(), [MEANS[1], MEANS[1] + 1])
    many = np.random.default_rng(0).normal(size=(PAIRS + 50, 2))
    assert len(point_pairs(many, many).axes[0].lines) == PAIRS


def test_a_path_goes_through_its_steps_in_turn():
    panel = point_path(MEANS).axes[0]
    np.testing.assert_array_equal(panel.lines[0].get_xydata(), MEANS)
    assert len(panel.collections[0].get_array()) == 4
