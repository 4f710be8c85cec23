import pytest
import torch

from vaelab.metrics import radio as m
from vaelab.simulators.radio import simulate_traces

RATE = 180e6


@pytest.fixture(scope="module")
def pulses():
    return simulate_traces(200, seed=1)


@pytest.fixture(scope="module", params=["radio", "uniform", "cosine"])
def baselines(request):
    train = simulate_traces(2_000, noise=request.param, noise_only=0.2, seed=2)
    test = simulate_traces(2_000, noise=request.param, noise_only=0.2, seed=3)
    args = (test.noisy, test.clean, train.noisy, train.clean, RATE, test.snr, test.is_pulse)
    return request.param, {k.removeprefix("baseline/"): v for k, v in m.radio_baselines(*args).items()}


def measures(traces, recovered):
    return m.radio_measures(traces.noisy, traces.clean, recovered, traces.snr, traces.is_pulse, RATE)


def test_a_peak_ten_samples_off_is_a_hit_and_eleven_a_miss(pulses):
    inner = pulses.clean[(pulses.position > 20) & (pulses.position < 480)]
    for shift in (0, 10, -10):
        assert m.peak_hit(inner.roll(shift, -1), inner).all()
    for shift in (11, -11):
        assert not m.peak_hit(inner.roll(shift, -1), inner).any()


def test_a_flat_recovered_trace_hits_nothing():
    clean = torch.zeros(1, 1, 500)
    clean[..., 3] = 1.0
    assert not m.peak_hit(torch.zeros(1, 1, 500), clean).any()
    assert not m.amplitude_hit(torch.zeros(1, 1, 500), clean).any()


def test_an_amplitude_is_right_within_two_percent_either_way(pulses):
    factor = torch.tensor([0.97, 0.985, 1.015, 1.03])
    hits = [m.amplitude_hit(k * pulses.clean, pulses.clean).double().mean().item() for k in factor]
    assert hits == [0, 1, 1, 0]


def test_the_zero_signal_scores_zero_decibels_and_a_tenth_of_error_twenty(pulses):
    assert m.output_snr_db(torch.zeros_like(pulses.clean), pulses.clean) == 0
    assert m.output_snr_db(0.9 * pulses.clean, pulses.clean) == pytest.approx(20, abs=1e-3)
    assert m.output_snr_db(-pulses.clean, pulses.clean) == pytest.approx(-6.02, abs=0.01)
    assert m.output_snr_db(pulses.clean, pulses.clean) == pytest.approx(120)


def test_the_gain_is_counted_from_the_noisy_trace(pulses):
    assert m.gain_db(pulses.noisy, pulses.noisy, pulses.clean) == 0
    zero = m.gain_db(pulses.noisy, torch.zeros_like(pulses.clean), pulses.clean)
    assert zero == pytest.approx(14.9, abs=0.7)


def test_energy_bias_is_signed_and_resolution_is_half_the_central_68_percent():
    clean = torch.ones(10_001, 1, 4)
    ratio = 0.9 + 0.1 * torch.randn(10_001, 1, 1, generator=torch.Generator().manual_seed(0))
    bias, resolution = m.energy_bias_and_resolution(ratio.clamp(min=0).sqrt() * clean, clean)
    assert bias == pytest.approx(-0.1, abs=0.005) and resolution == pytest.approx(0.1, abs=0.005)


def test_spectral_agreement_is_blind_to_scale_and_sees_the_wrong_band(pulses):
    assert m.spectral_agreement(0.3 * pulses.clean, pulses.clean) == pytest.approx(1, abs=1e-5)
    assert m.spectral_agreement(torch.ones_like(pulses.clean), pulses.clean) < 0.05
    assert m.spectral_agreement(torch.zeros_like(pulses.clean), pulses.clean) == 0


def test_the_timing_error_is_a_median_in_nanoseconds(pulses):
    shifted = pulses.clean.roll(9, -1)
    assert measures(pulses, shifted)["timing_error_ns"] == pytest.approx(50)


def test_detection_lets_two_in_a_thousand_noise_traces_pass():
    score = torch.cat([torch.arange(1_000.0), torch.tensor([997.5, 998.5, 2_000.0, 2_000.0])])
    is_pulse = torch.arange(1_004) >= 1_000
    snr = torch.cat([torch.zeros(1_000), torch.tensor([4.0, 5.0, 6.0, 2.0])])
    assert m.detection(score, is_pulse, snr) == pytest.approx(1.0)
    assert m.detection(score - 1.0 * is_pulse, is_pulse, snr) == pytest.approx(2 / 3)
    assert m.detection(score, is_pulse, snr, false_positive_rate=0.0) == pytest.approx(1 / 3)


def test_detection_is_left_out_where_it_cannot_be_measured(pulses):
    assert m.detection(torch.rand(200), pulses.is_pulse, pulses.snr) is None
    assert "detection_tpr" not in measures(pulses, pulses.clean)
    nothing = simulate_traces(20, noise_only=1.0)
    assert measures(nothing, nothing.noisy) == {}


def test_a_perfect_recovery_scores_best_in_everything():
    traces = simulate_traces(1_000, noise_only=0.3, seed=4)
    scores = measures(traces, traces.clean)
    assert scores["peak_accuracy"] == scores["amplitude_accuracy"] == scores["detection_tpr"] == 1
    assert scores["energy_bias"] == scores["energy_resolution"] == scores["timing_error_ns"] == 0


def test_accuracy_is_given_in_bins_of_the_ratio_and_empty_bins_are_left_out():
    fixed = measures(simulate_traces(50, snr=2.0), simulate_traces(50, snr=2.0).clean)
    assert [k for k in fixed if "/" in k] == ["peak_accuracy/snr_2_3"]
    top = measures(simulate_traces(50, snr=10.0), simulate_traces(50, snr=10.0).clean)
    assert [k for k in top if "/" in k] == ["peak_accuracy/snr_6_10"]
    traces = simulate_traces(2_000, seed=5)
    raw = measures(traces, traces.noisy)
    bins = [raw[f"peak_accuracy/snr_{k}"] for k in ("1_1.5", "1.5_2", "2_3", "3_4", "4_6", "6_10")]
    assert bins == sorted(bins) and bins[0] < 0.2 and bins[-1] > 0.95


def test_noise_only_traces_do_not_touch_the_peak_measures():
    traces = simulate_traces(500, noise_only=0.5, seed=6)
    only = traces.is_pulse
    mixed = measures(traces, traces.noisy)
    alone = m.radio_measures(*(x[only] for x in (traces.noisy, traces.clean, traces.noisy, traces.snr, only)), RATE)
    assert {k: v for k, v in mixed.items() if k != "detection_tpr"} == alone


def test_centred_pulses_peak_upwards_at_sample_zero(pulses):
    centred = m.centred(pulses.clean)
    assert not centred.abs().argmax(-1).any() and (centred[..., 0] > 0).all()
    assert torch.allclose(centred.square().sum(-1), pulses.clean.square().sum(-1))


def test_the_matched_filter_peaks_where_the_template_was_put():
    template = torch.tensor([1.0, -0.5, 0.2]).new_zeros(100)
    template[:3] = torch.tensor([1.0, -0.5, 0.2])
    noisy = -template.roll(37)[None, None]
    filtered = m.matched_filter(noisy, template, torch.ones(51))
    assert filtered.abs().argmax().item() == 37 and filtered[0, 0, 37] < 0


def test_the_wiener_filter_is_the_best_gain_of_each_frequency():
    train = simulate_traces(2_000, snr=4.0, seed=7)
    signal, noise = m.mean_power(train.clean), m.mean_power(train.noisy - train.clean)

    def error(gain):
        recovered = torch.fft.irfft(torch.fft.rfft(train.noisy) * gain, n=500)
        return (recovered - train.clean).square().mean()

    gain = signal / (signal + noise)
    assert torch.allclose(
        m.wiener(train.noisy, signal, noise), torch.fft.irfft(torch.fft.rfft(train.noisy) * gain, n=500)
    )
    assert error(gain) < min(error(0.8 * gain), error(1.25 * gain), error(torch.ones(251)))


def test_the_envelope_is_smooth_and_deaf_outside_its_band():
    time = torch.arange(500) / RATE
    tones = torch.stack([torch.cos(2 * torch.pi * f * time) for f in (54e6, 9e6)])[:, None]
    inside, outside = m.envelope(tones, RATE)
    assert torch.allclose(inside, torch.ones(()), atol=1e-3) and outside.max() < 1e-3


def test_line_subtraction_takes_lines_away_and_leaves_white_noise_alone():
    line = simulate_traces(200, noise="cosine", noise_only=1.0, seed=8).noisy
    assert m.line_subtraction(line).square().mean() < 1e-3 * line.square().mean()
    white = simulate_traces(200, noise="uniform", noise_only=1.0, seed=8).noisy
    assert m.line_subtraction(white).square().mean() > 0.99 * white.square().mean()
    assert not m.line_subtraction(torch.zeros(2, 1, 500)).any()


def test_every_baseline_is_far_above_chance_and_zero_scores_zero(baselines):
    _, scores = baselines
    filters = ("argmax_abs", "envelope", "wiener", "matched_filter", "line_subtraction", "genie")
    assert all(0.4 < scores[name] <= 1 for name in filters)
    assert scores["zero_output_snr_db"] == 0 and "wiener_output_snr_db" in scores
    assert scores["argmax_abs_detection_tpr"] > 0.1 and scores["matched_filter_detection_tpr"] > 0.1


def test_the_baselines_stand_as_the_law_of_the_noise_says(baselines):
    noise, scores = baselines
    if noise == "radio":
        assert scores["genie"] > max(v for k, v in scores.items() if k != "genie" and "_tpr" not in k)
        assert scores["matched_filter"] > scores["argmax_abs"]
    elif noise == "uniform":
        assert scores["argmax_abs"] > 0.9 > 0.75 > scores["matched_filter"]
    else:
        assert scores["line_subtraction"] > 0.995 > scores["argmax_abs"] > scores["matched_filter"]


def test_baselines_without_a_pulse_to_find_are_left_out():
    nothing = simulate_traces(20, noise_only=1.0)
    assert (
        m.radio_baselines(
            nothing.noisy, nothing.clean, nothing.noisy, nothing.clean, RATE, nothing.snr, nothing.is_pulse
        )
        == {}
    )
