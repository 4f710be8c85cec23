import math

import pytest
import torch

from vaelab.errors import UserError
from vaelab.simulators.channel import antenna_correlation, cluster_profile, exponential_profile, simulate_channels


def antennas(channels):
    return torch.complex(channels.taps[:, 0::2], channels.taps[:, 1::2])


def correlation(first, second):
    """The complex correlation of two lists of taps over all their numbers."""
    return (first * second.conj()).mean() / (first.abs().square().mean() * second.abs().square().mean()).sqrt()


@pytest.mark.parametrize("profile", ["exponential", "cluster"])
def test_the_mean_power_of_every_tap_is_that_of_the_profile_whose_sum_is_one(profile):
    channels = simulate_channels(6_000, profile=profile, decay=200e-9, taps=32, seed=1)
    power = antennas(channels).abs().square().mean((0, 1))
    assert torch.allclose(channels.profile.sum(1), torch.ones(6_000), atol=1e-5)
    assert (power / channels.profile.mean(0)).log().abs().max() < 0.1
    assert power.sum().item() == pytest.approx(1, abs=0.02)


def test_an_exponential_profile_falls_by_a_factor_e_in_each_decay():
    power = exponential_profile(torch.arange(40) * 50e-9, torch.tensor([100e-9, 300e-9]))
    slope = power.log().diff(dim=1)
    assert torch.allclose(slope[0], torch.tensor(-0.5), atol=1e-3)
    assert torch.allclose(slope[1], torch.tensor(-1 / 6), atol=1e-3)


def test_clusters_set_in_at_random_after_the_first_and_rays_fall_faster_than_they():
    delay, decay = torch.arange(64) * 50e-9, torch.full((4_000,), 400e-9)
    power = cluster_profile(delay, decay, torch.Generator().manual_seed(0))
    slope = power.log().diff(dim=1)
    # Between arrivals all falls as the rays do; an arrival raises it.
    assert slope.min().item() == pytest.approx(-50 / (400 / 3), abs=1e-3)
    assert (slope[:, :8] > 0).any(1).double().mean() > 0.3 and (power[:, 0] > 0).all()
    # Poisson arrivals: none in the first tap's wake of 50 ns in exp(-50 / 400) of all channels.
    alone = (slope[:, 0] < slope.min() + 1e-3).double().mean()
    assert alone.item() == pytest.approx(math.exp(-50 / 400), abs=0.02)


def test_the_decay_and_the_angular_spread_are_log_uniform_over_their_ranges():
    channels = simulate_channels(6_000, decay=(100e-9, 400e-9), angular_spread=(2.0, 20.0), taps=16, seed=2)
    level = channels.angular_spread.log10()
    assert level.min() > 0.3 and level.max() < 1.31 and level.mean().item() == pytest.approx(0.801, abs=0.02)
    decay = -50e-9 / channels.profile.log().diff(dim=1)[:, 0]
    assert decay.min() > 99e-9 and decay.max() < 401e-9
    assert decay.log().mean().exp().item() == pytest.approx(200e-9, rel=0.03)


@pytest.mark.parametrize(("degrees", "spacing"), [(5.0, 0.5), (15.0, 0.5), (15.0, 1.0)])
def test_neighbouring_antennas_correlate_as_the_angular_spread_says(degrees, spacing):
    channels = simulate_channels(3_000, angular_spread=degrees, antennas=3, spacing=spacing, decay=500e-9, seed=3)
    left, middle, right = antennas(channels).unbind(1)
    sigma = math.radians(degrees)
    near, far = (math.exp(-0.5 * (2 * math.pi * d * sigma) ** 2) for d in (spacing, 2 * spacing))
    for first, second, expected in [(left, middle, near), (middle, right, near), (left, right, far)]:
        found = correlation(first, second)
        assert found.real.item() == pytest.approx(expected, abs=0.03) and abs(found.imag.item()) < 0.03


def test_the_correlation_of_each_channel_is_its_own():
    found = antenna_correlation(torch.tensor([0.01, 0.5]), antennas=2, spacing=0.5)
    assert found.shape == (2, 2, 2) and torch.equal(found[:, 0, 0], torch.ones(2))
    assert found[0, 0, 1] > 0.99 and found[1, 0, 1] < 0.5 and torch.equal(found, found.mT)


def test_taps_are_circular_gaussians_independent_of_one_another():
    taps = antennas(simulate_channels(8_000, decay=400e-9, taps=8, seed=4))[:, 0]
    assert abs(correlation(taps[:, 0], taps[:, 1])) < 0.03
    assert (taps[:, 0].square().mean() / taps[:, 0].abs().square().mean()).abs() < 0.04
    # Rayleigh fading: E|h|⁴ = 2 (E|h|²)².
    power = taps[:, 0].abs().square() / simulate_channels(8_000, decay=400e-9, taps=8, seed=4).profile[:, 0]
    assert power.square().mean().item() == pytest.approx(2, abs=0.15)


def test_a_direct_path_steadies_the_first_tap_and_no_other():
    channels = simulate_channels(6_000, decay=200e-9, k_factor_db=10.0, taps=8, seed=5)
    power = antennas(channels)[:, 0].abs().square() / channels.profile
    # With K of fixed amplitude and 1 of echoes, E|h|⁴ / (E|h|²)² = 2 − (K / (K + 1))².
    fourth = power.square().mean(0) / power.mean(0).square()
    assert fourth[0].item() == pytest.approx(2 - (10 / 11) ** 2, abs=0.03)
    assert fourth[1:].mean().item() == pytest.approx(2, abs=0.1)
    assert power.mean(0)[0].item() == pytest.approx(1, abs=0.02)
    assert antennas(channels)[:, 0, 0].mean().abs() < 0.02 and (channels.k_factor_db == 10).all()


def test_the_direct_paths_strength_is_uniform_in_decibels_and_without_one_it_is_none():
    found = simulate_channels(4_000, k_factor_db=(-5.0, 15.0), taps=4, seed=6).k_factor_db
    assert found.min() >= -5 and found.max() <= 15 and found.mean().item() == pytest.approx(5, abs=0.3)
    assert (simulate_channels(3, taps=4).k_factor_db == -math.inf).all()


@pytest.mark.parametrize("profile", ["exponential", "cluster"])
def test_the_seed_alone_decides_and_the_first_channels_do_not_depend_on_how_many(profile):
    few, many, other = (simulate_channels(n, profile=profile, seed=s) for n, s in ((10, 7), (1_500, 7), (10, 8)))
    assert all(torch.equal(a, b[:10]) for a, b in zip(few, many, strict=True))
    assert not torch.equal(few.taps, other.taps)


def test_shapes_follow_the_antennas_and_taps():
    assert simulate_channels(5, antennas=4, taps=20).taps.shape == (5, 8, 20)
    assert simulate_channels(5, antennas=1, taps=20).taps.dtype == torch.float32


def test_antennas_that_are_all_but_one_are_no_trouble():
    taps = antennas(simulate_channels(50, antennas=8, angular_spread=0.001, taps=8))
    assert taps.isfinite().all() and torch.allclose(taps[:, 0], taps[:, 7], atol=1e-3)


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ({"n": 0}, "n=0"),
        ({"profile": "flat"}, "exponential, cluster"),
        ({"decay": (3e-7, 1e-7)}, "decay=.*range must rise"),
        ({"angular_spread": 0.0}, "angular_spread=0.0"),
        ({"antennas": 0}, "antennas=0"),
        ({"spacing": 0.0}, "spacing=0.0"),
        ({"taps": 2}, "taps=2"),
        ({"sample_rate": 0.0}, "sample_rate=0"),
        ({"k_factor_db": (9.0, 3.0)}, "k_factor_db=.*range must rise"),
    ],
)
def test_a_setting_outside_its_range_is_named(setting, named):
    with pytest.raises(UserError, match=named):
        simulate_channels(**({"n": 4} | setting))
