import pytest
import torch

from vaelab.metrics.signal import explained_variance, rmse, signal_baselines, signal_measures


@pytest.fixture
def signals():
    phase = 6.28 * torch.rand(80, 1, 1, generator=torch.Generator().manual_seed(0))
    return torch.sin(torch.linspace(0, 12, 50) + phase)


def test_a_perfect_copy_explains_all_and_the_training_mean_nothing(signals):
    mean = signals.mean(0)
    assert float(explained_variance(signals, signals, mean)) == 1
    assert float(explained_variance(signals, mean.expand_as(signals), mean)) == 0


def test_a_quarter_of_the_squared_error_explains_three_quarters(signals):
    assert float(explained_variance(signals, 0.5 * signals, torch.zeros(1))) == pytest.approx(0.75)


def test_worse_than_the_mean_is_negative(signals):
    assert float(explained_variance(signals, -signals, torch.zeros(1))) == pytest.approx(-3)


def test_the_rmse_of_an_offset_is_the_offset(signals):
    assert float(rmse(signals, signals + 0.3)) == pytest.approx(0.3)


def test_waves_of_one_frequency_are_two_dimensional_for_pca(signals):
    measures = signal_measures(signals[60:], 0.9 * signals[60:], signals[:60])
    measures |= signal_baselines(signals[60:], signals[:60], components=2)
    assert set(measures) == {
        *("explained_variance", "rmse"),
        *("baseline/pca_explained_variance", "baseline/pca_rmse", "baseline/mean_rmse"),
    }
    assert measures["baseline/pca_explained_variance"] == pytest.approx(1, abs=1e-5)
    assert measures["baseline/mean_rmse"] > measures["rmse"] > measures["baseline/pca_rmse"]


@pytest.mark.parametrize("level", [0.0, 0.1, -3e7])
def test_of_signals_that_are_all_the_same_no_variance_is_explained_and_nothing_is_said_of_it(level):
    x = torch.full((40, 1, 50), level)
    measures = signal_measures(x[:20], x[:20] + 1, x[20:]) | signal_baselines(x[:20], x[20:], components=2)
    assert set(measures) == {"rmse", "baseline/pca_rmse", "baseline/mean_rmse"}
    assert measures["rmse"] == pytest.approx(1, abs=abs(level) * 1e-6)


def test_a_small_variance_on_a_large_level_is_explained(signals):
    x = 1 + 1e-3 * signals
    assert signal_measures(x[60:], x[60:], x[:60])["explained_variance"] == pytest.approx(1, abs=1e-3)
