import math
from itertools import permutations

import pytest
import torch

from vaelab.metrics.samples import (
    Reference,
    class_measures,
    compared,
    density_and_coverage,
    energy_distance,
    frechet_distance,
    mean_distance,
    neighbour_distance,
    wasserstein_distance,
    within_class_variance,
)


def draw(n, shift=0.0, seed=0):
    return shift + torch.randn(n, 1, 1, generator=torch.Generator().manual_seed(seed))


def test_of_two_normals_it_is_what_the_integral_of_their_squared_distance_says():
    # In one dimension it is twice the integral of (F − G)² (Székely and Rizzo 2013, section 2).
    x = torch.linspace(-12, 14, 20_001, dtype=torch.float64)
    normal = torch.distributions.Normal(0.0, 1.0)
    expected = 2 * torch.trapezoid((normal.cdf(x) - normal.cdf(x - 2)).square(), x).item()
    assert energy_distance(draw(4000), draw(4000, 2.0, seed=1)) == pytest.approx(expected, rel=0.03)


def test_of_equal_distributions_it_is_zero_on_average_and_of_others_above():
    same = torch.tensor([energy_distance(draw(100, seed=k), draw(100, seed=1000 + k)) for k in range(200)])
    assert same.mean().abs() < 3 * same.std() / 200**0.5
    assert energy_distance(draw(100), draw(100, 1.0, seed=1)) > 5 * same.std()


def test_it_does_not_grow_with_the_numbers_of_an_item():
    once = energy_distance(draw(50), draw(50, 1.0, seed=1))
    many = energy_distance(draw(50).expand(50, 3, 7), draw(50, 1.0, seed=1).expand(50, 3, 7))
    assert many == pytest.approx(once, rel=1e-6)


def test_of_one_item_it_is_still_a_number_and_of_large_items_fewer_are_compared():
    assert energy_distance(draw(1), draw(1, 1.0)) > 0
    assert compared((1, 8, 8)) == 1024 > compared((1, 256, 173)) > 100 and compared((3, 9999, 9999)) == 2


def test_the_distance_among_true_items_need_not_be_found_twice():
    x, true = draw(60), draw(70, 1.0, seed=1)
    assert energy_distance(x, true, mean_distance(true)) == energy_distance(x, true)
    by_hand = sum((true[j] - true[k]).norm() for j in range(70) for k in range(70) if j != k) / (70 * 69)
    assert mean_distance(true) == pytest.approx(by_hand.item(), rel=1e-5)


def test_the_wasserstein_distance_in_one_dimension_pairs_items_in_order():
    # Peyré and Cuturi 2019, remark 2.30.
    x, true = draw(300)[:, 0], 2 * draw(300, 1.0, seed=1)[:, 0]
    in_order = (x.sort(0).values - true.sort(0).values).double().square().mean().sqrt().item()
    assert wasserstein_distance(x, true) == pytest.approx(in_order, rel=1e-6)
    assert wasserstein_distance(x, x.flip(0)) == 0


def test_the_wasserstein_distance_of_three_points_is_that_of_the_best_of_six_pairings():
    x, true = torch.tensor([[0.0, 0], [1, 0], [0, 2]]), torch.tensor([[1.0, 2], [0, 1], [3, 0]])
    pairings = [(x - true[list(order)]).square().sum(1).mean().sqrt().item() for order in permutations(range(3))]
    assert wasserstein_distance(x, true) == pytest.approx(min(pairings)) and min(pairings) < sorted(pairings)[1]


def test_the_frechet_distance_of_two_lots_is_that_of_their_normals_by_hand():
    # Of covariances with the same axes it is the squared distance of means and of standard deviations.
    corners = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64)
    a, b = corners * torch.tensor([1.0, 2.0]), corners * torch.tensor([4.0, 3.0]) + torch.tensor([2.0, -1.0])
    unit = (4 / 3) ** 0.5
    by_hand = 2**2 + 1**2 + (unit * 3) ** 2 + (unit * 1) ** 2
    assert frechet_distance(a, b) == pytest.approx(by_hand, rel=1e-9) == frechet_distance(b, a)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


def test_the_frechet_distance_takes_scipys_root_of_matrices_that_do_not_commute():
    from scipy.linalg import sqrtm

    chance = torch.Generator().manual_seed(0)
    a, b = (
        torch.randn(50, 4, generator=chance, dtype=torch.float64)
        @ torch.randn(4, 4, generator=chance, dtype=torch.float64)
        for _ in range(2)
    )
    cov_a, cov_b = torch.cov(a.T).numpy(), torch.cov(b.T).numpy()
    root = sqrtm(cov_a @ cov_b).real
    expected = (a.mean(0) - b.mean(0)).square().sum().item() + (cov_a + cov_b - 2 * root).trace()
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)


def placed(*places):
    return torch.tensor(places, dtype=torch.float64)[:, None]


def judged(new, true, k):
    return density_and_coverage(new, true, neighbour_distance(true, k), k)


def test_density_and_coverage_on_a_line_are_those_counted_by_hand():
    true = placed(0, 1, 3, 7)
    assert neighbour_distance(true, 1).tolist() == [1, 1, 2, 4]
    assert neighbour_distance(true, 2).tolist() == [3, 2, 3, 6]
    # 0.5 lies in the balls of 0 and 1, and 2.5 in that of 3 alone; 100 lies in none; none is as near to 7 as 4.
    found = judged(placed(0.5, 2.5, 100), true, 1)
    assert found == {"density": pytest.approx(3 / 3), "coverage": 3 / 4}
    # Now 0.5 lies in the balls of 0, 1 and 3, 2.5 in those of all, and coverage is whole; the ends are not in a ball.
    found = judged(placed(0.5, 2.5, 13), true, 2)
    assert found == {"density": pytest.approx((3 + 4 + 0) / (2 * 3)), "coverage": 1.0}


def test_density_and_coverage_are_those_of_the_definition_written_out():
    chance = torch.Generator().manual_seed(0)
    true, new = (torch.randn(30, 3, generator=chance, dtype=torch.float64) for _ in range(2))
    balls = []
    for x in true:
        reach = sorted((x - other).norm().item() for other in true)[5]  # the first is itself
        balls.append([(x - y).norm().item() < reach for y in new])
    found = density_and_coverage(new, true, neighbour_distance(true))
    assert found["density"] == pytest.approx(sum(map(sum, balls)) / (5 * len(new)))
    assert found["coverage"] == pytest.approx(sum(map(any, balls)) / len(true))


def test_of_equal_distributions_density_is_one_and_coverage_what_chance_leaves():
    lots = [torch.randn(2, 300, 2, generator=torch.Generator().manual_seed(k)).double() for k in range(30)]
    found = [judged(*lot, 5) for lot in lots]
    # A new point is one of m + 1 alike, so it is among a true one's k nearest others with probability k / m.
    assert sum(told["density"] for told in found) / 30 == pytest.approx(1, abs=0.02)
    assert sum(told["coverage"] for told in found) / 30 == pytest.approx(1 - 2**-5, abs=0.01)


class Plain:
    """Items as they are, in two classes: left and right of 0."""

    size, classes, accuracy = 2, 2, None

    def __call__(self, x):
        return x.flatten(1).double()

    def told(self, x):
        return (x[:, 0, 0] > 0).long()


@pytest.fixture
def two():
    """Items around two places, `(n, 2, 1)`."""

    def make(n, seed, places=2, spread=0.3):
        chance = torch.Generator().manual_seed(seed)
        place = torch.randint(places, (n,), generator=chance).float() * 8 - 4
        return torch.stack([place, torch.zeros(n)], 1)[..., None] + spread * torch.randn(n, 2, 1, generator=chance)

    return make


@pytest.fixture
def reference(two):
    return Reference(two(300, 0), two(900, 1), Plain())


def test_as_good_as_true_items_is_what_true_items_are(reference, two):
    told = reference.measures(two(300, 2))
    assert told["frechet"] < 0.2 and told["density"] == pytest.approx(1, abs=0.1) and told["coverage"] > 0.93
    assert told["classes_found"] == 1 and told["class_entropy"] == pytest.approx(math.log(2), abs=0.02)
    assert told["nearest_ratio"] == pytest.approx(1, abs=0.25)


def test_collapsed_samples_are_worse_in_coverage_classes_and_distances_and_not_in_density(reference, two):
    good, collapsed = (reference.measures(two(300, 2, places)) for places in (2, 1))
    assert collapsed["coverage"] < 0.6 * good["coverage"] and collapsed["density"] > 0.8 * good["density"]
    assert collapsed["classes_found"] == 0.5 and collapsed["class_entropy"] == collapsed["least_class_share"] == 0
    assert collapsed["frechet"] > 10 * good["frechet"] and collapsed["energy_distance"] > 10 * good["energy_distance"]


def test_noisy_samples_are_worse_in_density_and_far_from_training_items(reference, two):
    good, noisy = (reference.measures(two(300, 2, spread=spread)) for spread in (0.3, 2.0))
    assert noisy["density"] < 0.3 * good["density"] and noisy["nearest_ratio"] > 3 * good["nearest_ratio"]


def test_copies_are_told(reference):
    copies = reference.train[:300]
    assert reference.measures(copies)["nearest_ratio"] < 0.02
    # By all else they are as good as can be.
    assert reference.measures(copies)["density"] == pytest.approx(1, abs=0.1)
    near = copies + 0.01 * torch.randn(copies.shape, generator=torch.Generator().manual_seed(3))
    assert reference.measures(near)["nearest_ratio"] < 0.5


def test_the_spread_over_classes_is_counted_by_hand():
    told = class_measures(torch.tensor([0, 0, 2, 2, 2, 1, 0, 2]), 4)
    shares = (3 / 8, 1 / 8, 4 / 8)
    assert told["class_entropy"] == pytest.approx(-sum(p * math.log(p) for p in shares))
    assert told["classes_found"] == 3 / 4 and told["least_class_share"] == 0


@pytest.mark.parametrize(("n", "names"), [(1, set()), (3, {"frechet"}), (6, {"frechet", "density", "coverage"})])
def test_what_needs_more_items_than_there_are_is_left_out(two, n, names):
    told = Reference(two(n, 0), two(n, 1), Plain()).measures(two(n, 2))
    assert {"frechet", "density", "coverage"} & set(told) == names
    assert all(math.isfinite(value) for value in told.values())


def test_of_test_items_that_are_all_training_items_there_is_no_ratio(two):
    assert "nearest_ratio" not in Reference(two(20, 0), two(20, 0), Plain()).measures(two(20, 1))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_of_items_that_are_no_numbers_nothing_is_told(reference, two, value):
    x = two(300, 2)
    x[7, 1] = value
    assert reference.measures(x) == {}
    assert all(math.isfinite(value) for value in reference.measures(1e18 * two(300, 2)).values())


def test_the_width_of_classes_is_over_that_of_true_ones_whose_middle_may_be_elsewhere():
    x = torch.tensor([[0.0, 0], [2, 0], [5, 5], [5, 9]])
    true, label = torch.tensor([[9.0, 1], [9, 2], [0, 0], [4, 4], [7, 7]]), torch.tensor([0, 0, 1, 1, -1])
    # Sums of squares 2 over 0.5 of the one class, 8 over 16 of the other.
    assert within_class_variance(x, torch.tensor([0, 0, 1, 1]), true, label) == pytest.approx((4 + 0.5) / 2)


def test_classes_that_have_no_width_of_true_items_do_not_count():
    x, label = torch.randn(6, 3), torch.tensor([0, 0, 1, 1, 2, 2])
    true = torch.cat([x[:2], x[2:3], torch.ones(2, 3)])
    assert within_class_variance(x, label, true, torch.tensor([0, 0, 1, 2, 2])) == pytest.approx(1)
    assert within_class_variance(x[2:], label[2:], true, torch.tensor([0, 0, 1, 2, 2])) is None
