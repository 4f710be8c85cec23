import json

import numpy as np
import pytest
import torch

from vaelab.errors import UserError
from vaelab.objective.elbo import Terms
from vaelab.task.base import Output
from vaelab.task.likelihood import Likelihood


def measured(run, folder, **settings):
    Likelihood(**{"k": 10, "n": 6, **settings})(run, Output(folder))
    return json.loads((folder / "metrics.json").read_text())


def test_the_bound_has_its_curve_its_error_and_one_value_for_each_item(tiny, tmp_path):
    found = measured(tiny("digits"), tmp_path, k=7, chunk=3)
    bounds = np.load(tmp_path / "bounds.npy")
    assert bounds.shape == (6,) and found["likelihood/k"] == 7 and found["likelihood/items"] == 6
    assert found["likelihood/bound"] == pytest.approx(bounds.mean())
    assert found["likelihood/standard_error"] == pytest.approx(bounds.std(ddof=1) / 6**0.5)
    assert found["likelihood/bound_at_7"] == found["likelihood/bound"] and "likelihood/bound_at_5" in found
    assert (tmp_path / "k_curve.png").stat().st_size > 1000


def test_the_first_draw_has_the_elbo_as_its_mean_and_more_draws_rise_above_it(tiny, tmp_path):
    run = tiny("digits")
    found = measured(run, tmp_path, k=500, n=20)
    batch = run.data().batch("test", 20)
    with torch.inference_mode():
        posterior = run.variant.posterior(batch.x)
        draws = [
            run.variant.likelihood.log_prob(batch.target, run.variant.params(posterior.sample())) for _ in range(200)
        ]
        elbo = Terms(torch.stack(draws).mean(0), posterior.kl()).elbo().mean().item()
    assert found["likelihood/bound"] > elbo
    assert found["likelihood/bound_at_1"] == pytest.approx(elbo, abs=4 * found["likelihood/standard_error"])


def test_the_bound_of_a_linear_model_reaches_its_exact_log_likelihood_and_never_passes_it(tiny, tmp_path):
    """Probabilistic PCA (Tipping and Bishop 1999): x ~ N(b, W Wᵀ + sigma² 1), through the task as a user runs it."""
    run = tiny("digits", "likelihood=gaussian", "likelihood.sigma=0.5", "latent.dim=2")
    torch.manual_seed(0)
    linear = torch.nn.Linear(2, 64)
    torch.nn.init.normal_(linear.weight, std=0.15)
    run.variant.decoder = torch.nn.Sequential(linear, torch.nn.Unflatten(1, (1, 8, 8)))
    with torch.no_grad():
        covariance = linear.weight @ linear.weight.T + 0.25 * torch.eye(64)
        exact = torch.distributions.MultivariateNormal(linear.bias, covariance).log_prob(
            run.data().batch("test", 8).x.flatten(1)
        )
    found = measured(run, tmp_path, k=4001, chunk=300, n=8)
    bounds = torch.from_numpy(np.load(tmp_path / "bounds.npy"))
    assert torch.allclose(bounds.float(), exact, atol=0.25)
    assert found["likelihood/bound"] == pytest.approx(exact.mean().item(), abs=0.08)
    assert found["likelihood/bound_at_1"] < found["likelihood/bound_at_20"] - 0.1 < found["likelihood/bound_at_1000"]
    # With few draws the bound of one seed is noise around a mean that is well below.
    few = [measured(run, tmp_path, k=10, n=8, seed=seed)["likelihood/bound"] for seed in range(20)]
    assert np.mean(few) < exact.mean().item()


@pytest.mark.parametrize("setting", [{"k": 0}, {"chunk": 0}, {"n": 0}, {"k": -1}])
def test_counts_that_are_not_positive_are_refused_in_one_line_before_any_work(tmp_path, setting):
    (name,) = setting
    with pytest.raises(UserError, match=rf"^task.{name} must be at least 1, not -?\d+$"):
        Likelihood(**setting)(None, Output(tmp_path))


def test_a_code_without_a_density_is_refused_with_a_remedy(tiny, tmp_path):
    with pytest.raises(UserError, match="latent=gaussian"):
        measured(tiny("digits", "latent=point", "latent.dim=4"), tmp_path)


def test_some_items_are_drawn_from_all_of_the_split_and_their_numbers_written(tiny, tmp_path, fifths):
    run = tiny("digits", "dataset.split=[0.6,0.1,0.3]")
    measured(run, tmp_path, k=2, n=40)
    assert fifths(run.data(), "test") == (40, 5)
    some, numbers = (np.load(tmp_path / f"{name}.npy") for name in ("bounds", "items"))
    assert len(some) == len(numbers) == 40 and len(set(numbers.tolist())) == 40
    assert np.array_equal(run.data().batch("test", 40).item, run.data().index["test"][numbers])
