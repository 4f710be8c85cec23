import math

import pytest
import torch

from vaelab.metrics.modes import mode_measures, spread
from vaelab.simulators.mixture import centres, mixture_points

MEANS, STD = centres("grid", 25), 0.05


def points(n=2500, seed=0, means=MEANS, std=STD):
    return mixture_points(means, std, n, torch.Generator().manual_seed(seed))[0]


def test_points_are_counted_by_hand():
    means = torch.tensor([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
    # Two within 3 of the first mean, one of the second, one just outside of the third.
    told = mode_measures(torch.tensor([[0.0, 2.9], [1.0, 0.0], [9.0, -1.0], [0.0, 12.1]]), means, 1.0)
    assert told["modes"] == 2 and told["high_quality"] == 3 / 4
    shares = (2 / 3, 1 / 3)
    assert told["reverse_kl"] == pytest.approx(sum(p * math.log(3 * p) for p in shares))


def test_true_points_have_all_modes_and_as_many_near_as_a_normal_of_the_plane_has():
    told = mode_measures(points(20_000), MEANS, STD)
    # A radius of 3 standard deviations holds 1 − exp(−9/2) of it.
    assert told["modes"] == 25 and told["high_quality"] == pytest.approx(1 - math.exp(-4.5), abs=0.003)


def test_the_kl_of_even_points_is_what_their_number_leaves_and_of_one_mode_the_logarithm_of_all():
    found = [spread(torch.randint(25, (2500,), generator=torch.Generator().manual_seed(k)), 25) for k in range(40)]
    assert sum(told["reverse_kl"] for told in found) / 40 == pytest.approx(24 / 5000, rel=0.15)
    assert spread(torch.full((10,), 7), 25) == {"modes": 1.0, "reverse_kl": pytest.approx(math.log(25))}


def test_collapsed_points_lose_modes_and_noisy_ones_quality():
    few, wide = mode_measures(points(means=MEANS[:6]), MEANS, STD), mode_measures(points(std=5 * STD), MEANS, STD)
    assert few["modes"] == 6 and few["reverse_kl"] == pytest.approx(math.log(25 / 6), abs=0.02)
    assert few["high_quality"] > 0.98 and wide["high_quality"] < 0.25 and wide["modes"] == 25


def test_where_no_point_is_near_there_is_no_share_of_the_modes():
    assert mode_measures(torch.full((5, 2), 99.0), MEANS, STD) == {"modes": 0.0, "high_quality": 0.0}
