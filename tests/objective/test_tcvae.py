import math

import pytest
import torch

from vaelab.beta_schedule.base import Pressure
from vaelab.errors import UserError
from vaelab.latent.gaussian import GaussianLatent, GaussianPosterior
from vaelab.latent.point import PointLatent
from vaelab.objective.base import Drawn
from vaelab.objective.decomposition import decompose
from vaelab.objective.tcvae import TotalCorrelation

LATENT = GaussianLatent(2)


def drawn(mean=None, log_variance=-1.0):
    torch.manual_seed(0)
    mean = torch.randn(40, 2) if mean is None else mean
    posterior = GaussianPosterior(mean, torch.full_like(mean, log_variance))
    codes = posterior.sample()
    return Drawn(torch.full((1, len(mean)), -10.0), posterior.kl(), codes, posterior, LATENT)


def test_with_all_weights_at_one_it_is_the_elbo_with_a_sampled_kl():
    found = drawn()
    kl = found.posterior.log_density(found.codes) - LATENT.prior_log_density(found.codes)
    expected = 10 + 3 * kl.sum(1).mean().item()
    assert TotalCorrelation(1.0, 1.0, 1.0)(found, Pressure(3.0)).item() == pytest.approx(expected, rel=1e-5)


def test_each_weight_is_that_of_its_own_part():
    found = drawn()
    parts = decompose(found.posterior, LATENT, found.codes)
    for k, part in enumerate(parts):
        weights = [0.0, 0.0, 0.0]
        weights[k] = 2.0
        loss = TotalCorrelation(*weights)(found, Pressure(1.5)).item()
        assert loss == pytest.approx(10 + 3 * part.item(), rel=1e-5)


def test_its_gradient_pulls_correlated_dimensions_apart():
    torch.manual_seed(1)
    means = torch.randn(200, 1).expand(-1, 2).clone().requires_grad_()
    before = torch.corrcoef(means.detach().T)[0, 1]
    for _ in range(20):
        means.grad = None
        TotalCorrelation(0.0, 1.0, 0.0)(drawn(means), Pressure(1.0)).backward()
        with torch.no_grad():
            means -= 20 * means.grad
    assert before > 0.999 and torch.corrcoef(means.detach().T)[0, 1] < 0.9


def closed_form(mixing, variance):
    """The total correlation of codes whose means are `mixing` times standard normals, in nats."""
    covariance = mixing @ mixing.T + variance * torch.eye(len(mixing))
    return 0.5 * (covariance.diagonal().log().sum() - torch.logdet(covariance))


def mean_gradient(mixing, log_variance, n, batches):
    """Of the total correlation of batches of n items, by the mixing and the log variance; and its standard error."""
    rows = []
    for seed in range(batches):
        torch.manual_seed(seed)
        weight, log_v = mixing.clone().requires_grad_(), torch.tensor(log_variance, requires_grad=True)
        mean = torch.randn(n, len(mixing)) @ weight.T
        posterior = GaussianPosterior(mean, log_v.expand_as(mean))
        decompose(posterior, GaussianLatent(len(mixing)), posterior.sample()).total_correlation.backward()
        rows.append(torch.cat([weight.grad.flatten(), log_v.grad[None]]))
    found = torch.stack(rows)
    return found.mean(0), found.std(0) / batches**0.5


@pytest.mark.parametrize("mixing", [[[1.0, 0.0], [0.7, 0.5]], [[1.0, 0.0], [0.0, 0.8]]])
def test_the_gradient_is_that_of_the_closed_form_where_the_code_tells_less_than_the_batch_resolves(mixing):
    mixing, log_variance = torch.tensor(mixing), math.log(0.4)
    weight, log_v = mixing.clone().requires_grad_(), torch.tensor(log_variance, requires_grad=True)
    closed_form(weight, log_v.exp()).backward()
    exact = torch.cat([weight.grad.flatten(), log_v.grad[None]])
    # At most 1.6 nats of information, and the log of 256 is 5.5.
    found, error = mean_gradient(mixing, log_variance, n=256, batches=100)
    assert ((found - exact).abs() < 0.01 + 3 * error).all() and error.max() < 0.02


def test_beyond_what_the_batch_resolves_the_gradient_is_that_of_the_information():
    # 18.4 nats of information, and the log of 200 is 5.3: the dimensions are independent, and yet pushed.
    dims, variance = 16, 0.1
    found, _ = mean_gradient((1 - variance) ** 0.5 * torch.eye(dims), math.log(variance), n=200, batches=10)
    # Of ½ log(1 + share / variance) a dimension.
    information = -0.5 * dims * (1 - variance)
    assert found[-1].item() == pytest.approx(information, rel=0.15)


def test_what_it_cannot_weigh_is_refused_in_one_line():
    with pytest.raises(UserError, match=r"^objective=tcvae has no KL to hold at a capacity[^\n]+beta_schedule$"):
        TotalCorrelation().check(GaussianLatent(2), Pressure(10.0, 25.0))
    with pytest.raises(UserError, match=r"^objective=tcvae weighs the code's density[^\n]+latent=gaussian$"):
        TotalCorrelation().check(PointLatent(2), Pressure(1.0))
    for weight in (-1.0, math.inf, math.nan):
        with pytest.raises(
            UserError, match=rf"^objective.total_correlation must not be negative or infinite, not {weight}$"
        ):
            TotalCorrelation(total_correlation=weight)
