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
    filters = m.fit_filters(train.noisy, train.clean, RATE)
    found = m.radio_baselines(test.noisy, test.clean, test.snr, test.is_pulse, filters)
    return request.param, {k.removeprefix("baseline/"): v for k, v in found.items()}


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
    time = torch.arange(2_000) / RATE
    tones = torch.stack([torch.cos(2 * torch.pi * f * time) for f in (54e6, 9e6)])[:, None]
    inside, outside = m.envelope(tones, RATE)[..., 200:-200]
    assert torch.allclose(inside, torch.ones(()), atol=0.02) and outside.max() < 0.02


def test_the_envelope_does_not_delay(pulses):
    assert m.peak_hit(m.envelope(pulses.clean, RATE), pulses.clean, tolerance=0.01).all()


def test_the_gate_keeps_the_pulse_and_silences_what_is_far_from_it():
    train = simulate_traces(2_000, snr=6.0, noise="uniform", seed=9)
    filters = m.fit_filters(train.noisy, train.clean, RATE)
    gated = m.gated_wiener(train.noisy, filters.template, filters.signal, filters.noise, 24)
    distance = (torch.arange(500) - gated.abs().argmax(-1, keepdim=True)).abs()
    assert gated[distance > 2 * 24].abs().max() < 1e-9 < gated[distance <= 8].abs().max()
    plain = m.wiener(train.noisy, filters.signal, filters.noise)
    assert m.output_snr_db(gated, train.clean) > 3 + m.output_snr_db(plain, train.clean)


def test_the_gate_is_as_wide_as_suits_the_training_traces():
    train = simulate_traces(500, snr=5.0, noise="cosine", seed=9)
    filters = m.fit_filters(train.noisy, train.clean, RATE)
    bare = m.line_subtraction(train.noisy)
    scores = {
        w: m.output_snr_db(m.gated_wiener(bare, filters.template, filters.signal, filters.residue, w), train.clean)
        for w in m.GATES
    }
    assert filters.width == max(scores, key=scores.get) > 8


def test_line_subtraction_takes_lines_away_and_leaves_white_noise_alone():
    line = simulate_traces(200, noise="cosine", noise_only=1.0, seed=8).noisy
    assert m.line_subtraction(line).square().mean() < 1e-3 * line.square().mean()
    white = simulate_traces(200, noise="uniform", noise_only=1.0, seed=8).noisy
    assert m.line_subtraction(white).square().mean() > 0.99 * white.square().mean()
    assert not m.line_subtraction(torch.zeros(2, 1, 500)).any()


FILTERS = ("argmax_abs", "envelope", "wiener", "matched_filter", "line_matched_filter", "genie")


def test_every_baseline_is_far_above_chance_and_zero_scores_zero(baselines):
    _, scores = baselines
    assert all(0.4 < scores[f"{name}_peak_accuracy"] <= 1 for name in FILTERS)
    assert all(scores[f"{name}_detection_tpr"] > 0.1 for name in FILTERS[:-1])
    assert scores["zero_output_snr_db"] == 0 and scores["gated_wiener_output_snr_db"] > 1
    assert scores["gated_wiener_output_snr_db"] > 1 + scores["wiener_output_snr_db"]
    assert {"gated_wiener_detection_tpr", "gated_wiener_amplitude_accuracy"} <= set(scores)


def test_every_filter_is_measured_in_every_bin_that_the_net_is(baselines):
    _, scores = baselines
    traces = simulate_traces(2_000, seed=3)
    bins = {key for key in measures(traces, traces.noisy) if "/snr_" in key}
    assert len(bins) == 6 and {f"{name}_{key}" for name in FILTERS for key in bins} <= set(scores)
    for name in FILTERS:
        assert scores[f"{name}_peak_accuracy/snr_1_1.5"] < scores[f"{name}_peak_accuracy/snr_6_10"] + 0.01


def test_a_told_genie_detects_nothing(baselines):
    assert "genie_detection_tpr" not in baselines[1]


def test_the_baselines_stand_as_the_law_of_the_noise_says(baselines):
    noise, scores = baselines
    found = {name: scores[f"{name}_peak_accuracy"] for name in FILTERS}
    if noise == "radio":
        assert max(found, key=found.get) == "genie"
        assert found["matched_filter"] > found["argmax_abs"]
    elif noise == "uniform":
        assert found["argmax_abs"] > 0.9 > 0.75 > found["matched_filter"]
    else:
        assert found["line_matched_filter"] > 0.995 > found["argmax_abs"] > found["matched_filter"]


def test_baselines_without_a_pulse_to_find_are_left_out(pulses):
    nothing = simulate_traces(20, noise_only=1.0)
    filters = m.fit_filters(pulses.noisy, pulses.clean, RATE)
    assert m.radio_baselines(nothing.noisy, nothing.clean, nothing.snr, nothing.is_pulse, filters) == {}


def test_the_filters_learn_from_traces_with_a_pulse_alone():
    mixed = simulate_traces(400, noise_only=0.5, seed=10)
    only = mixed.is_pulse
    one, other = (m.fit_filters(mixed.noisy[k], mixed.clean[k], RATE) for k in (slice(None), only))
    assert torch.allclose(one.signal, other.signal) and torch.allclose(one.noise, other.noise)


def test_the_rates_rise_with_each_other_from_nothing_to_all_and_weak_pulses_do_not_count():
    score = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.25, 0.5, 0.05])
    is_pulse = torch.tensor([0, 0, 0, 0, 1, 1, 1], dtype=torch.bool)
    false, true = m.roc(score, is_pulse, torch.tensor([0.0, 0, 0, 0, 4, 5, 2]))
    assert list(zip(false, true, strict=True)) == [
        (0, 0),
        (0, 0.5),
        (0.25, 0.5),
        (0.5, 0.5),
        (0.5, 1),
        (0.75, 1),
        (1, 1),
    ]


def test_there_are_no_rates_without_a_noise_only_trace(pulses):
    assert not len(m.roc(torch.rand(200), pulses.is_pulse, pulses.snr)[0])


def test_examples_are_one_right_one_weak_and_one_wrong():
    clean = torch.zeros(6, 1, 100)
    clean[:5, 0, 50] = -1.0
    recovered = torch.zeros(6, 1, 100)
    for k, (place, height) in enumerate([(50, 0.9), (51, 0.99), (52, 0.45), (50, 0.1), (70, 0.6), (3, 5.0)]):
        recovered[k, 0, place] = height
    assert m.telling_examples(recovered, clean) == {
        "right: 1 samples off, 99% of the height": 1,
        "right place, weak: 2 samples off, 45% of the height": 2,
        "wrong: 20 samples off, 60% of the height": 4,
    }
    assert list(m.telling_examples(clean, clean)) == ["right: 0 samples off, 100% of the height"]
    assert m.telling_examples(clean[5:], clean[5:]) == {}


def test_the_gated_filters_peak_is_that_of_its_matched_filter():
    train, test = simulate_traces(500, seed=11), simulate_traces(500, seed=12)
    found = m.fit_filters(train.noisy, train.clean, RATE).traces(test.noisy, test.clean)
    hits = (m.peak_hit(found[name], test.clean) for name in ("gated_wiener", "line_matched_filter"))
    assert torch.equal(*hits)
