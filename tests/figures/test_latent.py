import warnings

import numpy as np
import pytest
from matplotlib.colors import to_hex

from vaelab.figures.latent import kl_bars, latent_histograms, latent_scatter

rng = np.random.default_rng(0)
LABELS = np.repeat([0, 1, 4], 20)


@pytest.mark.parametrize("dimensions", [2, 5])
def test_the_scatter_shows_one_colour_a_label(dimensions):
    drawn = latent_scatter(rng.normal(size=(60, dimensions)), LABELS, ("cat", "dog"))
    clouds = drawn.axes[0].collections
    assert len({to_hex(cloud.get_facecolor()[0]) for cloud in clouds}) == 3
    assert [len(cloud.get_offsets()) for cloud in clouds] == [20, 20, 20]
    legend = drawn.axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["cat", "dog", "4"]


def test_two_dimensions_are_drawn_as_they_are():
    codes = rng.normal(size=(30, 2))
    panel = latent_scatter(codes).axes[0]
    np.testing.assert_allclose(panel.collections[0].get_offsets(), codes)
    assert panel.get_legend() is None


def test_more_dimensions_are_projected_and_the_axes_say_how_much_they_explain():
    codes = rng.normal(size=(500, 4)) * np.sqrt([8, 2, 1e-9, 1e-9])
    panel = latent_scatter(codes).axes[0]
    first, second = (int(label.split("(")[1].split()[0]) for label in (panel.get_xlabel(), panel.get_ylabel()))
    assert first == pytest.approx(80, abs=4)
    assert first + second == 100


def test_one_dimension_is_a_histogram():
    panel = latent_scatter(rng.normal(size=(60, 1)), LABELS).axes[0]
    assert not panel.collections
    assert len(panel.patches) == 3


def test_kl_is_sorted_and_the_line_parts_the_active_dimensions():
    panel = kl_bars([0.001, 2.0, 0.5]).axes[0]
    assert [bar.get_height() for bar in panel.patches] == [2.0, 0.5, 0.001]
    assert panel.lines[0].get_xdata()[0] == 2.5
    assert panel.get_title(loc="left").startswith("2 of 3 active")


def test_tens_of_thousands_of_dimensions_are_two_shapes_of_the_same_heights():
    kl = np.linspace(1, 0, 30_000) ** 2
    panel = kl_bars(kl).axes[0]
    above, below = (patch.get_data() for patch in panel.patches)
    assert np.array_equal(np.concatenate([above.values, below.values]), kl)
    assert (above.values > 0.01).all() and (below.values <= 0.01).all()
    assert (above.edges[0], below.edges[0], below.edges[-1]) == (0.5, len(above.values) + 0.5, 30_000.5)
    assert panel.get_title(loc="left").startswith("27000 of 30000 active")


def test_histograms_show_the_dimensions_that_vary_most_in_their_order():
    codes = rng.normal(size=(200, 5)) * [1, 0.01, 2, 0.02, 1]
    titles = [panel.get_title(loc="left") for panel in latent_histograms(codes, count=3).axes]
    assert [title.split("$")[1] for title in titles] == ["z_{1}", "z_{3}", "z_{5}"]


def test_histograms_carry_the_standard_normal_density():
    line = latent_histograms(rng.normal(size=(50, 1))).axes[0].lines[0]
    assert line.get_ydata().max() == pytest.approx(1 / np.sqrt(2 * np.pi))
    assert np.trapezoid(line.get_ydata(), line.get_xdata()) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("dimensions", [1, 2, 5])
def test_a_collapsed_posterior_is_drawn_and_not_refused(dimensions):
    codes = np.zeros((20, dimensions), np.float32)
    assert latent_scatter(codes).axes
    assert latent_histograms(codes).axes
    assert kl_bars(np.zeros(dimensions)).axes[0].get_title(loc="left").startswith("0 of")


NAMES = ("_new", "$x", "a $b_c^$ d", r"\alpha", "$\\frac{", "日本", "b\udcffd", "long" * 100, "two\nlines", "")


def test_names_of_classes_are_drawn_letter_by_letter():
    from vaelab.figures.style import png

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = latent_scatter(rng.normal(size=(20, 2)), np.arange(20) % len(NAMES), NAMES)
        assert png(drawn).startswith(b"\x89PNG")
    shown = [shown_letters(text) for text in drawn.axes[0].get_legend().get_texts()]
    assert shown[:6] == list(NAMES[:6])
    assert shown[6:] == ["b\\udcffd", "long" * 9 + "lon…", "two lines", ""]


def shown_letters(text):
    letters, is_formula = text._preprocess_math(text.get_text())
    assert not is_formula
    return letters
