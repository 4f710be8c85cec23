import math

import pytest
import torch

from vaelab.objectives.base import Drawn
from vaelab.objectives.decomposition import decompose
from vaelab.objectives.elbo import Terms, active_units
from vaelab.objectives.latents import Circle, Gaussian, GaussianPosterior, Point, WrappedNormalPosterior
from vaelab.variants import tally as tally_module
from vaelab.variants.tally import Tally

N = 23
LOG_VARIANCE = -1.0


def rows(seed=0):
    torch.manual_seed(seed)
    terms = Terms(torch.randn(N) * 1000 - 5000, torch.rand(N, 4))
    return terms, torch.randn(N, 4) * torch.tensor([1.0, 0.05, 0.2, 0.0]) + 3, torch.rand(N)


def posterior_of(codes, latent):
    if isinstance(latent, Circle):
        cosine, sine = codes.chunk(2, 1)
        return WrappedNormalPosterior(cosine, sine, torch.full_like(cosine, 0.3))
    return GaussianPosterior(codes, torch.full_like(codes, LOG_VARIANCE))


def drawn_of(terms, codes, latent):
    return Drawn(terms.log_likelihood[None], terms.kl, codes, posterior_of(codes, latent), latent)


def tallied(batch_size, terms, codes, error, latent=None):
    latent = latent or Gaussian(4)
    tally = Tally(latent)
    for part in torch.arange(N).split(batch_size):
        tally.add(drawn_of(Terms(terms.log_likelihood[part], terms.kl[part]), codes[part], latent), error[part])
    return tally


def means(tally, data_dims=10, reduce=lambda t: t):
    return tally.means(data_dims, reduce).named


@pytest.mark.parametrize("batch_size", [1, 4, 7, 22, 23, 100])
def test_the_means_are_those_of_a_sum_by_hand_over_all_items_whatever_the_batch_size(batch_size):
    terms, codes, error = rows()
    found = means(tallied(batch_size, terms, codes, error))
    log_likelihood = sum(terms.log_likelihood.tolist()) / N
    kl = sum(sum(row) for row in terms.kl.tolist()) / N
    assert found["log_likelihood"] == pytest.approx(log_likelihood, rel=1e-7)
    assert found["kl"] == pytest.approx(kl, rel=1e-6)
    assert found["elbo"] == pytest.approx(log_likelihood - kl, rel=1e-7)
    assert found["error"] == pytest.approx(sum(error.tolist()) / N, rel=1e-6)
    assert found["bits_per_dim"] == pytest.approx(-(log_likelihood - kl) / 10 / math.log(2), rel=1e-6)
    assert found["active_units"] == active_units(codes.var(0, correction=0)) == 2


def test_an_oracle_has_as_many_active_units_as_its_data_have_factors():
    factors = torch.linspace(-1, 1, N)
    codes = torch.stack([factors, torch.full((N,), 5.0), -factors, torch.zeros(N)], 1)
    terms, _, error = rows()
    assert means(tallied(5, terms, codes, error))["active_units"] == 2


def test_a_phase_of_two_numbers_is_one_unit():
    terms, _, error = rows()
    turning, still = torch.linspace(0, 6, N), torch.ones(N)
    codes = torch.stack([turning.cos(), still.cos(), turning.sin(), still.sin()], 1)
    one_kl = Terms(terms.log_likelihood, terms.kl[:, :2])
    assert means(tallied(5, one_kl, codes, error, Circle(2)))["active_units"] == 1


def test_two_processes_tell_the_mean_over_the_items_of_both():
    terms, codes, error = rows()
    whole = means(tallied(23, terms, codes, error))
    halves = []
    for part in (slice(0, 5), slice(5, N)):
        half = Tally(Gaussian(4))
        half_terms = Terms(terms.log_likelihood[part], terms.kl[part])
        half.add(drawn_of(half_terms, codes[part], Gaussian(4)), error[part])
        halves.append(half)
    others = iter([halves[1].sums, halves[1].codes, halves[1]._mixed(), halves[1].kl])
    both = means(halves[0], reduce=lambda t: t + next(others))
    exact = ["elbo", "log_likelihood", "kl", "error", "bits_per_dim", "active_units"]
    assert {name: both[name] for name in exact} == pytest.approx({name: whole[name] for name in exact})
    alone = [means(half)["dimension_wise_kl"] for half in halves]
    assert both["dimension_wise_kl"] == pytest.approx(sum(alone) / 2)


def test_the_kl_of_each_dimension_is_its_mean_over_all_items():
    terms, codes, error = rows()
    assert tallied(7, terms, codes, error).means(10, lambda t: t).kl.tolist() == pytest.approx(
        terms.kl.double().mean(0).tolist()
    )


@pytest.mark.parametrize("batch_size", [5, 23])
def test_the_parts_of_the_kl_are_those_of_the_first_items(batch_size, monkeypatch):
    terms, codes, error = rows()
    monkeypatch.setattr(tally_module, "MIXED_ITEMS", 12)
    found = means(tallied(batch_size, terms, codes, error))
    expected = decompose(posterior_of(codes[:12], Gaussian(4)), Gaussian(4), codes[:12])
    names = ("mutual_information_at_least", "total_correlation_at_most", "dimension_wise_kl")
    for name, value in zip(names, expected, strict=True):
        assert found[name] == pytest.approx(value.item(), rel=1e-5)
    assert found["prior_gap_at_most"] == pytest.approx((expected[1] + expected[2]).item(), rel=1e-5)


def test_the_priors_gap_lies_between_its_bounds_and_is_that_of_a_shifted_posterior():
    terms, _, error = rows()
    same = torch.full((N, 4), 2.0)
    found = means(tallied(6, terms, same, error))
    exact = 4 * 0.5 * (4 + math.exp(LOG_VARIANCE) - 1 - LOG_VARIANCE)
    assert found["mutual_information_at_least"] == pytest.approx(0, abs=1e-5)
    assert found["prior_gap_at_least"] >= exact - 1e-3
    assert found["prior_gap_at_most"] == pytest.approx(exact, rel=0.2)


def test_what_the_samples_cannot_show_of_the_information_is_bounded_by_the_moments():
    # Codes so narrow that any two items are told apart: more than log n nats, of which the samples show log n.
    torch.manual_seed(0)
    mean, log_variance = torch.randn(N, 4), torch.full((N, 4), -12.0)
    latent, posterior = Gaussian(4), GaussianPosterior(mean, log_variance)
    tally = Tally(latent)
    tally.add(Drawn(torch.zeros(1, N), posterior.kl(), posterior.sample(), posterior, latent), torch.zeros(N))
    found = means(tally)
    assert found["mutual_information_at_least"] == pytest.approx(math.log(N), abs=0.01)
    assert found["mutual_information_at_most"] == pytest.approx(found["kl"] - found["prior_gap_at_least"])
    assert found["prior_gap_at_least"] < 5 < 15 < found["mutual_information_at_most"] < found["kl"]


def test_a_plain_autoencoder_has_no_prior_to_be_held_against():
    terms, codes, error = rows()
    found = means(tallied(6, Terms(terms.log_likelihood, torch.zeros(N, 4)), codes, error, Point(4)))
    assert set(found) == {"log_likelihood", "error"}


def test_large_sums_lose_no_digits():
    tally = Tally(Gaussian(1))
    terms = Terms(torch.full((50,), -12345.678), torch.zeros(50, 1))
    for _ in range(2000):
        tally.add(drawn_of(terms, torch.zeros(50, 1), Gaussian(1)), torch.zeros(50))
    assert means(tally)["log_likelihood"] == pytest.approx(torch.tensor(-12345.678).item(), rel=1e-12)


@pytest.mark.parametrize("latent", [Gaussian(4), Circle(2), Gaussian(1)])
def test_the_names_are_known_before_anything_is_counted(latent):
    terms, codes, error = rows()
    terms = Terms(terms.log_likelihood, terms.kl[:, : latent.dims])
    assert Tally.names(latent) == list(means(tallied(5, terms, codes[:, : latent.code_size], error, latent)))
    assert Tally.names(Point(4)) == ["log_likelihood", "error"]


@pytest.mark.parametrize("batch_size", [4, 23])
def test_the_objectives_values_are_averaged_over_all_items(batch_size):
    terms, codes, error = rows()
    values, tally = torch.randn(N), Tally(Gaussian(4))
    for part in torch.arange(N).split(batch_size):
        few = Terms(terms.log_likelihood[part], terms.kl[part])
        tally.add(drawn_of(few, codes[part], Gaussian(4)), error[part], values[part])
    assert tally.means(10, lambda t: t).items == pytest.approx(values.double().mean().item(), rel=1e-12)
