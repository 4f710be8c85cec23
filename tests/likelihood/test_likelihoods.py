import math

import pytest
import torch
from entries import load, names
from torch.distributions import Bernoulli as TorchBernoulli
from torch.distributions import Laplace as TorchLaplace
from torch.distributions import Normal

from vaelab.config import build
from vaelab.errors import UserError
from vaelab.likelihood.base import NARROWEST, WIDEST, Likelihood
from vaelab.likelihood.bernoulli import Bernoulli
from vaelab.likelihood.gaussian import Gaussian
from vaelab.likelihood.laplace import Laplace
from vaelab.likelihood.learned_gaussian import LearnedGaussian
from vaelab.likelihood.logistic import Logistic
from vaelab.likelihood.zero_mean_gaussian import ZeroMeanGaussian
from vaelab.objective.elbo import bits_per_dim

SHAPE = (4, 2, 3, 5)


def entry(name, **settings):
    return build(load("likelihood", name, **settings), Likelihood)


ENTRIES = names("likelihood")
# The settings that say how wide a density is, or is at least.
WIDTHS = [(name, key) for name in ENTRIES for key in load("likelihood", name) if key in ("sigma", "min_sigma", "scale")]
# Those whose decoder says where x is.
CENTRED = [name for name in ENTRIES if entry(name).mean(torch.tensor([0.2, 0.7])).diff()]


def pair(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(SHAPE, generator=generator), torch.randn(SHAPE, generator=generator)


def fitted(sigma, steps=400, **settings):
    likelihood = LearnedGaussian(**settings)
    torch.manual_seed(0)
    for _ in range(steps):
        likelihood.log_prob(sigma * torch.randn(64, 1, 20), torch.zeros(64, 1, 20))
    return likelihood.eval()


def test_gaussian_and_laplace_densities_equal_those_of_torch_summed_over_each_item():
    target, params = pair()
    expected = Normal(params, 0.3).log_prob(target).flatten(1).sum(1)
    assert torch.allclose(Gaussian(0.3).log_prob(target, params), expected, rtol=1e-5)
    expected = TorchLaplace(params, 0.3).log_prob(target).flatten(1).sum(1)
    assert torch.allclose(Laplace(0.3).log_prob(target, params), expected, rtol=1e-5)


def test_the_bernoulli_density_equals_that_of_torch_on_black_and_white():
    target, params = pair()
    target = (target > 0).float()
    expected = TorchBernoulli(logits=params).log_prob(target).flatten(1).sum(1)
    assert torch.allclose(Bernoulli().log_prob(target, params), expected, rtol=1e-5)


def test_the_bernoulli_of_grey_is_the_cross_entropy_that_is_best_at_the_grey_itself():
    target = torch.rand(SHAPE, generator=torch.Generator().manual_seed(0))
    p = target.clamp(1e-4, 1 - 1e-4)
    best = Bernoulli().log_prob(target, torch.logit(p))
    expected = (target * p.log() + (1 - target) * (1 - p).log()).flatten(1).sum(1)
    assert torch.allclose(best, expected, rtol=1e-4)
    assert (best > Bernoulli().log_prob(target, torch.logit(p) + 0.3)).all()


def test_the_bernoulli_is_finite_for_the_surest_logits():
    assert Bernoulli().log_prob(torch.ones(1, 1), torch.tensor([[-1e4]])).item() == -1e4


def test_the_bernoullis_mean_is_the_probability_and_its_samples_are_zeros_and_ones():
    torch.manual_seed(0)
    logits = torch.tensor([[-2.0, 0.0, 1.5]]).expand(50_000, -1)
    sample = Bernoulli().sample(logits)
    assert set(sample.unique().tolist()) == {0.0, 1.0}
    assert Bernoulli().mean(logits)[0].tolist() == pytest.approx([1 / (1 + math.exp(v)) for v in (2, 0, -1.5)])
    assert torch.allclose(sample.mean(0), Bernoulli().mean(logits)[0], atol=0.01)


@pytest.mark.parametrize(
    ("likelihood", "spread"), [(Gaussian(0.2), 0.2), (Laplace(0.2), 0.2 * 2**0.5), (fitted(0.5), 0.5)]
)
def test_samples_scatter_around_the_mean_as_wide_as_the_density(likelihood, spread):
    torch.manual_seed(0)
    params = torch.linspace(-3, 3, 5).expand(50_000, -1)
    sample = likelihood.sample(params)
    assert torch.equal(likelihood.mean(params), params)
    assert torch.allclose(sample.mean(0), params[0], atol=0.01)
    assert sample.std(0).tolist() == pytest.approx([spread] * 5, rel=0.03)


def test_the_learned_variance_in_training_is_the_mean_squared_error_of_the_batch():
    target, params = pair()
    sigma = (target - params).square().mean().sqrt()
    found = LearnedGaussian().train().log_prob(target, params)
    assert torch.allclose(found, Normal(params, sigma).log_prob(target).flatten(1).sum(1), rtol=1e-5)


def test_no_other_variance_is_likelier_than_the_learned_one():
    target, params = pair()
    sigma = float((target - params).square().mean().sqrt())
    best = LearnedGaussian().train().log_prob(target, params).sum()
    assert all(best > Gaussian(sigma * factor).log_prob(target, params).sum() for factor in (0.8, 1.25))


def test_a_variance_of_each_item_makes_weak_items_weigh_as_much_as_strong_ones():
    torch.manual_seed(0)
    error = torch.randn(2, 1, 50) * torch.tensor([5.0, 0.1])[:, None, None]
    pull = {}
    for per_item in (True, False):
        params = torch.zeros(2, 1, 50, requires_grad=True)
        likelihood = LearnedGaussian(per_item=per_item).train()
        likelihood.log_prob(error, params).sum().backward()
        pull[per_item] = (params.grad * error).sum((1, 2))
    # Half of the gain in log-likelihood by shrinking the error to nothing at the present rate: one nat a sample.
    assert torch.allclose(pull[True], torch.tensor([50.0, 50.0]))
    assert pull[False][0] > 1000 * pull[False][1]


def test_the_variances_of_items_average_to_the_one_that_evaluation_uses():
    errors = torch.tensor([1.0, 2.0, 3.0])[:, None].expand(3, 8)
    likelihood = LearnedGaussian(per_item=True, min_sigma=0.5).train()
    found = likelihood.log_prob(errors, torch.zeros(3, 8))
    assert torch.allclose(found, -4 * (math.log(2 * math.pi) + 1 + torch.tensor([1.0, 4.0, 9.0]).log()))
    assert likelihood.eval().variance == pytest.approx(14 / 3)
    exact = LearnedGaussian(per_item=True, min_sigma=0.5).train().log_prob(errors, errors)
    assert torch.allclose(exact, torch.tensor(-4 * (math.log(2 * math.pi) + math.log(0.25))))


def test_the_learned_variance_in_evaluation_converges_to_that_of_the_data_and_then_stands_still():
    likelihood = fitted(0.25)
    assert likelihood.variance.item() == pytest.approx(0.0625, rel=0.02)
    before = likelihood.variance.clone()
    target, params = pair()
    found = likelihood.log_prob(target, params)
    expected = Normal(params, before.sqrt()).log_prob(target).flatten(1).sum(1)
    assert torch.equal(likelihood.variance, before) and torch.allclose(found, expected, rtol=1e-5)


def test_the_learned_variance_is_that_of_the_batches_so_far_from_the_first_one_on():
    likelihood = LearnedGaussian(momentum=0.98)
    for error in (1.0, 3.0):
        likelihood.log_prob(torch.full((2, 3), error), torch.zeros(2, 3))
    assert likelihood.variance.item() == pytest.approx((1 + 9) / 2)


def test_a_perfect_fit_keeps_a_finite_density():
    target, _ = pair()
    likelihood = LearnedGaussian(min_sigma=1e-3).train()
    found = likelihood.log_prob(target, target)
    assert torch.allclose(found, Gaussian(1e-3).log_prob(target, target), rtol=1e-5)
    assert likelihood.variance.item() == pytest.approx(1e-6)


def test_one_item_under_many_draws_is_that_item_under_each():
    torch.manual_seed(0)
    target, params = torch.rand(1, 1, 6, 5), torch.randn(40, 1, 6, 5)
    each = torch.cat(
        [Bernoulli().log_prob(target.expand(2, -1, -1, -1), row.expand(2, -1, -1, -1))[:1] for row in params]
    )
    assert torch.allclose(Bernoulli().log_prob(target, params), each, rtol=1e-5)


def test_the_learned_variance_travels_in_the_state():
    copy = LearnedGaussian()
    copy.load_state_dict(fitted(0.25).state_dict())
    assert copy.variance.item() == pytest.approx(0.0625, rel=0.02)


@pytest.mark.parametrize("name", ENTRIES)
def test_every_density_is_one_number_an_item_and_what_it_draws_and_expects_is_shaped_as_x_and_in_its_support(name):
    likelihood, (_, params) = entry(name), pair()
    low, high = likelihood.support
    assert likelihood.log_prob(params.clamp(low, high), params).shape == SHAPE[:1]
    for x in (likelihood.mean(params), likelihood.sample(params)):
        assert x.shape == SHAPE and low <= x.min() and x.max() <= high


@pytest.mark.parametrize("name", CENTRED)
def test_the_gradient_pulls_the_mean_towards_the_target(name):
    params = torch.zeros(1, 2, requires_grad=True)
    entry(name).train().log_prob(torch.tensor([[1.0, 0.0]]), params).sum().backward()
    assert params.grad[0, 0] > 0 and params.grad[0, 1] <= 0


@pytest.mark.parametrize("centre", [-0.5, 0.0, 0.031, 0.5, 0.97, 1.4])
@pytest.mark.parametrize(("levels", "scale"), [(2, 0.5), (17, 0.02), (256, 0.1), (256, 1e-3)])
def test_the_probabilities_of_all_levels_of_a_logistic_add_up_to_one(centre, levels, scale):
    x = torch.linspace(0, 1, levels)[:, None]
    log_prob = Logistic(levels, scale).log_prob(x, torch.full_like(x, centre))
    assert log_prob.double().exp().sum().item() == pytest.approx(1.0, abs=1e-4)


def test_the_probability_of_a_level_is_the_logistics_share_of_its_bin():
    x, params = torch.tensor([[100 / 255, 0.0, 1.0]]), torch.tensor([[0.42, 0.1, 0.8]])
    low, high = (x - 0.5 / 255 - params) / 0.05, (x + 0.5 / 255 - params) / 0.05
    low[0, 1], high[0, 2] = -math.inf, math.inf
    expected = (high.sigmoid() - low.sigmoid()).log().sum().item()
    assert Logistic(256, 0.05).log_prob(x, params).item() == pytest.approx(expected, rel=1e-4)


def test_a_logistic_far_off_is_improbable_not_impossible():
    x, params = torch.tensor([[0.5, 0.0, 1.0]]), torch.tensor([[40.0, 40.0, -40.0]])
    params.requires_grad_()
    log_prob = Logistic(256, 0.01).log_prob(x, params)
    log_prob.sum().backward()
    assert -20_000 < log_prob.item() < -10_000 and params.grad.isfinite().all()


def test_values_between_two_levels_count_as_the_nearer():
    params = torch.full((1, 1), 0.4)
    values = [Logistic(5).log_prob(torch.tensor([[x]]), params).item() for x in (0.25, 0.3, 0.2, 0.5)]
    assert values[0] == values[1] == values[2] != values[3]


def test_a_logistic_learns_its_scale_and_saves_it():
    torch.manual_seed(0)
    uniform = torch.rand(500, 8).clamp(1e-6, 1 - 1e-6)
    x = (0.5 + 0.03 * (uniform.log() - torch.log1p(-uniform))).clamp(0, 1)
    likelihood = Logistic(256, 0.2)
    optimizer = torch.optim.Adam(likelihood.parameters(), lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        (-likelihood.log_prob(x, torch.full_like(x, 0.5)).mean()).backward()
        optimizer.step()
    assert likelihood.log_scale.exp().item() == pytest.approx(0.03, rel=0.1)
    assert "log_scale" in likelihood.state_dict()


def test_samples_of_a_logistic_lie_on_its_levels_around_its_centre():
    torch.manual_seed(0)
    drawn = Logistic(11, 0.02).sample(torch.full((20_000,), 0.43))
    assert torch.allclose(drawn * 10, torch.round(drawn * 10), atol=1e-5)
    assert drawn.mean().item() == pytest.approx(0.43, abs=0.01)
    edged = Logistic(11, 0.5).sample(torch.full((20_000,), 0.5))
    assert edged.min() == 0 and edged.max() == 1


def test_eight_bit_noise_costs_about_eight_bits_a_number():
    torch.manual_seed(0)
    x = torch.randint(0, 256, (50, 100)) / 255
    log_prob = Logistic(256, 0.35).log_prob(x, torch.full_like(x, 0.5)).mean().item()
    assert 8.0 < bits_per_dim(log_prob, 100) < 9.0


@pytest.mark.parametrize(("low", "high"), [(-0.1, 1.0), (0.0, 1.01), (-3.0, 255.0)])
def test_data_outside_the_bernoullis_support_are_refused_in_one_line_with_a_remedy(low, high):
    with pytest.raises(UserError, match=r"likelihood=bernoulli allows \[0, 1\]: use likelihood=gaussian") as told:
        Bernoulli().check_support(low, high)
    assert "\n" not in str(told.value) and f"{low:.4g} to {high:.4g}" in str(told.value)


@pytest.mark.parametrize("name", ENTRIES)
def test_data_inside_the_support_pass_and_those_outside_are_refused_in_one_line(name):
    likelihood = entry(name)
    low, high = likelihood.support
    likelihood.check_support(max(low, -1e9), min(high, 1e9))
    for beyond in [(low - 0.1, 0.5)] * math.isfinite(low) + [(0.5, high + 0.1)] * math.isfinite(high):
        with pytest.raises(UserError, match=r"^the data run from [^\n]+, outside [^\n]+: use likelihood=[^\n]+$"):
            likelihood.check_support(*beyond)


@pytest.mark.parametrize("likelihood", [Gaussian(), Laplace(), LearnedGaussian(), ZeroMeanGaussian()])
def test_a_normal_or_laplace_density_takes_data_of_any_size(likelihood):
    likelihood.check_support(-1e9, 1e9)


TOO_WIDE_OR_NARROW = (0.0, -1.0, 1e-30, 1e-200, 1e30, 1e200, math.inf, math.nan)


@pytest.mark.parametrize(("name", "key"), WIDTHS)
@pytest.mark.parametrize("width", [NARROWEST, WIDEST])
def test_the_narrowest_and_widest_densities_are_finite_and_so_are_their_gradients(name, key, width):
    params = torch.tensor([[0.0, 1.0, -3.0]], requires_grad=True)
    density = entry(name, **{key: width}).log_prob(torch.tensor([[0.5, -1.0, 3.0]]), params).sum()
    density.backward()
    assert density.isfinite() and params.grad.isfinite().all()


@pytest.mark.parametrize(("name", "key"), WIDTHS)
@pytest.mark.parametrize("width", TOO_WIDE_OR_NARROW)
def test_a_density_without_a_width_is_refused(name, key, width):
    settings = {**load("likelihood", name), key: width}
    with pytest.raises(UserError, match=rf"^likelihood\.{key} must [^\n]+$"):
        type(entry(name))(**{own: value for own, value in settings.items() if own != "_target_"})


@pytest.mark.parametrize("make", [lambda: LearnedGaussian(momentum=1.0), lambda: Logistic(levels=1)])
def test_a_setting_of_a_density_outside_its_range_is_refused(make):
    with pytest.raises(UserError, match=r"^likelihood\.(momentum|levels) must [^\n]+$"):
        make()


def test_the_zero_mean_density_equals_that_of_torch_with_the_floor_in_quadrature():
    target, params = pair()
    sigma = (torch.exp(2 * params) + 0.3**2).sqrt()
    expected = Normal(0.0, sigma).log_prob(target).flatten(1).sum(1)
    assert torch.allclose(ZeroMeanGaussian(0.3).log_prob(target, params), expected, rtol=1e-5)


def test_zero_mean_samples_scatter_around_nought_as_wide_as_the_decoder_says():
    torch.manual_seed(0)
    params = torch.tensor([-30.0, 0.0, 1.0]).expand(50_000, -1)
    sample = ZeroMeanGaussian(0.1).sample(params)
    assert torch.equal(ZeroMeanGaussian(0.1).mean(params), torch.zeros(50_000, 3))
    assert sample.std(0).tolist() == pytest.approx([0.1, 1.01**0.5, (math.e**2 + 0.01) ** 0.5], rel=0.02)
    assert (sample.mean(0) / sample.std(0)).abs().max() < 0.02


def test_the_zero_mean_gradient_pulls_the_deviation_towards_the_targets_size():
    params = torch.zeros(1, 2, requires_grad=True)
    ZeroMeanGaussian().log_prob(torch.tensor([[3.0, -0.1]]), params).sum().backward()
    assert params.grad[0, 0] > 0 > params.grad[0, 1]


def test_zero_mean_densities_stay_finite_for_the_wildest_deviations():
    found = ZeroMeanGaussian().log_prob(torch.tensor([[0.0, 5.0]]), torch.tensor([[-1e4, 1e4]]))
    assert found.isfinite().all()
