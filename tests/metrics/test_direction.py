import math

import pytest
from entries import load, names

from vaelab.config import find_target
from vaelab.metrics.direction import aim, aim_in_words, miss

LESS = (
    *("val/error", "test/kl", "test/bits_per_dim", "test/total_correlation_at_least", "test/dimension_wise_kl_at_most"),
    *("test/prior_gap_at_most", "test/kl_of_dimension/3", "train/critic_loss", "fit_seconds", "sample/frechet"),
    *("sample/energy_distance", "sample/baseline/gaussian_energy_distance", "sample/reverse_kl", "signal/rmse"),
    *("sine/near_median", "sine/smoothed/near_p95", "sine/amplitude_error", "sine/kuiper", "sine/thd"),
    *("sine/gmm/frequency_error", "channel/delay_spread_ks", "channel/profile_error_db", "channel/path_dip_db"),
    *("audio/log_spectral_distance_db", "audio/spectral_convergence", "radio/timing_error_ns"),
    *("radio/energy_resolution", "trace/band_width"),
)
MORE = (
    *("val/objective", "test/elbo", "test/log_likelihood", "test/active_units", "test/mutual_information_at_least"),
    *("image/psnr_db", "image/ssim", "image/baseline/pca_psnr_db", "image/mig", "image/factor_vae_score"),
    *("signal/explained_variance", "sine/good", "sine/snr_db", "sine/min_bin", "channel/path_tau"),
    *("channel/path_monotone", "channel/delay_spread_r2", "radio/peak_accuracy", "radio/peak_accuracy/snr_1_2"),
    *("radio/gain_db", "radio/detection_tpr", "radio/spectral_agreement", "sample/density", "sample/coverage"),
    *("sample/modes", "steps_per_second", "sample/per_second", "sample/high_quality", "sample/classes_found"),
)


@pytest.mark.parametrize("name", LESS)
def test_of_errors_distances_and_costs_less_is_better(name):
    assert aim(name) == -math.inf and miss(name, 1.0) < miss(name, 2.0)
    assert aim_in_words(name) == "less is better"


@pytest.mark.parametrize("name", MORE)
def test_of_all_else_more_is_better(name):
    assert aim(name) == math.inf and miss(name, 2.0) < miss(name, 1.0)
    assert aim_in_words(name) == "more is better"


def test_a_bias_should_be_none_and_a_ratio_one():
    assert sorted([-0.5, 0.1, 2.0], key=lambda value: miss("radio/energy_bias", value)) == [0.1, -0.5, 2.0]
    assert sorted([0.2, 1.1, 1.5], key=lambda value: miss("sample/nearest_ratio", value)) == [1.1, 1.5, 0.2]
    assert aim_in_words("image/sharpness_ratio") == "1 is best"


@pytest.mark.parametrize("name", names("variant"))
def test_what_chooses_a_methods_best_weights_does_so_as_its_name_says(name):
    measure, mode = find_target(load("variant", name)).monitor
    assert mode == ("max" if aim(measure) == math.inf else "min")
