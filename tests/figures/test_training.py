from vaelab.figures.training import history_curves

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


def test_measures_of_no_split_need_no_legend():
    drawn = history_curves({"beta": STEPS})
    assert not drawn.legends
    assert len(drawn.axes) == 1


def test_a_measure_that_was_never_logged_is_left_empty():
    assert not history_curves({"train/elbo": []}).axes[0].lines
