import math

import pytest
import torch

from vaelab.metrics.audio import (
    audio_baselines,
    audio_measures,
    griffin_lim_ceiling,
    log_spectral_distance_db,
    spectral_convergence,
)

TWICE_DB = 20 * math.log10(2)


def levels(items=6):
    return -50 * torch.rand(items, 1, 9, 7, generator=torch.Generator().manual_seed(0))


def test_twice_the_magnitude_is_a_distance_of_six_decibels():
    x = levels()
    assert float(log_spectral_distance_db(x + TWICE_DB, x)) == pytest.approx(6.0206, abs=1e-3)
    assert float(log_spectral_distance_db(x - TWICE_DB, x, range_db=80)) == pytest.approx(6.0206, abs=1e-3)


def test_a_louder_error_is_a_larger_distance():
    x = levels()
    distances = [float(log_spectral_distance_db(x + gain, x)) for gain in (0, 1, 3, 10)]
    assert distances == pytest.approx([0, 1, 3, 10], abs=1e-4)


def test_what_lies_below_the_range_is_not_heard():
    x = levels()
    x[:, :, 0, 0] = 0.0
    quiet, deeper = x.clone(), x.clone()
    quiet[:, :, 4], deeper[:, :, 4] = -61, -200
    assert float(log_spectral_distance_db(deeper, quiet)) == 0
    assert float(log_spectral_distance_db(deeper, quiet, range_db=80)) > 0


def test_each_item_has_the_floor_of_its_own_peak():
    x = levels()
    faint = x - torch.arange(6)[:, None, None, None] * 30
    louder = torch.full_like(x, 3.0)
    assert float(log_spectral_distance_db(faint + louder, faint)) == pytest.approx(3, abs=1e-4)


def test_frames_count_alike_whatever_their_level():
    reference = torch.zeros(1, 1, 4, 2)
    wrong_in_one_frame = reference + torch.tensor([0.0, 8.0])
    assert float(log_spectral_distance_db(wrong_in_one_frame, reference)) == pytest.approx(4)


def test_convergence_is_the_relative_error_of_each_item():
    reference = torch.rand(4, 1, 5, 5, generator=torch.Generator().manual_seed(0))
    gain = torch.tensor([1.0, 1.5, 0.5, 0.0])[:, None, None, None]
    assert float(spectral_convergence(gain * reference, reference)) == pytest.approx((0 + 0.5 + 0.5 + 1) / 4)


def test_convergence_of_silence_with_itself_is_zero():
    assert float(spectral_convergence(torch.zeros(2, 1, 3, 3), torch.zeros(2, 1, 3, 3))) == 0


def test_spectrograms_stand_beside_pca_and_the_mean():
    x = levels(40)
    measures = audio_measures(x[30:], x[30:]) | audio_baselines(x[30:], x[:30], components=29)
    names = ("log_spectral_distance_db", "spectral_convergence")
    assert set(measures) == {prefix + name for name in names for prefix in ("", "baseline/pca_", "baseline/mean_")}
    assert all(measures[name] == 0 for name in names)
    assert all(measures[f"baseline/{kind}_{name}"] > 0 for name in names for kind in ("pca", "mean"))


def test_pca_on_its_own_training_items_beats_the_mean():
    x = levels(20)
    measures = audio_baselines(x, x, components=10)
    for name in ("log_spectral_distance_db", "spectral_convergence"):
        assert measures[f"baseline/pca_{name}"] < measures[f"baseline/mean_{name}"]


def chirps(items=3, samples=2000):
    time = torch.linspace(0, 0.25, samples)
    start = torch.tensor([300.0, 500.0, 800.0, 900.0])[:items, None, None]
    return torch.sin(2 * torch.pi * (start + 2000 * time) * time)


def test_more_iterations_come_nearer_to_the_true_magnitudes():
    few, many = (griffin_lim_ceiling(chirps(), 256, 64, iterations=n) for n in (2, 60))
    assert set(few) == {"ceiling/log_spectral_distance_db", "ceiling/spectral_convergence"}
    assert all(0 < many[name] < few[name] for name in few)


def test_the_ceiling_is_taken_from_the_first_items_and_repeats_with_the_seed():
    few = griffin_lim_ceiling(chirps(2), 256, 64, iterations=4)
    assert griffin_lim_ceiling(chirps(3), 256, 64, iterations=4, count=2) == few


def test_a_sound_shorter_than_the_window_still_has_a_ceiling():
    ceiling = griffin_lim_ceiling(chirps(1, samples=100), 256, 64, iterations=4)
    assert all(math.isfinite(value) for value in ceiling.values())


def test_an_item_of_silence_is_in_no_mean_and_is_counted():
    x = levels()
    reconstruction = x + torch.linspace(-6, 6, 6)[:, None, None, None]
    loud = audio_measures(x, reconstruction)
    silent = torch.full_like(x[:2], -220.0)
    measures = audio_measures(torch.cat([x, silent]), torch.cat([reconstruction, silent + 180]))
    assert measures == loud | {"silent_items": 2}


def test_quiet_items_still_count():
    x = levels()
    x[0] -= 90
    assert audio_measures(x, x + 1)["log_spectral_distance_db"] == pytest.approx(1, abs=1e-4)
    assert "silent_items" not in audio_measures(x, x + 1)


def test_baselines_of_data_with_silence_keep_their_size():
    x = torch.cat([levels(40), torch.full((20, 1, 9, 7), -220.0)])[torch.arange(60).view(2, 30).T.flatten()]
    measures = audio_baselines(x[:30], x[30:], components=3)
    assert all(value < 100 for value in measures.values()) and not any("silent" in name for name in measures)


def test_measures_of_nothing_but_silence_are_numbers():
    silent = torch.full((3, 1, 9, 7), -220.0)
    assert all(value == 0 for value in audio_measures(silent, silent).values())
    assert griffin_lim_ceiling(torch.zeros(2, 1, 500), 64, 16, iterations=2) == {
        "ceiling/log_spectral_distance_db": 0,
        "ceiling/spectral_convergence": 0,
    }
