from math import isfinite, pi

import pytest
import torch

from vaelab.errors import UserError
from vaelab.metrics.sine import check_measurable, kuiper, min_bin, phase_of, sine_measures, smooth
from vaelab.simulators.sine import sine_waves

PHASE = (torch.arange(2_000) + 0.5) / 2_000 * 2 * pi - pi


def waves(amplitude=1.0, phase=PHASE, cycles=3.0):
    return sine_waves(phase, samples=128, cycles=cycles, amplitude=amplitude)


def noise(level, seed=0):
    return level * torch.randn(2_000, 1, 128, generator=torch.Generator().manual_seed(seed))


def test_true_sines_score_best_in_everything():
    measures = sine_measures(waves(), 3.0)
    assert measures["near_p95"] < 1e-5 and measures["amplitude_error"] < 1e-5
    assert measures["good"] == 1 and measures["snr_db"] > 100 and measures["thd"] < 1e-4
    assert measures["frequency_error"] < 1e-3 and measures["kuiper"] < 0.002
    assert measures["min_bin"] == pytest.approx(1, abs=0.03)


def test_amplitude_96_hundredths_is_an_error_of_4_hundredths():
    measures = sine_measures(waves(0.96), 3.0)
    assert measures["amplitude_error"] == pytest.approx(0.04, abs=1e-5)
    assert measures["near_median"] == pytest.approx(0.04 / 2**0.5, rel=1e-4)


@pytest.mark.parametrize("level", [0.0, 0.5])
def test_a_dead_decoder_scores_finite_and_bad(level):
    measures = sine_measures(torch.full((50, 128), level), 3.0)
    assert all(isfinite(value) for value in measures.values())
    assert measures["good"] == 0 and measures["amplitude_error"] == pytest.approx(1)
    assert measures["snr_db"] <= 0 and measures["thd"] == pytest.approx(1)
    assert measures["frequency_error"] == pytest.approx(1)
    assert measures["kuiper"] > 0.9 and measures["min_bin"] == 0


def test_a_collapsed_decoder_is_betrayed_by_its_amplitude_alone():
    measures = sine_measures(waves(0.01), 3.0)
    assert measures["snr_db"] > 60 and measures["thd"] < 1e-3
    assert measures["amplitude_error"] == pytest.approx(0.99) and measures["good"] == 0


def test_noise_of_one_hundredth_is_37_decibels_below_a_unit_sine():
    measures = sine_measures(waves() + noise(0.01), 3.0)
    assert measures["snr_db"] == pytest.approx(37, abs=0.3)
    assert measures["near_median"] == pytest.approx(0.01, rel=0.05)


def grid_distance(wave, cycles, phases=20_000):
    """The least root mean square distance from a unit sine, by trying very many phases."""
    phase = torch.linspace(-pi, pi, phases, dtype=torch.float64)
    tried = sine_waves(phase, samples=wave.shape[-1], cycles=cycles)[:, 0]
    return torch.cdist(wave.double(), tried).min(1).values / wave.shape[-1] ** 0.5


@pytest.mark.parametrize(
    ("samples", "cycles"),
    [
        (128, 0.3),
        (128, 0.05),
        (128, 0.5),
        (128, 1.25),
        (128, 3.0),
        (128, 3.3),
        (128, 63.9),
        (8, 1.0),
        (8, 3.9),
        (3, 1.4),
    ],
)
def test_near_is_the_distance_to_the_nearest_of_all_phases_at_any_number_of_cycles(samples, cycles):
    torch.manual_seed(0)
    true = sine_waves(PHASE[::20], samples=samples, cycles=cycles)[:, 0]
    for wave in (0.75 * true, true + 0.3 * torch.randn_like(true), torch.randn_like(true), 1 + 0 * true):
        expected = grid_distance(wave, cycles)
        found = sine_measures(wave, cycles)
        assert found["near_median"] == pytest.approx(expected.median().item(), rel=0.05, abs=1e-3)
        each = torch.tensor([sine_measures(one[None], cycles)["near_median"] for one in wave[:10]])
        assert torch.allclose(each.double(), expected[:10], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("samples", "cycles"),
    [(128, 0.05), (128, 0.3), (128, 1.0), (128, 2.4), (128, 60.3), (128, 63.9), (8, 1.0), (8, 3.9), (5, 2.0), (3, 1.0)],
)
def test_true_sines_score_best_at_any_number_of_cycles_and_length(samples, cycles):
    found = sine_measures(sine_waves(PHASE.double(), samples=samples, cycles=cycles), cycles)
    assert found["near_p95"] < 1e-6 and found["amplitude_error"] < 1e-6 and found["good"] == 1
    assert found["snr_db"] > 100 and found["kuiper"] < 0.002
    assert found.get("thd", 0) < 1e-4 and found.get("frequency_error", 0) < 0.005
    assert all(isfinite(value) for value in sine_measures(torch.zeros(5, samples), cycles).values())


def test_what_a_length_cannot_tell_is_left_out():
    lacks = {(128, 3.0): set(), (128, 0.3): {"thd", "frequency_error"}, (128, 1.0): {"frequency_error"}}
    lacks |= {(128, 50.0): {"thd"}, (8, 3.9): {"thd", "frequency_error"}}
    whole = set(sine_measures(waves(), 3.0))
    for (samples, cycles), names in lacks.items():
        found = sine_measures(sine_waves(PHASE, samples=samples, cycles=cycles), cycles)
        assert set(found) == whole - names, (samples, cycles)


def test_waves_that_no_measure_fits_are_refused_in_one_line():
    for samples, cycles, words in ((2, 0.5, "at least 3 samples"), (8, 3.9999, "dataset.cycles"), (128, 1e-6, "phase")):
        with pytest.raises(UserError, match=rf"^variant=sine cannot measure [^\n]+{words}[^\n]*$"):
            check_measurable(samples, cycles)
    for samples, cycles in ((3, 1.0), (128, 3.0), (8, 3.9), (128, 0.05)):
        check_measurable(samples, cycles)


@pytest.mark.parametrize("samples", range(1, 12))
def test_smoothing_takes_waves_of_any_length_and_keeps_a_straight_line(samples):
    line = torch.linspace(0, 1, samples).expand(2, 1, samples)
    smoothed = smooth(line)
    assert smoothed.shape == line.shape and torch.allclose(smoothed, line, atol=1e-6)


def test_distortion_is_the_ratio_of_the_harmonics_amplitude():
    third = sine_waves(PHASE, samples=128, cycles=9.0, amplitude=0.1)
    second = sine_waves(PHASE, samples=128, cycles=6.0, amplitude=0.05)
    expected = (0.1**2 + 0.05**2) ** 0.5
    assert sine_measures(waves() + third + second, 3.0)["thd"] == pytest.approx(expected, rel=1e-3)


def test_a_frequency_one_tenth_too_high_is_an_error_of_one_tenth():
    assert sine_measures(waves(cycles=3.3), 3.0)["frequency_error"] == pytest.approx(0.1, abs=2e-3)


def test_the_phase_of_a_wave_is_the_one_it_was_made_with_at_any_amplitude():
    assert torch.allclose(phase_of(waves(0.7), 3.0), PHASE, atol=1e-4)
    assert torch.allclose(phase_of(waves(cycles=2.6).flatten(1), 2.6), PHASE, atol=1e-4)


def test_kuiper_is_small_for_uniform_phases_large_for_clustered_ones_and_blind_to_the_cut():
    generator = torch.Generator().manual_seed(1)
    draws = (torch.rand(100, 2_000, generator=generator) * 2 - 1) * pi
    scores = torch.tensor([kuiper(phase) for phase in draws])
    assert scores.mean().item() == pytest.approx((pi / 4_000) ** 0.5, abs=0.002)
    assert scores.quantile(0.95).item() == pytest.approx(0.039, abs=0.003)
    clustered = draws[0] / 4
    assert kuiper(clustered) > 0.7
    turned = torch.remainder(draws[0] + 1.0 + pi, 2 * pi) - pi
    assert kuiper(turned) == pytest.approx(kuiper(draws[0]), abs=2e-3)


def test_the_emptiest_bin_is_one_for_even_phases_and_zero_where_a_bin_is_missed():
    assert min_bin(PHASE, bins=40) == pytest.approx(1)
    assert min_bin(PHASE[:1_900]) == 0


def test_smoothing_costs_a_clean_sine_far_less_than_a_moving_average_and_keeps_its_phase():
    smoothed = smooth(waves())
    assert smoothed.shape == (2_000, 1, 128) and smoothed.dtype == torch.float32
    assert sine_measures(smoothed, 3.0)["amplitude_error"] < 0.001
    assert (smoothed - waves()).abs().max() < 0.001
    assert torch.allclose(phase_of(smoothed, 3.0), PHASE, atol=1e-3)


def test_smoothing_lifts_a_noisy_sine_and_hurts_a_clean_one():
    noisy = waves() + noise(0.05)
    assert sine_measures(smooth(noisy), 3.0)["snr_db"] > sine_measures(noisy, 3.0)["snr_db"] + 5
    assert sine_measures(smooth(waves()), 3.0)["near_median"] > sine_measures(waves(), 3.0)["near_median"]
