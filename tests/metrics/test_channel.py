import math

import pytest
import torch

from vaelab.metrics.channel import (
    channel_measures,
    factor_r2,
    independent_taps,
    neighbour_correlation,
    path_measures,
    plain_estimates,
    power_profile,
    profile_error_db,
    rms_delay_spread,
)
from vaelab.simulators.channel import simulate_channels

RATE = 20e6


@pytest.fixture(scope="module")
def channels():
    return simulate_channels(3_000, seed=0)


def test_the_power_of_a_tap_is_that_of_both_its_parts_averaged_over_antennas():
    taps = torch.tensor([[3.0, 0.0], [4.0, 1.0], [1.0, 0.0], [0.0, 2.0]])
    assert power_profile(taps).tolist() == [(25 + 1) / 2, (1 + 4) / 2]


def test_two_equal_taps_have_half_their_distance_as_delay_spread():
    power = torch.zeros(2, 16)
    power[0, [3, 7]] = 5.0
    power[1, 4] = 1.0
    assert rms_delay_spread(power, RATE).tolist() == pytest.approx([2 / RATE, 0])


def test_the_delay_spread_of_an_exponential_is_its_decay():
    power = torch.exp(-torch.arange(400) / 20.0)
    assert rms_delay_spread(power, 1.0, floor_db=100).item() == pytest.approx(20, rel=0.001)


def test_taps_under_the_floor_do_not_count_however_late():
    power = torch.zeros(64)
    power[[0, 2]], power[63] = 1.0, 0.9e-3
    assert rms_delay_spread(power, 1.0).item() == pytest.approx(1)
    power[63] = 1.1e-3
    assert rms_delay_spread(power, 1.0).item() > 1.5


def test_the_delay_spread_of_nothing_is_nothing():
    assert rms_delay_spread(torch.zeros(3, 8), RATE).tolist() == [0, 0, 0]


def test_antennas_that_hear_the_same_up_to_a_phase_correlate_wholly_and_strangers_hardly():
    rng = torch.Generator().manual_seed(0)
    first = torch.randn(50, 400, dtype=torch.complex64, generator=rng)
    strange = torch.randn(50, 400, dtype=torch.complex64, generator=rng)
    for second, low, high in [(first * 2j, 0.999, 1.001), (strange, 0.0, 0.2)]:
        taps = torch.stack([first.real, first.imag, second.real, second.imag], 1)
        found = neighbour_correlation(taps)
        assert found.shape == (50,) and found.min() >= low and found.max() <= high


def test_the_correlation_of_silence_is_none():
    assert neighbour_correlation(torch.zeros(2, 4, 8)).tolist() == [0, 0]


def test_twice_the_amplitude_is_six_decibels_off_and_taps_under_the_floor_are_not_looked_at(channels):
    true = channels.taps
    assert profile_error_db(true, true).item() == 0
    assert profile_error_db(2 * true, true).item() == pytest.approx(20 * math.log10(2), abs=1e-4)
    late = true.clone()
    late[..., 63] *= 10
    assert profile_error_db(late, true).item() == 0 and profile_error_db(late, true, floor_db=80).item() > 1


def test_another_true_sample_is_near_in_every_measure_and_independent_taps_only_in_power(channels):
    again = simulate_channels(2_000, seed=1).taps
    near = channel_measures(again, channels.taps, RATE)
    far = channel_measures(independent_taps(channels.taps, 2_000), channels.taps, RATE)
    assert set(near) == {"delay_spread_ks", "antenna_correlation_ks", "profile_error_db"}
    assert near["delay_spread_ks"] < 0.06 and near["antenna_correlation_ks"] < 0.06
    assert far["delay_spread_ks"] > 0.4 and far["antenna_correlation_ks"] > 0.7
    assert max(near["profile_error_db"], far["profile_error_db"]) < 0.7


def test_one_antenna_has_no_correlation():
    taps = simulate_channels(40, antennas=1).taps
    assert "antenna_correlation_ks" not in channel_measures(taps, taps, RATE)
    assert set(plain_estimates(taps, RATE)) == {"delay_spread"}


def test_independent_taps_have_each_taps_own_power_and_the_seed_decides(channels):
    drawn = independent_taps(channels.taps, 4_000, seed=3)
    ratio = drawn.square().mean(0) / channels.taps.square().mean(0)
    assert drawn.shape == (4_000, 4, 64) and (ratio - 1).abs().max() < 0.15
    assert torch.equal(drawn, independent_taps(channels.taps, 4_000, seed=3))
    assert not torch.equal(drawn, independent_taps(channels.taps, 4_000, seed=4))


def widening(decays):
    """A path of channels without fading whose exponentials have these decays, in taps."""
    power = torch.exp(-torch.arange(64) / torch.tensor(decays)[:, None])
    return (power / power.sum(1, keepdim=True)).sqrt()[:, None].expand(-1, 4, -1)


def test_a_path_that_only_widens_is_monotone_and_keeps_its_power():
    found = path_measures(widening([1.0, 2.0, 4.0, 8.0])[None], RATE)
    assert found["path_tau"] == 1 and found["path_monotone"] == 1
    assert found["path_dip_db"] == pytest.approx(0, abs=1e-4)


def test_a_path_that_narrows_has_the_opposite_rank_correlation():
    assert path_measures(widening([8.0, 4.0, 2.0])[None], RATE)["path_tau"] == -1


def test_one_step_back_in_six_pairs_and_one_path_of_two():
    paths = torch.stack([widening([1.0, 4.0, 2.0, 8.0]), widening([1.0, 2.0, 4.0, 8.0])])
    found = path_measures(paths, RATE)
    assert found["path_tau"] == pytest.approx((4 / 6 + 1) / 2) and found["path_monotone"] == 0.5


def test_the_straight_line_between_two_fading_channels_loses_three_decibels_half_way(channels):
    ends = channels.taps[:1_000], channels.taps[1_000:2_000]
    line = torch.lerp(ends[0][:, None], ends[1][:, None], torch.linspace(0, 1, 5)[:, None, None])
    assert path_measures(line, RATE)["path_dip_db"] == pytest.approx(3, abs=0.25)


def test_a_code_that_is_the_factors_logarithm_tells_it_wholly_and_noise_tells_nothing():
    factor = torch.linspace(1, 9, 400).exp()
    code = factor.log()[:, None] * torch.tensor([[0.5, -2.0]]) + 1
    noise = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
    assert factor_r2(code[::2], factor[::2], code[1::2], factor[1::2]) == pytest.approx(1)
    assert factor_r2(noise[::2], factor[::2], noise[1::2], factor[1::2]) < 0.1


def test_plain_estimates_follow_their_factors(channels):
    found = plain_estimates(channels.taps, RATE)
    truth = {
        "delay_spread": rms_delay_spread(channels.profile, RATE).log(),
        "angular_spread": channels.angular_spread.log(),
    }
    for name, values in truth.items():
        assert torch.corrcoef(torch.stack([found[name][:, 0], values]))[0, 1] > 0.85
