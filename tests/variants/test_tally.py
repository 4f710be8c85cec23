import math

import pytest
import torch

from vaelab.objectives.elbo import Terms, active_units
from vaelab.variants.tally import Tally

N = 23


def rows(seed=0):
    torch.manual_seed(seed)
    terms = Terms(torch.randn(N) * 1000 - 5000, torch.rand(N, 4))
    return terms, torch.randn(N, 4) * torch.tensor([1.0, 0.05, 0.2, 0.0]) + 3, torch.rand(N)


def tallied(batch_size, terms, codes, error, dims=4):
    tally = Tally(dims)
    for part in torch.arange(N).split(batch_size):
        tally.add(Terms(terms.log_likelihood[part], terms.kl[part]), codes[part], error[part])
    return tally


def means(tally, data_dims=10, reduce=lambda t: t):
    return tally.means(data_dims, reduce)


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
    assert means(tallied(5, one_kl, codes, error, dims=2))["active_units"] == 1


def test_two_processes_tell_the_mean_over_the_items_of_both():
    terms, codes, error = rows()
    whole = means(tallied(23, terms, codes, error))
    halves = []
    for part in (slice(0, 5), slice(5, N)):
        half = Tally(4)
        half.add(Terms(terms.log_likelihood[part], terms.kl[part]), codes[part], error[part])
        halves.append(half)
    others = iter([halves[1].sums, halves[1].codes])
    assert means(halves[0], reduce=lambda t: t + next(others)) == pytest.approx(whole)


def test_large_sums_lose_no_digits():
    tally = Tally(1)
    for _ in range(2000):
        tally.add(Terms(torch.full((50,), -12345.678), torch.zeros(50, 1)), torch.zeros(50, 1), torch.zeros(50))
    assert means(tally)["log_likelihood"] == pytest.approx(torch.tensor(-12345.678).item(), rel=1e-12)
