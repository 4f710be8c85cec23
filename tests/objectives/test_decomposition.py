import math

import pytest
import torch

from vaelab.objectives import decomposition
from vaelab.objectives.decomposition import decompose
from vaelab.objectives.latents import Circle, Gaussian, GaussianPosterior


def normal(mean, variance):
    return GaussianPosterior(mean, torch.as_tensor(variance).log().expand_as(mean))


def parts(posterior, latent, seed=0):
    torch.manual_seed(seed)
    return [float(part) for part in decompose(posterior, latent, posterior.sample())]


def test_a_code_that_follows_the_prior_whatever_the_item_says_nothing_and_has_no_gap():
    assert parts(normal(torch.zeros(500, 3), 1.0), Gaussian(3)) == pytest.approx([0, 0, 0], abs=1e-5)


def test_codes_of_two_kinds_of_items_tell_one_bit():
    mean = torch.tensor([[-5.0], [5.0]]).repeat(100, 1)
    assert parts(normal(mean, 1.0), Gaussian(1))[0] == pytest.approx(math.log(2), abs=0.01)


def test_codes_of_n_distinct_items_tell_log_n_and_no_more():
    mean = 100.0 * torch.arange(64.0)[:, None]
    assert parts(normal(mean, 1.0), Gaussian(1))[0] == pytest.approx(math.log(64), abs=1e-3)


def test_the_parts_of_a_correlated_normal_are_those_of_its_closed_form():
    torch.manual_seed(3)
    rho, noise = 0.5, 0.4
    # Means and noise add up to unit variance in each of two dimensions whose means correlate.
    means = torch.distributions.MultivariateNormal(
        torch.zeros(2), torch.tensor([[1 - noise, rho], [rho, 1 - noise]])
    ).sample((3000,))
    found = parts(normal(means, noise), Gaussian(2))
    whole = torch.tensor([[1.0, rho], [rho, 1.0]])
    information = 0.5 * math.log(float(torch.det(whole)) / noise**2)
    assert found[0] == pytest.approx(information, abs=0.04)
    assert found[1] == pytest.approx(-0.5 * math.log(1 - rho**2), abs=0.04)
    assert found[2] == pytest.approx(0, abs=0.02)


def test_a_shifted_dimension_shows_in_its_own_kl_alone():
    found = parts(normal(torch.tensor([[2.0, 0.0]]).repeat(800, 1), 1.0), Gaussian(2))
    assert found[:2] == pytest.approx([0, 0], abs=1e-5) and found[2] == pytest.approx(2.0, abs=0.2)


def test_the_parts_add_up_to_the_sampled_kl():
    torch.manual_seed(0)
    posterior, latent = normal(torch.randn(50, 4), 0.3), Gaussian(4)
    codes = posterior.sample()
    kl = (posterior.log_density(codes) - latent.prior_log_density(codes)).sum(1).mean()
    assert sum(decompose(posterior, latent, codes)).item() == pytest.approx(kl.item(), rel=1e-5)


def test_it_is_the_same_whatever_is_held_at_once_and_in_whatever_order(monkeypatch):
    torch.manual_seed(0)
    posterior = normal(torch.randn(30, 3), 0.2)
    codes, order = posterior.sample(), torch.randperm(30)
    whole = torch.stack(decompose(posterior, Gaussian(3), codes))
    shuffled = GaussianPosterior(posterior.mean[order], posterior.log_variance[order])
    assert torch.allclose(torch.stack(decompose(shuffled, Gaussian(3), codes[order])), whole, atol=1e-5)
    monkeypatch.setattr(decomposition, "PAIRS", 7 * 30 * 3)
    assert torch.allclose(torch.stack(decompose(posterior, Gaussian(3), codes)), whole, atol=1e-5)


def test_phases_spread_evenly_leave_no_gap_and_phases_all_alike_do():
    angle = torch.linspace(0, 2 * math.pi, 401)[:-1, None]
    even = torch.cat([angle.cos(), angle.sin(), torch.full_like(angle, math.log(0.1))], 1)
    same = even[:1].expand(400, -1)
    information, total, gap = parts(Circle(1).posterior(even), Circle(1))
    assert information == pytest.approx(math.log(2 * math.pi) - 0.5 * math.log(2 * math.pi * math.e * 0.01), abs=0.05)
    assert total == pytest.approx(0, abs=1e-5) and gap == pytest.approx(0, abs=0.01)
    information, _, gap = parts(Circle(1).posterior(same), Circle(1))
    assert information == pytest.approx(0, abs=1e-4) and gap > 2
