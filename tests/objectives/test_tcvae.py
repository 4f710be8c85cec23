import pytest
import torch

from vaelab.errors import UserError
from vaelab.objectives.base import Drawn
from vaelab.objectives.beta_schedules import Pressure
from vaelab.objectives.decomposition import decompose
from vaelab.objectives.latents import Gaussian, GaussianPosterior, Point
from vaelab.objectives.tcvae import TotalCorrelation

LATENT = Gaussian(2)


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


def test_the_capacity_holds_the_weighted_sum():
    found = drawn()
    kl = TotalCorrelation()(found, Pressure(1.0)).item() - 10
    assert TotalCorrelation()(found, Pressure(2.0, capacity=50.0)).item() == pytest.approx(10 + 2 * abs(kl - 50))


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


def test_what_it_cannot_weigh_is_refused_in_one_line():
    with pytest.raises(UserError, match=r"^objective=tcvae weighs the code's density[^\n]+latent=gaussian$"):
        TotalCorrelation().check(Point(2), Pressure(1.0))
    with pytest.raises(UserError, match=r"^objective.total_correlation must not be negative, not -1"):
        TotalCorrelation(total_correlation=-1.0)
