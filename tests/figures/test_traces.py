import numpy as np
import pytest

from vaelab.figures.style import GREEN, PALE, RED
from vaelab.figures.traces import accuracy_by_snr, detection_roc, trace_rows, trace_spectra

TIME = np.arange(400) / 180e6
CLEAN = np.tile(np.cos(2 * np.pi * 45e6 * TIME), (4, 1, 1))
NOISY = CLEAN + np.random.default_rng(0).normal(size=CLEAN.shape)


def test_a_row_shows_noisy_grey_clean_green_and_recovered_red():
    drawn = trace_rows(NOISY, CLEAN, 0.9 * CLEAN, 180e6, count=3, titles=["a", "b", "c"])
    assert len(drawn.axes) == 3
    assert [line.get_color() for line in drawn.axes[0].lines] == [PALE, GREEN, RED]
    for line, traces in zip(drawn.axes[1].lines, (NOISY, CLEAN, 0.9 * CLEAN), strict=True):
        np.testing.assert_allclose(line.get_ydata(), traces[1, 0])
    assert drawn.get_supxlabel() == "time (µs)"


def test_a_trace_of_unknown_truth_is_shown_without_it():
    panel = trace_rows(NOISY, None, CLEAN, None).axes[0]
    assert [line.get_label() for line in panel.lines] == ["noisy", "recovered"]


def test_half_the_amplitude_lies_six_decibels_lower_at_the_lines_frequency():
    noisy, clean, recovered = trace_spectra(CLEAN, CLEAN / 2, NOISY, 180e6).axes[0].lines
    peak = np.argmax(clean.get_ydata())
    assert clean.get_xdata()[peak] == pytest.approx(45)
    assert clean.get_ydata()[peak] == pytest.approx(0)
    assert recovered.get_ydata()[peak] == pytest.approx(-6.02, abs=0.01)
    assert noisy.get_ydata()[0] > clean.get_ydata()[0]


def test_accuracy_has_one_curve_a_method_in_order_of_its_bins():
    curves = {"net": {"1_2": 0.4, "2_10": 0.9}, "argmax": {"1_2": 0.2, "2_10": 0.8}}
    panel = accuracy_by_snr(curves).axes[0]
    assert [line.get_label() for line in panel.lines] == ["net", "argmax"]
    assert list(panel.lines[1].get_ydata()) == [0.2, 0.8]
    assert [label.get_text() for label in panel.get_xticklabels()] == ["1–2", "2–10"]
    assert len({line.get_color() for line in panel.lines}) == 2


def test_spectra_of_noise_only_traces_are_drawn():
    assert trace_spectra(0 * CLEAN, 0 * CLEAN, NOISY, 180e6).axes


def test_the_mean_spectrum_leaves_empty_traces_out_and_examples_have_panels_of_their_own():
    clean = CLEAN.copy()
    clean[2:] = 0
    clean[1] *= 2
    drawn = trace_spectra(clean, clean / 2, NOISY, 180e6, {"weak one": 0, "strong one": 1})
    assert [panel.get_title("left") for panel in drawn.axes] == ["mean of 2", "weak one", "strong one"]
    for panel in drawn.axes:
        _, true, recovered = panel.lines
        assert true.get_ydata().max() == pytest.approx(0)
        assert recovered.get_ydata().max() == pytest.approx(-6.02, abs=0.01)
    weak, strong = (panel.lines[0].get_ydata().mean() for panel in drawn.axes[1:])
    assert weak == pytest.approx(strong + 6, abs=1)


def test_a_band_lies_around_what_was_recovered():
    panel = trace_rows(NOISY, None, CLEAN, None, count=1, band=(CLEAN - 0.5, CLEAN + 0.25)).axes[0]
    (area,) = panel.collections
    low, high = area.get_datalim(panel.transData).get_points()[:, 1]
    assert (low, high) == (pytest.approx(-1.5, abs=0.01), pytest.approx(1.25, abs=0.01))
    assert area.get_label() == "band"


def test_rates_of_detection_are_steps_on_a_logarithmic_scale_with_the_measures_rate_marked():
    curves = {"net": ([0, 0, 0.01, 1], [0, 0.5, 0.9, 1]), "argmax": ([0, 0.1, 1], [0, 0.4, 1])}
    panel = detection_roc(curves, marked=0.002).axes[0]
    *methods, mark = panel.lines
    assert [line.get_label() for line in methods] == ["net", "argmax"] and list(methods[0].get_ydata())[1] == 0.5
    assert panel.get_xscale() == "log" and list(mark.get_xdata()) == [0.002, 0.002]
    assert 0 < panel.get_xlim()[0] < 0.002 and panel.get_xlim()[1] == 1


def test_every_channel_of_a_trace_has_a_row_and_a_spectrum_of_its_own():
    noisy, clean = (np.concatenate([x, 2 * x, 0 * x], axis=1) for x in (NOISY, CLEAN))
    drawn = trace_rows(noisy, clean, clean, None, count=2, titles=["a", "b"], band=(clean - 1, clean + 1))
    assert [panel.get_ylabel() for panel in drawn.axes] == ["channel 1", "channel 2", "channel 3"] * 2
    assert [panel.get_title("left") for panel in drawn.axes] == ["a", "", "", "b", "", ""]
    for k, panel in enumerate(drawn.axes):
        np.testing.assert_allclose(panel.lines[1].get_ydata(), clean[k // 3, k % 3])
        assert len(panel.collections) == 1
    spectra = trace_spectra(clean[:, :2], clean[:, :2], noisy[:, :2], None, {"one": 1}).axes
    names = ["mean of 4, channel 1", "mean of 4, channel 2", "one, channel 1", "one, channel 2"]
    assert [panel.get_title("left") for panel in spectra] == names
    assert all(panel.lines[1].get_ydata().max() == pytest.approx(0) for panel in spectra)
