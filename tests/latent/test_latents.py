import math

import pytest
import torch
from entries import load, names
from torch.autograd import gradcheck
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from vaelab.config import build
from vaelab.errors import UserError
from vaelab.latent.base import Latent, joined, selected
from vaelab.latent.circle import CircleLatent, WrappedNormalPosterior
from vaelab.latent.gaussian import GaussianLatent, GaussianPosterior
from vaelab.latent.point import PointLatent


def entry(name, dim=3):
    return build(load("latent", name, dim=dim), Latent)


FAMILIES = names("latent")
WITH_PRIOR = [name for name in FAMILIES if entry(name).has_prior]


def wrapped(sigma, phase=0.7, n=1, dtype=torch.float32):
    phase = torch.full((n, 1), phase, dtype=dtype)
    spread = torch.as_tensor(sigma, dtype=dtype).expand(n, 1)
    return WrappedNormalPosterior(torch.cos(phase), torch.sin(phase), spread)


def on_circle(phase):
    return torch.cat([torch.cos(phase), torch.sin(phase)], dim=-1)


def monte_carlo_kl(latent, params, draws=200_000):
    torch.manual_seed(0)
    posterior = latent.posterior(params.expand(draws, -1))
    code = posterior.sample()
    return (posterior.log_density(code) - latent.prior_log_density(code)).sum(1).mean().item()


# Gaussian ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mean", "log_variance"), [(0.0, 0.0), (1.5, 0.0), (-0.5, -3.0), (0.3, 1.2)])
def test_the_gaussian_kl_in_closed_form_equals_monte_carlo(mean, log_variance):
    params = torch.tensor([[mean, log_variance]])
    kl = GaussianLatent(1).posterior(params).kl()
    assert kl.shape == (1, 1)
    assert kl.item() == pytest.approx(monte_carlo_kl(GaussianLatent(1), params), abs=0.02)


def test_the_gaussian_kl_equals_that_of_torch_in_every_dimension():
    torch.manual_seed(0)
    params = torch.randn(5, 8)
    q = Normal(params[:, :4], (params[:, 4:] / 2).exp())
    expected = torch.distributions.kl_divergence(q, Normal(torch.zeros(4), torch.ones(4)))
    assert torch.allclose(GaussianLatent(4).posterior(params).kl(), expected, atol=1e-5)


def test_gaussian_densities_equal_those_of_torch():
    torch.manual_seed(0)
    params, code = torch.randn(5, 8), torch.randn(5, 4)
    q = Normal(params[:, :4], (params[:, 4:] / 2).exp())
    assert torch.allclose(GaussianLatent(4).posterior(params).log_density(code), q.log_prob(code), atol=1e-5)
    assert torch.allclose(GaussianLatent(4).prior_log_density(code), Normal(0, 1).log_prob(code), atol=1e-5)


def test_gaussian_samples_have_the_posteriors_mean_and_spread():
    torch.manual_seed(0)
    params = torch.tensor([[2.0, -1.0, math.log(0.25), math.log(4.0)]]).expand(100_000, -1)
    sample = GaussianLatent(2).posterior(params).sample()
    assert sample.mean(0).tolist() == pytest.approx([2.0, -1.0], abs=0.03)
    assert sample.std(0).tolist() == pytest.approx([0.5, 2.0], rel=0.02)


def test_a_wild_log_variance_overflows_nothing():
    posterior = GaussianLatent(1).posterior(torch.tensor([[0.0, 1e4], [0.0, -1e4]]))
    assert posterior.kl().isfinite().all() and posterior.sample().isfinite().all()


# Circle -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [0.01, 0.3, 0.59, 0.6, 0.61, 1.0, 2.0, 4.0])
def test_the_circle_kl_in_closed_form_equals_monte_carlo_for_narrow_and_wide(sigma):
    params = torch.tensor([[math.cos(2.5), math.sin(2.5), math.log(sigma)]])
    assert CircleLatent(1).posterior(params).kl().item() == pytest.approx(
        monte_carlo_kl(CircleLatent(1), params), abs=0.01
    )


def test_the_circle_kl_has_no_step_where_its_formula_changes():
    threshold = WrappedNormalPosterior.NARROW
    near = torch.tensor([threshold - 1e-6, threshold + 1e-6])
    below, above = (wrapped(sigma, dtype=torch.float64).kl().item() for sigma in near.tolist())
    assert below - above == pytest.approx(2e-6 / threshold, abs=2e-6)


def test_the_circle_kl_falls_as_the_phase_spreads_down_to_zero():
    kl = torch.cat([wrapped(sigma).kl() for sigma in torch.linspace(0.02, 4.0, 200).tolist()]).flatten()
    assert (kl.diff() < 1e-6).all()
    assert kl[0] > 3 and kl[-1].item() == pytest.approx(0, abs=1e-3) and (kl > -1e-5).all()


@pytest.mark.parametrize("sigma", [0.05, 0.6, 2.0, 4.4])
@pytest.mark.parametrize("phase", [0.0, 3.1, -2.0])
def test_the_wrapped_normals_density_integrates_to_one(sigma, phase):
    angles = torch.linspace(-math.pi, math.pi, 4001)[:-1, None]
    density = wrapped(sigma, phase, n=4000).log_density(on_circle(angles))[:, 0].exp()
    assert (density.mean() * 2 * math.pi).item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("phase", [0.0, 3.1, -2.0])
def test_the_wrapped_normals_density_is_largest_at_its_mean_phase(phase):
    angles = torch.linspace(-math.pi, math.pi, 4001)[:-1, None]
    density = wrapped(0.6, phase, n=4000).log_density(on_circle(angles))[:, 0]
    assert angles[density.argmax()].item() == pytest.approx(phase, abs=0.02)


def test_a_narrow_wrapped_normal_is_a_normal_in_the_phase():
    gap = torch.linspace(-0.5, 0.5, 11)[:, None]
    found = wrapped(0.2, 3.0, n=11).log_density(on_circle(3.0 + gap))
    assert torch.allclose(found, Normal(0, 0.2).log_prob(gap), atol=1e-4)


def test_circle_samples_stay_on_the_circle_around_the_mean_phase():
    torch.manual_seed(0)
    code = wrapped(0.8, phase=2.0, n=100_000).sample()
    cosine, sine = code.chunk(2, dim=1)
    assert torch.allclose(cosine.square() + sine.square(), torch.ones(100_000, 1), atol=1e-5)
    # E[cos(phase)] = exp(-sigma²/2) cos(mean phase), and so for sine (Mardia and Jupp 2000, section 3.5.7).
    shrunk = math.exp(-0.32)
    assert code.mean(0).tolist() == pytest.approx([shrunk * math.cos(2), shrunk * math.sin(2)], abs=0.01)


def test_the_encoders_length_says_nothing_about_the_phase():
    params = torch.tensor([[3.0, 4.0, -1.0], [0.03, 0.04, -1.0]])
    mean = CircleLatent(1).posterior(params).mean
    assert torch.allclose(mean, torch.tensor([[0.6, 0.8]]), atol=1e-5)


def test_the_circles_prior_is_uniform():
    torch.manual_seed(0)
    code = CircleLatent(2).prior_sample(50_000)
    assert code.shape == (50_000, 4)
    phase = torch.atan2(code[:, 2:], code[:, :2])
    assert torch.histc(phase[:, 1], 8, -math.pi, math.pi).div(6250).tolist() == pytest.approx([1] * 8, abs=0.06)
    assert CircleLatent(2).prior_log_density(code)[0].tolist() == pytest.approx([-math.log(2 * math.pi)] * 2)


def test_projection_brings_every_code_to_the_circle_along_its_radius():
    code = CircleLatent(2).project(torch.tensor([[3.0, 1e-30, 4.0, 0.0], [0.0, -2.0, 0.0, 0.0]]))
    cosine, sine = code.chunk(2, dim=1)
    assert torch.allclose(cosine.square() + sine.square(), torch.ones(2, 2))
    assert code[0, 0].item() == pytest.approx(0.6) and code[0, 2].item() == pytest.approx(0.8)
    assert code[1, 1].item() == pytest.approx(-1.0) and code[1, 0].item() == 1.0


def test_mixed_precision_leaves_the_circles_kl_alone():
    posterior = wrapped([[0.7], [1.0], [2.0]], n=3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = posterior.kl()
    assert torch.allclose(mixed, posterior.kl(), atol=1e-6)


# Point ------------------------------------------------------------------------------------------------------------


def test_a_point_has_one_code_and_pays_nothing():
    params = torch.randn(4, 3)
    posterior = PointLatent(3).posterior(params)
    assert posterior.sample() is params and posterior.mean is params
    assert posterior.kl().tolist() == [[0.0] * 3] * 4


@pytest.mark.parametrize(
    "ask",
    [
        lambda: PointLatent(3).prior_sample(2),
        lambda: PointLatent(3).prior_log_density(torch.zeros(1, 3)),
        lambda: PointLatent(3).posterior(torch.zeros(1, 3)).log_density(torch.zeros(1, 3)),
    ],
)
def test_what_a_point_does_not_have_is_refused_with_a_remedy(ask):
    with pytest.raises(UserError, match=r"latent=point .*: (use|sample with) [^\n]+$"):
        ask()


# All families -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAMILIES)
def test_shapes_follow_the_familys_own_word(name):
    latent = entry(name)
    posterior = latent.posterior(torch.randn(5, latent.heads * 3))
    assert posterior.kl().shape == (5, 3)
    assert posterior.mean.shape == posterior.sample().shape == (5, latent.code_size)
    assert latent.project(posterior.mean).shape == (5, latent.code_size)
    if latent.has_prior:
        assert latent.prior_sample(7).shape == (7, latent.code_size)
        assert posterior.log_density(posterior.mean).shape == (5, latent.dims)
        assert latent.prior_log_density(posterior.mean).shape == (5, latent.dims)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_mean_is_what_samples_concentrate_on_when_the_spread_goes(name):
    latent = entry(name)
    torch.manual_seed(0)
    params = torch.randn(5, latent.heads * 3)
    if latent.heads > 1:
        params[:, -3:] = -30.0
    posterior = latent.posterior(params)
    assert torch.allclose(posterior.sample(), posterior.mean, atol=2e-3)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_gradient_of_a_reparameterised_sample_equals_finite_differences(name):
    latent = entry(name)

    def sample(params):
        torch.manual_seed(3)
        return latent.posterior(params).sample()

    torch.manual_seed(0)
    assert gradcheck(sample, torch.randn(2, latent.heads * 3, dtype=torch.float64, requires_grad=True))


@pytest.mark.parametrize("name", FAMILIES)
def test_joined_posteriors_are_that_of_all_items_in_order_and_selected_ones_those_asked_for(name):
    latent = entry(name)
    params = torch.randn(9, latent.heads * 3)
    whole = latent.posterior(params)
    found = joined([latent.posterior(part) for part in params.split(4)])
    assert torch.equal(found.mean, whole.mean) and torch.equal(found.kl(), whole.kl())
    numbers = torch.tensor([5, 0, 7])
    for items in (numbers, slice(2, 6), torch.arange(9) % 2 == 0):
        chosen = selected(whole, items)
        assert torch.equal(chosen.mean, whole.mean[items]) and torch.equal(chosen.kl(), whole.kl()[items])


@pytest.mark.parametrize("name", WITH_PRIOR)
def test_densities_broadcast_every_code_against_every_posterior(name):
    latent = entry(name)
    posterior = latent.posterior(torch.randn(4, latent.heads * 3))
    codes = posterior.sample(2)
    pairs = posterior.log_density(codes.unsqueeze(1))
    assert pairs.shape == (8, 4, 3)
    assert torch.allclose(pairs[torch.arange(4), torch.arange(4)], posterior.log_density(codes[:4]), atol=1e-6)


def normals(n, dims, variance, mixing=None, shift=0.0):
    """Posteriors whose aggregate is a normal, on average over the items, and its covariance."""
    mixing = torch.eye(dims) if mixing is None else mixing
    mean = shift + (1 - variance) ** 0.5 * torch.randn(n, dims) @ mixing.T
    covariance = (1 - variance) * mixing @ mixing.T + variance * torch.eye(dims)
    return GaussianPosterior(mean, torch.full_like(mean, math.log(variance))), covariance


def test_the_gap_by_moments_of_many_items_is_the_kl_of_the_normal_that_has_them():
    torch.manual_seed(0)
    posterior, covariance = normals(20_000, 2, 0.3, torch.tensor([[1.0, 0.0], [0.9, 0.4]]), shift=1.0)
    normal = MultivariateNormal(torch.ones(2), covariance)
    expected = kl_divergence(normal, MultivariateNormal(torch.zeros(2), torch.eye(2)))
    assert GaussianLatent(2).prior_gap(posterior).item() == pytest.approx(expected.item(), abs=0.05)
    assert GaussianLatent(1).prior_gap(GaussianLatent(1).posterior(torch.zeros(5, 2))).item() == pytest.approx(
        0, abs=1e-6
    )


@pytest.mark.parametrize(("dims", "n"), [(1, 10), (2, 20), (16, 64), (16, 200), (64, 200)])
@pytest.mark.parametrize("correlated", [False, True])
def test_the_gap_by_moments_is_at_most_that_of_the_whole_population_on_average(dims, n, correlated):
    torch.manual_seed(0)
    mixing = torch.eye(dims) + 0.3 * correlated * torch.ones(dims, 1) * torch.linspace(0, 1, dims)
    standard = MultivariateNormal(torch.zeros(dims), torch.eye(dims))
    found = []
    for _ in range(60):
        posterior, covariance = normals(n, dims, 0.1, mixing)
        found.append(GaussianLatent(dims).prior_gap(posterior).item())
    exact = kl_divergence(MultivariateNormal(torch.zeros(dims), covariance), standard).item()
    mean, error = torch.tensor(found).mean().item(), torch.tensor(found).std().item() / 60**0.5
    assert mean < exact + 2 * error
    assert not correlated or dims < 16 or mean > 0.2 * exact


def test_the_gap_by_moments_is_what_a_plain_inverse_gives_with_more_and_with_fewer_items_than_dimensions():
    for n, dims in ((40, 3), (4, 7)):
        torch.manual_seed(n)
        known, unknown = (
            GaussianPosterior(torch.randn(k, dims).double(), torch.randn(k, dims).double()) for k in (n, 5)
        )
        spread = known.log_variance.exp().mean(0)
        scatter = torch.cov(known.mean.T, correction=0)
        kept = n / (n + dims)
        covariance = kept * scatter + (1 - kept) * scatter.diagonal().diag() + spread.diag()
        fitted = MultivariateNormal(known.mean.mean(0), covariance)
        prior = MultivariateNormal(torch.zeros(dims).double(), torch.eye(dims).double())
        # The mean over a code's own noise of a quadratic form is that at its mean and half the sum of curvatures.
        curvature = (torch.linalg.inv(covariance) - torch.eye(dims)).diagonal()
        noise = 0.5 * (unknown.log_variance.exp() * curvature).sum(1)
        expected = (fitted.log_prob(unknown.mean) - prior.log_prob(unknown.mean) - noise).mean()
        assert GaussianLatent(dims).log_ratio(known, unknown).item() == pytest.approx(expected.item(), rel=1e-9)


def test_the_gap_of_very_many_dimensions_needs_no_table_of_their_pairs():
    wide = GaussianLatent(40_000)
    assert wide.prior_gap(wide.posterior(torch.randn(6, 80_000))).isfinite()


@pytest.mark.parametrize("name", WITH_PRIOR)
def test_a_single_item_shows_no_gap_and_two_a_finite_one(name):
    latent = entry(name)
    torch.manual_seed(0)
    assert latent.prior_gap(latent.posterior(torch.randn(1, 3 * latent.heads))).item() == 0
    assert latent.prior_gap(latent.posterior(torch.randn(2, 3 * latent.heads))).isfinite()


def phases(phase, log_sigma=-10.0):
    return torch.cat([phase.cos(), phase.sin(), torch.full_like(phase, log_sigma)], 1)


@pytest.mark.parametrize("concentration", [0.1, 1.0, 3.0])
def test_the_gap_of_phases_is_that_of_the_von_mises_density(concentration):
    torch.manual_seed(0)
    params = phases(torch.distributions.VonMises(0.5, concentration).sample((100_000, 1)))
    ratio = torch.special.i1(torch.tensor(concentration)) / torch.special.i0(torch.tensor(concentration))
    expected = concentration * ratio - torch.special.i0(torch.tensor(concentration)).log()
    assert CircleLatent(1).prior_gap(CircleLatent(1).posterior(params)).item() == pytest.approx(
        expected.item(), abs=0.01
    )


@pytest.mark.parametrize(("dims", "n"), [(1, 10), (16, 64), (16, 200), (64, 200)])
def test_phases_that_are_even_in_the_population_show_no_gap_on_average(dims, n):
    torch.manual_seed(0)
    even = (2 * math.pi * torch.rand(n, dims) for _ in range(60))
    found = torch.tensor(
        [CircleLatent(dims).prior_gap(CircleLatent(dims).posterior(phases(phase))).item() for phase in even]
    )
    assert found.mean() < 2 * found.std() / 60**0.5


@pytest.mark.parametrize("name", WITH_PRIOR)
@pytest.mark.parametrize("log_spread", [-2.0, -0.2, 0.8])
def test_the_gradient_of_the_kl_equals_finite_differences(name, log_spread):
    latent = entry(name, dim=1)
    params = torch.tensor([[0.4, -0.3, log_spread][-latent.heads :]], dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda p: latent.posterior(p).kl(), params)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("dim", [0, -1])
def test_a_latent_of_no_dimension_is_refused(name, dim):
    with pytest.raises(UserError, match=rf"^latent.dim must be at least 1, not {dim}$"):
        entry(name, dim)


def test_an_unknown_dimension_is_asked_for():
    with pytest.raises(UserError, match=r"^latent.dim must be given[^\n]*$"):
        _ = GaussianLatent().dims
