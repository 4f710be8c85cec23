import pytest
import torch

from vaelab.metrics import band as m

N, TIME = 400, 200


def world(seed, n=N, doubt=1.0):
    """Pulses recovered with errors of a known spread, large at the peak; a model says `doubt` times as much."""
    rng = torch.Generator().manual_seed(seed)
    at = torch.randint(40, 160, (n, 1, 1), generator=rng)
    distance = (torch.arange(TIME) - at).abs()
    clean = torch.exp(-((distance / 4.0) ** 2)) * (0.2 + 0.8 * torch.rand(n, 1, 1, generator=rng))
    spread = 0.01 + 0.2 * torch.exp(-((distance / 10.0) ** 2))
    recovered = clean + spread * torch.randn(n, 1, TIME, generator=rng)
    return clean, recovered, doubt * spread


@pytest.mark.parametrize("doubt", [0.3, 1.0, 4.0])
def test_a_band_holds_nine_tenths_of_new_samples_whatever_the_model_believes(doubt):
    clean, recovered, spread = world(0, doubt=doubt)
    calibration = m.calibrate(clean, recovered, spread, torch.rand(N))
    clean, recovered, spread = world(1, doubt=doubt)
    ends = m.band(recovered, spread, calibration)
    found = m.band_measures(clean, recovered, *ends)
    assert found["band_coverage"] == pytest.approx(0.9, abs=0.01)
    assert found["band_coverage_recovered"] == pytest.approx(0.9, abs=0.015)
    assert torch.allclose((ends[0] + ends[1]) / 2, recovered, atol=1e-6)


def test_a_band_is_wide_where_the_draws_differ_and_a_constant_one_misses_the_pulse():
    known, held, spread = world(2)
    calibration = m.calibrate(known, held, spread, torch.rand(N))
    clean, recovered, spread = world(3)
    local = m.band_measures(clean, recovered, *m.band(recovered, spread, calibration))
    constant = m.band_measures(clean, recovered, *m.constant_band(recovered, calibration))
    assert constant["band_coverage"] == pytest.approx(0.9, abs=0.01)
    assert constant["band_coverage_pulse"] < 0.75 < 0.87 < local["band_coverage_pulse"]
    assert constant["band_width"] == pytest.approx(constant["band_width_pulse"])
    assert local["band_width_pulse"] > 2 * local["band_width"]


def test_near_the_peak_and_elsewhere_each_have_a_factor_of_their_own():
    clean = torch.zeros(50, 1, TIME)
    clean[..., 100] = 1
    miss = torch.where((torch.arange(TIME) - 100).abs() <= m.REACH, 0.3, 0.01)
    calibration = m.calibrate(clean, clean + miss, torch.full_like(clean, 0.1 - m.FLOOR), torch.rand(50))
    assert calibration.near == pytest.approx(3, rel=1e-4) and calibration.far == pytest.approx(0.1, rel=1e-4)


def test_the_factor_is_the_conformal_quantile_and_infinite_for_too_few():
    assert m.conformal_factor(torch.arange(1.0, 20.0).flip(0)) == 18
    assert m.conformal_factor(torch.arange(1.0, 10.0)) == 9
    assert m.conformal_factor(torch.arange(1.0, 9.0)) == torch.inf


def test_what_is_near_a_peak_is_counted_over_all_channels_and_stops_at_the_ends():
    traces = torch.zeros(2, 2, 100)
    traces[0, 1, 50], traces[1, 0, 5] = -2.0, 1.0
    near = m.near_peak(traces)
    assert near.sum(-1).tolist() == [[61, 61], [36, 36]] and near[0, 0, 20] and not near[0, 0, 19]


def test_draws_agree_by_their_share_near_the_peak_times_its_height():
    recovered = torch.zeros(2, 1, 100)
    recovered[0, 0, 30], recovered[1, 0, 60] = -0.5, 0.8
    draws = recovered.repeat(4, 1, 1, 1)
    draws[0, 1] = draws[0, 1].roll(2, -1)
    draws[1, 1] = draws[1, 1].roll(3, -1)
    assert torch.allclose(m.agreement(draws, recovered), torch.tensor([0.5, 0.6]))


def test_certainty_is_the_share_that_was_found_and_rises_with_the_score():
    rng = torch.Generator().manual_seed(4)
    score, unseen = torch.rand(4_000, generator=rng), torch.rand(4_000, generator=rng)
    right, also = (torch.rand(4_000, generator=rng) < s**2 for s in (score, unseen))
    clean = torch.zeros(4_000, 1, 60)
    clean[..., 10] = 1
    recovered = torch.where(right[:, None, None], clean, clean.roll(30, -1))
    calibration = m.calibrate(clean, recovered, torch.ones_like(clean), score)
    sure = m.certainty(unseen, calibration)
    assert ((sure >= 0) & (sure <= 1)).all() and (sure[unseen.argsort()].diff() >= -1e-6).all()
    for low in (0.0, 0.25, 0.5, 0.75):
        inside = (sure >= low) & (sure < low + 0.25)
        assert also[inside].double().mean().item() == pytest.approx(sure[inside].double().mean().item(), abs=0.05)
    ends = m.certainty(torch.tensor([-1.0, 9.0]), calibration)
    assert ends.tolist() == [calibration.shares[0].item(), calibration.shares[-1].item()]


def test_certainty_where_every_peak_is_found_is_one():
    clean, _, spread = world(5, n=20)
    calibration = m.calibrate(clean, clean, spread, torch.full((20,), 0.5))
    assert m.certainty(torch.rand(7), calibration).tolist() == [1.0] * 7


def test_traces_without_a_pulse_do_not_count_for_the_true_pulse():
    silent = torch.zeros(3, 1, TIME)
    recovered = silent + 0.1
    measures = m.band_measures(silent, recovered, recovered - 0.05, recovered + 0.05)
    assert set(measures) == {"band_coverage", "band_width", "band_coverage_recovered", "band_width_recovered"}
    assert measures["band_coverage"] == 0 and measures["band_width"] == pytest.approx(0.1)


def test_the_certain_half_is_that_of_the_higher_score_among_traces_with_a_pulse():
    clean = torch.zeros(5, 1, 100)
    clean[:4, 0, 20] = 1
    recovered = clean.roll(30, -1)
    recovered[:2] = clean[:2]
    score = torch.tensor([0.9, 0.8, 0.2, 0.1, 1.0])
    assert m.certain_half(recovered, clean, score) == {"peak_accuracy_certain_half": 1.0}
    assert m.certain_half(recovered, clean, -score) == {"peak_accuracy_certain_half": 0.0}
    assert m.certain_half(recovered[1:4], clean[1:4], score[1:4]) == {"peak_accuracy_certain_half": 0.5}
    assert m.certain_half(recovered[4:], clean[4:], score[4:]) == {}
