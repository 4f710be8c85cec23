import math

import pytest
import torch

from vaelab.latent.circle import CircleLatent
from vaelab.latent.gaussian import GaussianLatent, GaussianPosterior
from vaelab.objective import decomposition
from vaelab.objective.decomposition import bounds, decompose


def normal(mean, variance):
    return GaussianPosterior(mean, torch.as_tensor(variance).log().expand_as(mean))


def parts(posterior, latent, seed=0):
    torch.manual_seed(seed)
    return [float(part) for part in decompose(posterior, latent, posterior.sample())]


def bounded(posterior, latent, seed=0, counted=None):
    torch.manual_seed(seed)
    return bounds(posterior, latent, posterior.sample()[:counted])._asdict()


def like_the_prior(n, dims, variance, seed=0):
    """Posteriors whose aggregate is N(0, I), on average over the items."""
    # Not the seed of what is then drawn from them: that would be the same noise.
    means = torch.randn(n, dims, generator=torch.Generator().manual_seed(100_000 + seed))
    return normal(means * (1 - variance) ** 0.5, variance)


def test_a_code_that_follows_the_prior_whatever_the_item_says_nothing_and_has_no_gap():
    posterior = normal(torch.zeros(500, 3), 1.0)
    assert parts(posterior, GaussianLatent(3)) == pytest.approx([0, 0, 0], abs=1e-5)
    assert list(bounded(posterior, GaussianLatent(3)).values()) == pytest.approx([0, 0, 0, 0], abs=1e-5)


def test_codes_of_two_kinds_of_items_tell_one_bit():
    mean = torch.tensor([[-5.0], [5.0]]).repeat(100, 1)
    assert parts(normal(mean, 1.0), GaussianLatent(1))[0] == pytest.approx(math.log(2), abs=0.01)
    found = bounded(normal(mean, 1.0), GaussianLatent(1))
    assert found["mutual_information_at_least"] == pytest.approx(math.log(2), abs=0.01)


def test_of_codes_of_n_distinct_items_log_n_is_shown_and_no_more():
    posterior = normal(100.0 * torch.arange(64.0)[:, None], 1.0)
    assert bounded(posterior, GaussianLatent(1))["mutual_information_at_least"] == pytest.approx(math.log(64), abs=1e-3)
    assert parts(posterior, GaussianLatent(1))[0] == pytest.approx(math.log(2 * 64 - 1), abs=1e-3)


def correlated(n, rho=0.5, noise=0.4):
    """Means and noise add up to unit variance in each of two dimensions whose means correlate."""
    torch.manual_seed(3)
    covariance = torch.tensor([[1 - noise, rho], [rho, 1 - noise]])
    return torch.distributions.MultivariateNormal(torch.zeros(2), covariance).sample((n,))


def test_the_parts_of_a_correlated_normal_are_those_of_its_closed_form():
    rho, noise = 0.5, 0.4
    posterior = normal(correlated(3000, rho, noise), noise)
    found, bound = parts(posterior, GaussianLatent(2)), bounded(posterior, GaussianLatent(2))
    information = 0.5 * math.log((1 - rho**2) / noise**2)
    assert found[0] == pytest.approx(information, abs=0.04)
    assert found[1] == pytest.approx(-0.5 * math.log(1 - rho**2), abs=0.04)
    assert found[2] == pytest.approx(0, abs=0.02)
    assert bound["mutual_information_at_least"] == pytest.approx(information, abs=0.04)
    assert bound["prior_gap_at_least"] == pytest.approx(-0.5 * math.log(1 - rho**2), abs=0.04)
    assert bound["dimension_wise_kl_at_least"] == pytest.approx(0, abs=0.02)
    assert bound["dimension_wise_kl_at_most"] == pytest.approx(0, abs=0.02)


def test_a_shifted_dimension_shows_in_its_own_kl_alone():
    found = parts(normal(torch.tensor([[2.0, 0.0]]).repeat(800, 1), 1.0), GaussianLatent(2))
    assert found[:2] == pytest.approx([0, 0], abs=1e-5) and found[2] == pytest.approx(2.0, abs=0.2)


def test_the_parts_add_up_to_the_sampled_kl():
    torch.manual_seed(0)
    posterior, latent = normal(torch.randn(50, 4), 0.3), GaussianLatent(4)
    codes = posterior.sample()
    kl = (posterior.log_density(codes) - latent.prior_log_density(codes)).sum(1).mean()
    assert sum(decompose(posterior, latent, codes)).item() == pytest.approx(kl.item(), rel=1e-5)


@pytest.mark.parametrize("variance", [0.05, 0.3])
@pytest.mark.parametrize(("dims", "n"), [(1, 12), (2, 40), (16, 200)])
def test_the_bounds_hold_on_average_however_few_the_items(dims, n, variance):
    found = torch.tensor(
        [
            list(bounded(like_the_prior(n, dims, variance, seed), GaussianLatent(dims), seed).values())
            for seed in range(200)
        ]
    )
    mean, error = found.mean(0), found.std(0) / 200**0.5
    exact = torch.tensor([-0.5 * dims * math.log(variance), 0.0, 0.0, 0.0])
    over = (mean - exact) / error.clamp(min=1e-6)
    # The information, the gap and the dimensions' own KL at least; their own KL at most.
    assert (over[:3] < 3).all() and over[3] > -3


def test_where_posteriors_overlap_the_estimates_have_no_bias_of_the_first_order():
    n, variance = 50, 0.4
    found = torch.tensor([parts(like_the_prior(n, 2, variance, seed), GaussianLatent(2), seed) for seed in range(400)])
    bias = (found.mean(0) - torch.tensor([-math.log(variance), 0.0, 0.0])).abs()
    # With all of its weight, or none, a code's own posterior would bring these, by the integral of its squared density
    # over the aggregate's: 1 / variance in each dimension.
    joint, marginal = (1 / variance**2 - 1) / (2 * n), (1 / variance - 1) / (2 * n)
    first_order = torch.tensor([joint, joint - 2 * marginal, 2 * marginal])
    assert (bias < 0.25 * first_order + 2 * found.std(0) / 400**0.5).all()
    assert (found.std(0) / 400**0.5 < 0.2 * first_order).all()


def test_it_is_the_same_whatever_is_held_at_once_and_in_whatever_order(monkeypatch):
    torch.manual_seed(0)
    posterior = normal(torch.randn(30, 3), 0.2)
    codes, order = posterior.sample(), torch.randperm(30)
    whole, bound = (torch.stack(f(posterior, GaussianLatent(3), codes)) for f in (decompose, bounds))
    shuffled = GaussianPosterior(posterior.mean[order], posterior.log_variance[order])
    assert torch.allclose(torch.stack(decompose(shuffled, GaussianLatent(3), codes[order])), whole, atol=1e-5)
    assert torch.allclose(torch.stack(bounds(shuffled, GaussianLatent(3), codes[order])), bound, atol=1e-5)
    monkeypatch.setattr(decomposition, "PAIRS", 7 * 30 * 3)
    assert torch.allclose(torch.stack(decompose(posterior, GaussianLatent(3), codes)), whole, atol=1e-5)
    assert torch.allclose(torch.stack(bounds(posterior, GaussianLatent(3), codes)), bound, atol=1e-5)


def test_fewer_codes_than_items_are_those_of_the_first_items():
    posterior = like_the_prior(1000, 2, 0.3)
    whole, few = bounded(posterior, GaussianLatent(2)), bounded(posterior, GaussianLatent(2), counted=400)
    assert all(few[name].item() == pytest.approx(whole[name].item(), abs=0.1) for name in whole)
    alone = bounded(posterior, GaussianLatent(2), counted=1)
    assert all(math.isfinite(value) for value in alone.values())


def test_one_item_tells_nothing_and_has_a_gradient():
    mean = torch.ones(1, 2, requires_grad=True)
    posterior = normal(mean, 0.5)
    found = decompose(posterior, GaussianLatent(2), posterior.sample())
    sum(found).backward()
    assert found.mutual_information.item() == pytest.approx(0, abs=1e-5) and mean.grad.isfinite().all()


def test_phases_spread_evenly_leave_no_gap_and_phases_all_alike_do():
    angle = torch.linspace(0, 2 * math.pi, 401)[:-1, None]
    even = torch.cat([angle.cos(), angle.sin(), torch.full_like(angle, math.log(0.1))], 1)
    same = even[:1].expand(400, -1)
    information, total, gap = parts(CircleLatent(1).posterior(even), CircleLatent(1))
    assert information == pytest.approx(math.log(2 * math.pi) - 0.5 * math.log(2 * math.pi * math.e * 0.01), abs=0.05)
    assert total == pytest.approx(0, abs=1e-5) and gap == pytest.approx(0, abs=0.03)
    information, _, gap = parts(CircleLatent(1).posterior(same), CircleLatent(1))
    assert information == pytest.approx(0, abs=1e-4) and gap > 2
