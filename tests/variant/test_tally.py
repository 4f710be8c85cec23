import math

import pytest
import torch

from vaelab.latent.base import selected
from vaelab.latent.circle import CircleLatent, WrappedNormalPosterior
from vaelab.latent.gaussian import GaussianLatent, GaussianPosterior
from vaelab.latent.point import PointLatent
from vaelab.objective.base import Drawn
from vaelab.objective.decomposition import bounds
from vaelab.objective.elbo import Terms, active_units
from vaelab.variant import tally as tally_module
from vaelab.variant.tally import Tally

N = 23
LOG_VARIANCE = -1.0


def rows(seed=0):
    torch.manual_seed(seed)
    terms = Terms(torch.randn(N) * 1000 - 5000, torch.rand(N, 4))
    return terms, torch.randn(N, 4) * torch.tensor([1.0, 0.05, 0.2, 0.0]) + 3, torch.rand(N)


def posterior_of(codes, latent):
    if isinstance(latent, CircleLatent):
        cosine, sine = codes.chunk(2, 1)
        return WrappedNormalPosterior(cosine, sine, torch.full_like(cosine, 0.3))
    return GaussianPosterior(codes, torch.full_like(codes, LOG_VARIANCE))


def drawn_of(terms, codes, latent):
    return Drawn(terms.log_likelihood[None], terms.kl, codes, posterior_of(codes, latent), latent)


def tallied(batch_size, terms, codes, error, latent=None):
    latent = latent or GaussianLatent(4)
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
    assert means(tallied(5, one_kl, codes, error, CircleLatent(2)))["active_units"] == 1


def test_two_processes_tell_the_mean_over_the_items_of_both():
    terms, codes, error = rows()
    whole = means(tallied(23, terms, codes, error))
    halves = []
    for part in (slice(0, 5), slice(5, N)):
        half = Tally(GaussianLatent(4))
        half_terms = Terms(terms.log_likelihood[part], terms.kl[part])
        half.add(drawn_of(half_terms, codes[part], GaussianLatent(4)), error[part])
        halves.append(half)
    others = iter([halves[1].sums, halves[1].codes, halves[1]._mixed(), halves[1].kl])
    both = means(halves[0], reduce=lambda t: t + next(others))
    exact = ["elbo", "log_likelihood", "kl", "error", "bits_per_dim", "active_units"]
    assert {name: both[name] for name in exact} == pytest.approx({name: whole[name] for name in exact})
    alone = [means(half)["dimension_wise_kl_at_most"] for half in halves]
    assert both["dimension_wise_kl_at_most"] == pytest.approx(sum(alone) / 2)


def test_the_kl_of_each_dimension_is_its_mean_over_all_items():
    terms, codes, error = rows()
    assert tallied(7, terms, codes, error).means(10, lambda t: t).kl.tolist() == pytest.approx(
        terms.kl.double().mean(0).tolist()
    )


def kept(tally):
    return sorted(tally.kept.posterior.mean.flatten().tolist())


def numbered(batch_size, n=400, seed=0):
    """A tally of items that are told by their code: 0, 1, 2, …, in this order."""
    tally = Tally(GaussianLatent(1), seed)
    for part in torch.arange(float(n))[:, None].split(batch_size):
        tally.add(
            drawn_of(Terms(torch.zeros(len(part)), torch.zeros(len(part), 1)), part, GaussianLatent(1)), part[:, 0]
        )
    return tally


def test_the_items_that_stand_for_all_are_a_fair_draw_whatever_the_batch_size(monkeypatch):
    monkeypatch.setattr(tally_module, "MIXED_ITEMS", 50)
    chosen = kept(numbered(7))
    assert len(set(chosen)) == 50 and chosen == kept(numbered(400)) != kept(numbered(7, seed=1))
    times = torch.zeros(400)
    for seed in range(300):
        times[torch.tensor(kept(numbered(400, seed=seed))).long()] += 1
    # Each item stands among the 50 of 400 in an eighth of the draws; over blocks of items the noise is small.
    assert (times.view(8, 50).mean(1) / 300 - 1 / 8).abs().max() < 5 * (0.125 * 0.875 / 300 / 50) ** 0.5


def test_an_item_keeps_its_own_code_and_density():
    terms, codes, error = rows()
    tally = tallied(4, terms, codes, error)
    assert torch.equal(tally.kept.codes, tally.kept.posterior.mean) and len(tally.kept.codes) == N


@pytest.mark.parametrize("batch_size", [5, 23])
def test_the_bounds_are_those_of_all_items_where_there_are_few(batch_size):
    terms, codes, error = rows()
    found = means(tallied(batch_size, terms, codes, error))
    expected = bounds(posterior_of(codes, GaussianLatent(4)), GaussianLatent(4), codes)
    assert found["mutual_information_at_least"] == pytest.approx(expected[0].item(), rel=1e-5)
    assert found["dimension_wise_kl_at_least"] == pytest.approx(expected[2].item(), rel=1e-5)
    assert found["dimension_wise_kl_at_most"] == pytest.approx(expected[3].item(), rel=1e-5)


def told_by(posterior, latent, seed=0):
    # Not the seed of the means: that would be the same noise.
    torch.manual_seed(100_000 + seed)
    tally = Tally(latent)
    for items in torch.arange(len(posterior.mean)).split(64):
        part = selected(posterior, items)
        zero = torch.zeros(len(items))
        tally.add(Drawn(zero[None], part.kl(), part.sample(), part, latent), zero)
    return means(tally)


@pytest.mark.parametrize(("dims", "n"), [(1, 100), (2, 60), (16, 200), (16, 64)])
@pytest.mark.parametrize("latent", [GaussianLatent, CircleLatent])
def test_of_codes_whose_aggregate_is_the_prior_every_bound_holds_on_average(dims, n, latent):
    rows = []
    for seed in range(60):
        torch.manual_seed(seed)
        if latent is GaussianLatent:
            posterior = GaussianPosterior(0.9**0.5 * torch.randn(n, dims), torch.full((n, dims), math.log(0.1)))
            information = -0.5 * dims * math.log(0.1)
        else:
            phase, sigma = 2 * math.pi * torch.rand(n, dims), 0.3
            posterior = WrappedNormalPosterior(phase.cos(), phase.sin(), torch.full((n, dims), sigma))
            information = dims * (math.log(2 * math.pi) - 0.5 * math.log(2 * math.pi * math.e * sigma**2))
        rows.append(told_by(posterior, latent(dims), seed))
    found = {name: torch.tensor([row[name] for row in rows]) for name in rows[0] if "_at_" in name}
    # None is below zero, so what is zero may show noise; hundredths of a nat of it.
    noise = {name: 0.02 + 2 * values.std().item() / 60**0.5 for name, values in found.items()}
    mean = {name: values.mean().item() for name, values in found.items()}
    exact = {"mutual_information": information, "prior_gap": 0, "total_correlation": 0, "dimension_wise_kl": 0}
    for name, value in exact.items():
        assert mean[f"{name}_at_least"] <= value + noise[f"{name}_at_least"], name
        assert mean[f"{name}_at_most"] >= value - noise[f"{name}_at_most"], name


def test_each_part_lies_between_its_bounds_where_a_closed_form_knows_it():
    torch.manual_seed(0)
    noise, shift = 0.4, 0.5
    mixing = torch.tensor([[0.8, 0.0], [0.6, 0.4]])
    mean = shift + torch.randn(6000, 2) @ mixing.T
    covariance = mixing @ mixing.T + noise * torch.eye(2)
    own = covariance.diagonal()
    exact = {
        "mutual_information": 0.5 * math.log(torch.det(covariance).item() / noise**2),
        "total_correlation": 0.5 * math.log((own[0] * own[1] / torch.det(covariance)).item()),
        "dimension_wise_kl": 0.5 * (own + shift**2 - 1 - own.log()).sum().item(),
    }
    exact["prior_gap"] = exact["total_correlation"] + exact["dimension_wise_kl"]
    found = told_by(GaussianPosterior(mean, torch.full_like(mean, math.log(noise))), GaussianLatent(2))
    for name, value in exact.items():
        assert found[f"{name}_at_least"] - 0.06 < value < found[f"{name}_at_most"] + 0.06, name
        assert found[f"{name}_at_most"] - found[f"{name}_at_least"] < 0.2, name


def test_a_gap_of_shape_alone_is_found_by_the_items_where_the_moments_are_blind():
    # A ring has the prior's moments, and is not the prior.
    torch.manual_seed(0)
    phase, noise = 2 * math.pi * torch.rand(3000, 1), 0.02
    mean = torch.cat([phase.cos(), phase.sin()], 1) * (2 * (1 - noise)) ** 0.5
    posterior = GaussianPosterior(mean, torch.full_like(mean, math.log(noise)))
    assert GaussianLatent(2).prior_gap(posterior).item() < 0.05
    assert told_by(posterior, GaussianLatent(2))["prior_gap_at_least"] > 0.4


def test_the_whole_kl_of_a_shifted_posterior_is_its_gap():
    exact = 4 * 0.5 * (4 + math.exp(LOG_VARIANCE) - 1 - LOG_VARIANCE)
    found = told_by(GaussianPosterior(torch.full((N, 4), 2.0), torch.full((N, 4), LOG_VARIANCE)), GaussianLatent(4))
    assert found["mutual_information_at_least"] == pytest.approx(0, abs=1e-5)
    assert found["prior_gap_at_most"] == found["kl"] == pytest.approx(exact)
    assert found["prior_gap_at_least"] == pytest.approx(exact, rel=0.05)


def test_what_the_items_cannot_show_of_the_information_is_left_open():
    # Codes so narrow that any two items are told apart: more than log n nats, of which the items show log n.
    torch.manual_seed(0)
    mean = torch.randn(N, 4)
    found = told_by(GaussianPosterior(mean, torch.full((N, 4), -12.0)), GaussianLatent(4))
    assert found["mutual_information_at_least"] == pytest.approx(math.log(N), abs=0.01)
    assert found["mutual_information_at_most"] == pytest.approx(found["kl"] - found["prior_gap_at_least"])
    assert found["total_correlation_at_most"] > 10 > found["mutual_information_at_least"]


def test_a_dimension_alone_correlates_with_nothing():
    torch.manual_seed(0)
    found = told_by(GaussianPosterior(torch.randn(50, 1) + 1, torch.zeros(50, 1)), GaussianLatent(1))
    assert found["total_correlation_at_least"] == found["total_correlation_at_most"] == 0


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
@pytest.mark.parametrize("latent", [GaussianLatent(4), CircleLatent(4)], ids=["Gaussian", "Circle"])
def test_codes_that_are_no_numbers_end_in_sums_that_are_none(wrong, latent):
    params = torch.full((N, 4 * latent.heads), wrong)
    posterior = latent.posterior(params)
    tally = Tally(latent)
    tally.add(Drawn(torch.full((1, N), wrong), posterior.kl(), posterior.sample(), posterior, latent), torch.zeros(N))
    assert not math.isfinite(means(tally)["log_likelihood"])


def test_a_plain_autoencoder_has_no_prior_to_be_held_against():
    terms, codes, error = rows()
    found = means(tallied(6, Terms(terms.log_likelihood, torch.zeros(N, 4)), codes, error, PointLatent(4)))
    assert set(found) == {"log_likelihood", "error"}


def test_large_sums_lose_no_digits():
    tally = Tally(GaussianLatent(1))
    terms = Terms(torch.full((50,), -12345.678), torch.zeros(50, 1))
    for _ in range(2000):
        tally.add(drawn_of(terms, torch.zeros(50, 1), GaussianLatent(1)), torch.zeros(50))
    assert means(tally)["log_likelihood"] == pytest.approx(torch.tensor(-12345.678).item(), rel=1e-12)


@pytest.mark.parametrize("latent", [GaussianLatent(4), CircleLatent(2), GaussianLatent(1)])
def test_the_names_are_known_before_anything_is_counted(latent):
    terms, codes, error = rows()
    terms = Terms(terms.log_likelihood, terms.kl[:, : latent.dims])
    assert Tally.names(latent) == list(means(tallied(5, terms, codes[:, : latent.code_size], error, latent)))
    assert Tally.names(PointLatent(4)) == ["log_likelihood", "error"]


@pytest.mark.parametrize("batch_size", [4, 23])
def test_the_objectives_values_are_averaged_over_all_items(batch_size):
    terms, codes, error = rows()
    values, tally = torch.randn(N), Tally(GaussianLatent(4))
    for part in torch.arange(N).split(batch_size):
        few = Terms(terms.log_likelihood[part], terms.kl[part])
        tally.add(drawn_of(few, codes[part], GaussianLatent(4)), error[part], values[part])
    assert tally.means(10, lambda t: t).items == pytest.approx(values.double().mean().item(), rel=1e-12)
