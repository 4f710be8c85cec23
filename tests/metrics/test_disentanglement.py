from math import log, sqrt

import pytest
import torch

from vaelab.metrics import disentanglement
from vaelab.metrics.disentanglement import (
    beta_vae_score,
    dci,
    disentanglement_measures,
    factor_vae_score,
    information_shares,
    mig,
    sap,
)
from vaelab.simulators.sprites import GRID, sprite_factors

GAPS = {"mig", "sap", "dci_disentanglement", "dci_completeness"}  # 0 by chance
GUESSES = {"beta_vae_score", "factor_vae_score"}  # 1/k by chance
NAMES = list(GRID)


@pytest.fixture(scope="module")
def factors():
    """5,000 points of the sprites' grid, `(n, 5)`."""
    return torch.stack(list(sprite_factors(5_000, torch.Generator().manual_seed(0)).values()), dim=1)


def noise(n, d, seed=1):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def standardised(factors):
    return (factors - factors.double().mean(0)) / factors.double().std(0)


def rotated(factors):
    """The factors in one unit, each of the first four mixed with its neighbour by 45°."""
    z = standardised(factors)
    a, b = z[:, [0, 2]], z[:, [1, 3]]
    return torch.cat([(a + b) * sqrt(0.5), (a - b) * sqrt(0.5), z[:, 4:]], dim=1)


ORACLES = {
    "themselves": lambda f: f.float(),
    "scaled and shifted": lambda f: f * torch.tensor([1e-3, 2.0, 30.0, 0.1, 1e4]) - 7,
    "permuted": lambda f: f[:, [3, 0, 4, 2, 1]].float(),
    "negated": lambda f: -f.float(),
    "beside three of noise": lambda f: torch.cat([noise(len(f), 3), f], dim=1),
    "beside three that are dead": lambda f: torch.cat([torch.full((len(f), 3), 0.1), f], dim=1),
}


@pytest.mark.parametrize("oracle", ORACLES.values(), ids=ORACLES)
def test_the_factors_as_codes_score_one(factors, oracle):
    measures = disentanglement_measures(oracle(factors), factors, NAMES)
    assert set(measures) == {*GAPS, *GUESSES, "dci_informativeness"}
    assert measures == pytest.approx(dict.fromkeys(measures, 1), abs=0.02)


@pytest.mark.parametrize("dimensions", [1, 10])
def test_random_codes_score_nothing_but_chance(factors, dimensions):
    measures = disentanglement_measures(noise(5_000, dimensions), factors, NAMES)
    if dimensions == 1:  # whatever is said, the only dimension says it
        assert measures.pop("dci_completeness") == 1
    assert all(measures[name] <= 0.02 for name in GAPS & set(measures))
    assert all(measures[name] == pytest.approx(1 / 5, abs=0.04) for name in GUESSES)
    assert measures["dci_informativeness"] == pytest.approx((1 / 3 + 1 / 6 + 1 / 40 + 1 / 16 + 1 / 16) / 5, abs=0.02)


def test_dead_codes_score_nothing_but_chance(factors):
    measures = disentanglement_measures(torch.full((5_000, 4), 0.1), factors, NAMES)
    assert all(measures[name] == 0 for name in GAPS)
    assert all(measures[name] == pytest.approx(1 / 5) for name in GUESSES)


def test_a_rotated_oracle_scores_clearly_lower(factors):
    measures = disentanglement_measures(rotated(factors), factors, NAMES)
    assert measures["mig"] < 0.5 and measures["sap"] < 0.5
    assert measures["dci_disentanglement"] < 0.8 and measures["dci_completeness"] < 0.8
    assert measures["factor_vae_score"] < 0.8 and measures["beta_vae_score"] < 0.95


def test_scores_stay_under_another_order_of_the_items_and_dimensions(factors):
    factors = factors[:3_000]
    codes = torch.cat([factors, torch.zeros(3_000, 2)], dim=1) + 0.5 * noise(3_000, 7)
    items, dimensions = (torch.randperm(n, generator=torch.Generator().manual_seed(2)) for n in codes.shape)
    measures = disentanglement_measures(codes, factors, NAMES)
    moved = disentanglement_measures(-2 * codes[items][:, dimensions] + 1, factors[items], NAMES)
    assert measures.pop("mig") == pytest.approx(moved.pop("mig"), abs=1e-3)
    assert moved == pytest.approx(measures, abs=0.03)  # other halves, other trees
    assert 0.3 < measures["sap"] < 0.9


def test_the_same_seed_gives_the_same_scores(factors):
    codes = factors + 0.5 * noise(5_000, 5)
    first, again = (disentanglement_measures(codes[:500], factors[:500], NAMES, seed=3) for _ in range(2))
    assert first == again


def test_information_is_without_bias_at_any_number_of_items(factors):
    for n in (200, 1_000, 5_000):
        shares = information_shares(noise(n, 10), factors[:n])
        assert shares.mean(dim=0).abs().max() < 0.01


def test_information_of_a_noisy_bit_is_that_of_the_binary_symmetric_channel():
    generator = torch.Generator().manual_seed(0)
    bit, flip = torch.randint(2, (20_000,), generator=generator), torch.rand(20_000, generator=generator) < 0.1
    share = float(information_shares((bit ^ flip)[:, None].float(), bit[:, None]))
    assert share == pytest.approx(1 + (0.1 * log(0.1) + 0.9 * log(0.9)) / log(2), abs=0.01)


def test_a_factor_in_two_dimensions_leaves_no_gap_and_is_incomplete_yet_disentangled(factors):
    twice = torch.cat([factors, -factors], dim=1)
    assert mig(twice, factors) == pytest.approx(0, abs=1e-9)
    assert sap(twice, factors) == pytest.approx(0, abs=1e-9)
    scores = dci(twice, factors)
    assert scores.disentanglement == pytest.approx(1, abs=0.02)
    assert scores.completeness < 1 - 0.9 * log(2) / log(10)


def test_two_factors_in_one_dimension_are_complete_yet_entangled(factors):
    pair = factors[:, [0, 1]]
    scores = dci((pair[:, :1] * 6 + pair[:, 1:]).float(), pair)
    assert scores.completeness == 1 and scores.disentanglement < 0.1 and scores.informativeness == 1


def test_a_pair_shares_its_value_and_is_never_an_item_with_itself():
    factor = torch.tensor([7, -1, 7, 3, 3, 7, -1])
    items = torch.arange(7).repeat(200, 1)
    others = disentanglement._others_of_same_value(factor, items, torch.Generator().manual_seed(0))
    assert factor[others].equal(factor[items]) and (others != items).all()
    assert set(others[:, 0].tolist()) == {2, 5}


def test_any_numbering_of_the_values_gives_the_same_scores(factors):
    codes = factors + 0.5 * noise(5_000, 5)
    for score in (mig, sap, beta_vae_score, factor_vae_score):
        assert score(codes, 10 * factors - 50) == pytest.approx(score(codes, factors))


@pytest.mark.parametrize(
    ("codes", "spoil", "message"),
    [
        (torch.full((200, 2), torch.nan), lambda f: f, "NaN"),
        (torch.zeros(100, 2), lambda f: f, r"\(100, 2\) and \(200, 5\)"),
        (torch.zeros(200, 2), lambda f: f * torch.tensor([1, 1, 1, 0, 1]), "factor x: 1 values"),
        (torch.zeros(200, 2), lambda f: f + 1_000 * torch.arange(200)[:, None], "factor shape: 200 values"),
    ],
    ids=["not finite", "other length", "constant factor", "no value twice"],
)
def test_what_cannot_be_scored_is_an_error_that_names_it(factors, codes, spoil, message):
    with pytest.raises(ValueError, match=message):
        disentanglement_measures(codes, spoil(factors[:200]), NAMES)
