from functools import partial

from vaelab.beta_schedule.base import Pressure
from vaelab.beta_schedule.capacity import capacity
from vaelab.beta_schedule.constant import constant
from vaelab.beta_schedule.cyclic import cyclic
from vaelab.figures.training import history_curves, schedule_curve

STEPS = [(0, 1.0), (10, 2.0)]


def test_each_measure_has_its_panel_and_beta_comes_last_of_the_elbos_parts():
    names = ["beta", "val/kl", "train/kl", "train/log_likelihood", "val/elbo", "train/elbo", "val/ssim"]
    drawn = history_curves(dict.fromkeys(names, STEPS))
    titles = [panel.get_title(loc="left") for panel in drawn.axes]
    assert titles == ["ELBO (nats)", "log-likelihood (nats)", "KL (nats)", "beta", "ssim"]


def test_training_and_validation_share_a_panel_in_that_order():
    drawn = history_curves({"val/elbo": STEPS, "train/elbo": [(5, -3.0), (6, -2.0)]})
    training, validation = drawn.axes[0].lines
    assert (training.get_label(), validation.get_label()) == ("train", "val")
    assert list(training.get_xdata()) == [5, 6]
    assert list(training.get_ydata()) == [-3.0, -2.0]
    assert training.get_color() != validation.get_color()


def test_what_was_measured_once_is_seen():
    once, twice = history_curves({"val/kl": STEPS[:1], "train/kl": STEPS}).axes[0].lines[::-1]
    assert once.get_marker() == "o" and not twice.get_marker()


def test_measures_of_no_split_need_no_legend():
    drawn = history_curves({"beta": STEPS})
    assert not drawn.legends
    assert len(drawn.axes) == 1


def test_a_measure_that_was_never_logged_is_left_empty():
    assert not history_curves({"train/elbo": []}).axes[0].lines


def test_the_schedule_is_drawn_from_the_first_step_to_the_last():
    drawn = schedule_curve(lambda step: Pressure(cyclic(step, 100, cycle_steps=50, value=3.0)), steps=100)
    (panel,) = drawn.axes
    (line,) = panel.lines
    assert panel.get_title(loc="left") == "beta"
    assert list(line.get_xdata()) == list(range(100))
    assert line.get_ydata()[0] == line.get_ydata()[50] == 0 and line.get_ydata()[49] == 3.0


def test_a_long_schedule_is_drawn_by_some_of_its_steps_ends_included():
    (line,) = schedule_curve(partial(capacity, total_steps=10**6), steps=10**6, points=50).axes[0].lines
    assert len(line.get_xdata()) == 50 and line.get_xdata()[0] == 0 and line.get_xdata()[-1] == 10**6 - 1


def test_a_capacity_has_a_panel_of_its_own_in_nats():
    drawn = schedule_curve(lambda step: capacity(step, 10, target=25.0, warmup_steps=5), steps=10)
    assert [panel.get_title(loc="left") for panel in drawn.axes] == ["beta", "capacity (nats)"]
    assert max(drawn.axes[1].lines[0].get_ydata()) == 25.0


def test_a_schedule_that_never_changes_is_not_drawn():
    assert schedule_curve(lambda step: Pressure(constant(step, 100, value=4.0)), steps=100) is None
    assert schedule_curve(lambda step: Pressure(cyclic(step, 1)), steps=1) is None


def test_the_epoch_that_was_kept_is_marked_in_every_panel():
    drawn = history_curves({"val/elbo": STEPS, "val/kl": STEPS}, kept=10)
    for panel in drawn.axes:
        mark = panel.lines[-1]
        assert mark.get_label() == "kept" and list(mark.get_xdata()) == [10, 10]


def test_an_objective_that_is_the_bound_has_no_panel_of_its_own_and_another_has():
    other = [(0, 1.0), (10, 1.5)]
    for objective, titles in ((STEPS, ["ELBO (nats)"]), (other, ["objective (nats)", "ELBO (nats)"])):
        drawn = history_curves({"val/objective": objective, "val/elbo": STEPS, "train/elbo": STEPS})
        assert [panel.get_title(loc="left") for panel in drawn.axes] == titles
        assert [text.get_text() for text in drawn.legends[0].get_texts()] == ["train", "val"]
