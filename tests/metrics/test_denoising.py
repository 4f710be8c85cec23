import math

import numpy as np
import pytest
import torch

from vaelab.metrics.denoising import WIDTHS, best_width, denoising_baselines, denoising_measures, local_wiener


def world(seed, n=64):
    rng = torch.Generator().manual_seed(seed)
    phase = 2 * torch.pi * torch.rand(n, 1, 1, generator=rng)
    clean = torch.sin(2 * torch.pi * 5 * torch.arange(256) / 256 + phase)
    return clean + 0.5 * torch.randn(clean.shape, generator=rng), clean


def test_perfect_recovery_and_no_recovery_stand_at_the_ends():
    noisy, clean = world(0)
    assert denoising_measures(noisy, clean, clean)["output_snr_db"] == pytest.approx(120)
    unchanged = denoising_measures(noisy, clean, noisy)
    assert unchanged["gain_db"] == 0 and unchanged["output_snr_db"] == pytest.approx(3, abs=0.2)
    assert denoising_measures(noisy, clean, 0 * clean)["output_snr_db"] == 0


def test_the_filter_that_knows_the_spectra_beats_the_local_one_and_that_none():
    found = denoising_baselines(*world(1), *world(2))
    wiener, local, noisy, zero = (
        found[f"baseline/{k}_output_snr_db"] for k in ("wiener", "local_wiener", "noisy", "zero")
    )
    assert wiener > local + 3 > local > noisy + 1 > noisy > zero == 0


def test_the_local_filter_leaves_a_constant_alone_and_treats_channels_apart():
    noisy, _ = world(3, n=4)
    both = torch.cat([noisy, torch.full_like(noisy, 2.0)], dim=1)
    filtered = local_wiener(both, 9)
    assert filtered.shape == both.shape and torch.allclose(filtered[:, :1], local_wiener(noisy, 9))
    assert np.allclose(filtered[:, 1, 10:-10], 2, atol=1e-6)
    assert not local_wiener(torch.zeros(2, 1, 50), 9).any()


def test_the_slower_the_signal_the_wider_the_local_filter():
    noise = torch.randn(20, 1, 256, generator=torch.Generator().manual_seed(4))
    slow, fast = (torch.sin(2 * torch.pi * f * torch.arange(256) / 256).expand(20, 1, -1) for f in (1, 20))
    widths = best_width(fast + 0.2 * noise, fast), best_width(slow + 0.2 * noise, slow)
    assert widths[0] < widths[1] and set(widths) <= set(WIDTHS)


@pytest.mark.parametrize("size", [1e-30, 1e-24, 1e25, 1e36])
def test_measures_and_baselines_are_the_same_at_any_scale(size):
    (noisy, clean), train = world(0), world(1)
    recovered = 0.9 * clean
    usual = denoising_measures(noisy, clean, recovered) | denoising_baselines(noisy, clean, *train)
    scaled = denoising_measures(noisy * size, clean * size, recovered * size)
    scaled |= denoising_baselines(noisy * size, clean * size, *(x * size for x in train))
    assert scaled == pytest.approx(usual, abs=1e-4)


def test_a_dead_signal_does_not_count():
    (noisy, clean), train = world(0), world(1)
    recovered = 0.9 * clean
    expected = denoising_measures(noisy[1:], clean[1:], recovered[1:])
    expected |= denoising_baselines(noisy[1:], clean[1:], train[0][1:], train[1][1:])
    for signals in (noisy, clean, recovered, *train):
        signals[0] = 0
    found = denoising_measures(noisy, clean, recovered) | denoising_baselines(noisy, clean, *train)
    assert found == pytest.approx(expected, abs=1e-6)
    dead = torch.zeros(3, 1, 64)
    assert denoising_measures(dead, dead, dead) == {}
    assert denoising_baselines(dead, dead, dead, dead) == {"baseline/zero_output_snr_db": 0.0}


def test_signals_without_noise_give_finite_baselines():
    constant = torch.ones(4, 1, 64)
    assert all(map(math.isfinite, denoising_baselines(constant, constant, constant, constant).values()))
