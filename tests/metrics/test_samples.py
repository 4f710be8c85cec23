import pytest
import torch

from vaelab.metrics.samples import compared, energy_distance


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
