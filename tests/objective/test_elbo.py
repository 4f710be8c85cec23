import math
from dataclasses import replace

import pytest
import torch
from torch.distributions import MultivariateNormal

from vaelab.beta_schedule.base import Pressure
from vaelab.errors import UserError
from vaelab.latent.gaussian import GaussianLatent, GaussianPosterior
from vaelab.likelihood.bernoulli import Bernoulli
from vaelab.likelihood.gaussian import Gaussian as GaussianLikelihood
from vaelab.likelihood.laplace import Laplace
from vaelab.objective.base import Drawn
from vaelab.objective.elbo import Elbo, Terms, active_units, bits_per_dim, with_free_bits

KL = torch.tensor([[0.0, 1.0], [0.2, 3.0]])
TERMS = Terms(torch.tensor([-10.0, -20.0]), KL)
SIGMA = 0.3


def negative_elbo(terms, pressure, free_bits=0.0):
    return Elbo(free_bits)(Drawn(terms.log_likelihood[None], terms.kl, None, None, None), pressure)


def linear_gaussian(seed=0):
    """x = Wz + b + sigma·noise whose W has orthogonal columns, so that the exact posterior is diagonal."""
    generator = torch.Generator().manual_seed(seed)
    directions, _ = torch.linalg.qr(torch.randn(5, 2, generator=generator))
    weight, bias = directions * torch.tensor([1.5, 0.4]), torch.randn(5, generator=generator)
    x = torch.randn(3, 5, generator=generator) + bias
    variance = 1 / (1 + weight.square().sum(0) / SIGMA**2)
    mean = variance * ((x - bias) @ weight) / SIGMA**2
    evidence = MultivariateNormal(bias, weight @ weight.T + SIGMA**2 * torch.eye(5)).log_prob(x)
    return weight, bias, x, GaussianPosterior(mean, variance.log().expand_as(mean)), evidence


def mean_elbo(posterior, draws=20_000):
    weight, bias, x, _, _ = linear_gaussian()
    torch.manual_seed(1)
    many = GaussianPosterior(posterior.mean.repeat(draws, 1), posterior.log_variance.repeat(draws, 1))
    params = many.sample() @ weight.T + bias
    terms = Terms(GaussianLikelihood(SIGMA).log_prob(x.repeat(draws, 1), params), many.kl())
    return terms.elbo().view(draws, -1).mean(0)


def test_the_elbo_of_the_exact_posterior_is_the_exact_log_likelihood():
    *_, posterior, evidence = linear_gaussian()
    assert torch.allclose(mean_elbo(posterior), evidence, atol=0.05)


@pytest.mark.parametrize(("shift", "widen"), [(0.3, 0.0), (-0.5, 0.0), (0.0, 0.7), (0.2, -1.0)])
def test_the_elbo_of_another_posterior_is_lower_by_its_kl_to_the_exact_one(shift, widen):
    *_, exact, evidence = linear_gaussian()
    other = GaussianPosterior(exact.mean + shift, exact.log_variance + widen)
    variance = exact.log_variance.exp()
    gap = 0.5 * (shift**2 / variance + math.exp(widen) - 1 - widen).sum(1)
    assert (gap > 0.05).all()
    assert torch.allclose(mean_elbo(other), evidence - gap, atol=0.05, rtol=0.02)


@pytest.mark.parametrize("likelihood", [GaussianLikelihood(0.5), Laplace(0.5), Bernoulli()])
def test_doubling_the_picture_doubles_the_log_likelihood_and_leaves_kl_and_beta_alone(likelihood):
    torch.manual_seed(0)
    x, params, code = torch.rand(4, 1, 6, 6), torch.randn(4, 1, 6, 6), torch.randn(4, 6)
    posterior = GaussianLatent(3).posterior(code)
    once = Terms(likelihood.log_prob(x, params), posterior.kl())
    twice = Terms(likelihood.log_prob(torch.cat([x, x], 3), torch.cat([params, params], 3)), posterior.kl())
    assert torch.allclose(twice.log_likelihood, 2 * once.log_likelihood)
    weight_of_kl = [float(negative_elbo(t, Pressure(3.0)) - negative_elbo(t, Pressure(2.0))) for t in (once, twice)]
    assert weight_of_kl == pytest.approx([float(posterior.kl().sum(1).mean())] * 2, abs=1e-3)


def test_the_negative_elbo_is_summed_over_dimensions_and_averaged_over_items():
    assert negative_elbo(TERMS, Pressure(1.0)).item() == pytest.approx(15 + (1 + 3.2) / 2)
    assert negative_elbo(TERMS, Pressure(4.0)).item() == pytest.approx(15 + 4 * 2.1)
    assert negative_elbo(TERMS, Pressure(0.0)).item() == pytest.approx(15)


def test_the_elbo_of_each_item_is_at_beta_one():
    assert TERMS.elbo().tolist() == pytest.approx([-11.0, -23.2])


def test_free_bits_hold_the_batch_mean_of_each_dimension_up():
    assert with_free_bits(KL, 0.5).item() == pytest.approx(0.5 + 2.0)
    assert negative_elbo(TERMS, Pressure(2.0), free_bits=0.5).item() == pytest.approx(15 + 2 * 2.5)


def test_several_draws_are_averaged():
    drawn = Drawn(torch.tensor([[-10.0, -20.0], [-14.0, -16.0]]), KL, None, None, None)
    assert Elbo()(drawn, Pressure(1.0)).item() == pytest.approx(15 + 2.1)
    drawn = replace(drawn, log_likelihood=drawn.log_likelihood - torch.tensor([[0.0], [6.0]]))
    assert Elbo()(drawn, Pressure(1.0)).item() == pytest.approx(18 + 2.1)


def test_negative_free_bits_are_refused_in_one_line():
    with pytest.raises(UserError, match=r"^objective.free_bits must not be negative or infinite, not -1.0$"):
        Elbo(-1.0)


def test_no_free_bits_pay_for_everything():
    assert negative_elbo(TERMS, Pressure(1.0), free_bits=0.0).item() == pytest.approx(15 + 2.1)


def test_a_dimension_below_its_free_bits_is_not_pushed_and_the_others_are():
    kl = KL.clone().requires_grad_()
    with_free_bits(kl, 0.5).backward()
    assert kl.grad.tolist() == [[0.0, 0.5], [0.0, 0.5]]


def test_active_units_are_the_dimensions_that_vary_over_items():
    torch.manual_seed(0)
    codes = torch.randn(2000, 3) * torch.tensor([1.0, 0.05, 0.2]) + torch.tensor([0.0, 9.0, -5.0])
    assert active_units(codes.var(0, correction=0)) == 2


def test_one_bit_per_dimension_is_log_2_nats_each_of_negative_elbo():
    assert bits_per_dim(-math.log(2) * 784, 784) == pytest.approx(1.0)
    assert bits_per_dim(math.log(2) * 784, 784) == pytest.approx(-1.0)
