import math

import pytest
import torch

from vaelab.beta_schedule.base import Pressure
from vaelab.errors import UserError
from vaelab.latent.circle import CircleLatent
from vaelab.latent.gaussian import GaussianLatent
from vaelab.latent.point import PointLatent
from vaelab.likelihood.base import gaussian_log_density
from vaelab.objective.base import Drawn
from vaelab.objective.iwae import ImportanceWeighted

# z ~ N(0, 1) and x | z ~ N(2z, 0.25): log p(x) is known.
SLOPE, VARIANCE = 2.0, 0.25
X = torch.tensor([[1.3], [-0.4], [0.0]])
EVIDENCE = gaussian_log_density(X, torch.zeros(()), SLOPE**2 + VARIANCE)[:, 0]


def drawn(draws, latent=None, params=None, seed=0):
    latent = latent or GaussianLatent(1)
    torch.manual_seed(seed)
    posterior = latent.posterior(torch.tensor([[0.5, -1.0], [0.1, -0.5], [0.0, 0.2]]) if params is None else params)
    codes = posterior.sample(draws)
    log_likelihood = gaussian_log_density(X.repeat(draws, 1), SLOPE * codes[:, :1], VARIANCE).sum(1).view(draws, -1)
    return Drawn(log_likelihood, posterior.kl(), codes, posterior, latent)


def test_the_loss_is_that_of_the_formula_written_out_for_each_item():
    k, beta = 4, 0.7
    found = drawn(k)
    losses = []
    for item in range(3):
        weights = []
        for draw in range(k):
            code = found.codes[draw * 3 + item]
            mean, log_variance = found.posterior.mean[item], found.posterior.log_variance[item]
            prior = gaussian_log_density(code, torch.zeros(1), 1.0)
            q = gaussian_log_density(code, mean, log_variance.exp())
            weights.append(math.exp(float(found.log_likelihood[draw, item] + beta * (prior - q))))
        losses.append(-math.log(sum(weights) / k))
    assert ImportanceWeighted(k)(found, Pressure(beta)).item() == pytest.approx(sum(losses) / 3, rel=1e-5)


def test_more_draws_bring_the_bound_up_to_the_log_likelihood_and_never_over_it():
    bounds = [-ImportanceWeighted(k)(drawn(k), Pressure(1.0)).item() for k in (1, 10, 100, 50_000)]
    evidence = EVIDENCE.mean().item()
    means = [
        sum(-ImportanceWeighted(k)(drawn(k, seed=s), Pressure(1.0)).item() for s in range(300)) / 300 for k in (1, 10)
    ]
    assert means[0] < means[1] - 0.1 < evidence - 0.1
    assert bounds[-1] == pytest.approx(evidence, abs=0.01)


def test_one_draw_is_the_elbo_with_a_sampled_kl():
    losses = [ImportanceWeighted(1)(drawn(1, seed=s), Pressure(1.0)).item() for s in range(4000)]
    passes = [drawn(1, seed=s) for s in range(4000)]
    elbo = sum((d.log_likelihood.mean() - d.kl.sum(1).mean()).item() for d in passes) / 4000
    assert -sum(losses) / 4000 == pytest.approx(elbo, abs=0.05)


def test_training_on_it_finds_the_exact_posterior_of_a_linear_model():
    params = torch.zeros(3, 2, requires_grad=True)
    optimizer = torch.optim.Adam([params], lr=0.02)
    for step in range(600):
        optimizer.zero_grad()
        ImportanceWeighted(3)(drawn(3, params=params, seed=step), Pressure(1.0)).backward()
        optimizer.step()
    precision = 1 + SLOPE**2 / VARIANCE
    assert params[:, 0].tolist() == pytest.approx((SLOPE * X / VARIANCE / precision)[:, 0].tolist(), abs=0.1)
    # The spread comes slowly: near the optimum all draws weigh alike and say little about it.
    assert (params[:, 1].exp() < 0.2).all()


def test_phases_have_a_bound_too():
    params = torch.tensor([[1.0, 0.0, -0.5], [0.0, 1.0, 0.2], [-1.0, 0.1, 0.0]], requires_grad=True)
    loss = ImportanceWeighted(5)(drawn(5, CircleLatent(1), params), Pressure(1.0))
    loss.backward()
    assert loss.isfinite() and params.grad.isfinite().all()


@pytest.mark.parametrize(
    ("latent", "pressure", "words"),
    [
        (PointLatent(2), Pressure(1.0), "objective=iwae weighs the code's density, and latent=point has none"),
        (GaussianLatent(2), Pressure(10.0, 25.0), "objective=iwae has no KL to hold at a capacity"),
    ],
)
def test_what_it_cannot_weigh_is_refused_in_one_line(latent, pressure, words):
    with pytest.raises(UserError, match=f"^{words}[^\n]*$"):
        ImportanceWeighted().check(latent, pressure)
    ImportanceWeighted().check(GaussianLatent(2), Pressure(10.0))


def test_no_draws_are_refused_in_one_line():
    with pytest.raises(UserError, match=r"^objective.k must be at least 1, not 0$"):
        ImportanceWeighted(0)
