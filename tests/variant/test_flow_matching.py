from itertools import permutations

import pytest
import torch
from gaussians import Exact

from vaelab.variant.flow_matching import nearest


@pytest.fixture
def flow(tiny):
    def make(*words):
        own = (f"variant.{word}" for word in words)
        return tiny("sine", "variant=flow_matching", "dataset.samples=8", *own).variant

    return make


def velocity(time, x, mean, variances):
    """E[item − noise | x] of a Gaussian."""
    beyond = (x - time * mean) / (time**2 * variances + (1 - time) ** 2)
    return mean + (time * variances - (1 - time)) * beyond


@pytest.mark.parametrize(("sampler", "steps"), [("euler", 400), ("heun", 50)])
def test_with_the_exact_velocity_of_a_gaussian_samples_have_its_mean_and_covariance(flow, sampler, steps):
    variant = flow(f"sampler={sampler}", f"steps={steps}")
    variant.averaged = Exact(8, velocity)
    variant.averaged.check(variant.sample(4000, 0), within=0.1)


@pytest.mark.parametrize(("sampler", "order"), [("euler", 1), ("heun", 2)])
def test_with_twice_the_steps_euler_errs_half_and_heun_a_quarter(flow, sampler, order):
    codes, errors = torch.randn(50, 8), []
    for steps in (40, 80):
        variant = flow(f"sampler={sampler}", f"steps={steps}")
        known = variant.averaged = Exact(8, velocity)
        known.variances = torch.linspace(0.3, 3, 8)
        true = known.mean + ((codes @ known.axes) * known.variances.sqrt()) @ known.axes.T
        errors.append((variant.decode(codes).flatten(1) - true).norm().item())
    assert errors[0] / errors[1] == pytest.approx(2**order, rel=0.1)


def test_a_straight_path_has_the_velocity_item_minus_noise_all_along(flow):
    variant, seen = flow(), []

    def field(x, time):
        seen.append((x, time))
        return torch.zeros_like(x)

    item = torch.full((1000, 1, 8), 3.0)
    torch.manual_seed(0)
    errors = variant.errors(field, item)
    x, time = seen[0]
    time = time.double()[:, None, None]
    noise = (x - time * item) / (1 - time)
    far = (time < 0.9).flatten()
    assert abs(noise[far].mean()) < 0.05 and abs(noise[far].std() - 1) < 0.05
    assert torch.allclose(errors[far].double(), (item - noise)[far].square().mean((1, 2)), atol=1e-3)
    # A net that knows both ends has no error.
    torch.manual_seed(0)
    told = lambda x, time: (item - x) / (1 - time)[:, None, None]  # noqa: E731
    assert variant.errors(told, item)[far].max() < 1e-6


def test_where_there_is_one_item_a_single_step_reaches_it(flow):
    variant = flow("sampler=euler", "steps=1")
    variant.averaged.forward = lambda x, time: (2 - x) / (1 - time)[:, None, None]
    assert torch.allclose(variant.sample(5, 0), torch.full((5, 1, 8), 2.0))


def cost(noise, x):
    return (noise - x).flatten(1).square().sum().item()


def test_optimal_pairs_are_the_best_of_all_orders():
    torch.manual_seed(0)
    for _ in range(10):
        noise, x = torch.randn(5, 2, 3), torch.randn(5, 2, 3)
        found = nearest(noise, x)
        assert cost(found, x) == pytest.approx(min(cost(noise[list(p)], x) for p in permutations(range(5))), rel=1e-5)
        assert torch.equal(found.flatten(1).sum(1).sort().values, noise.flatten(1).sum(1).sort().values)


def test_training_pairs_noise_with_items_as_it_is_told_to(flow):
    torch.manual_seed(0)
    costs, item = {}, torch.randn(64, 1, 8)
    for pairing in ("independent", "optimal"):
        variant = flow(f"pairing={pairing}")
        torch.manual_seed(1)
        # What is left of a velocity of zero is the squared length of the way.
        costs[pairing] = variant.errors(lambda x, time: torch.zeros_like(x), item).mean()
    assert costs["optimal"] < 0.8 * costs["independent"]
    torch.manual_seed(1)
    noise = torch.randn_like(item)
    assert costs["optimal"].item() == pytest.approx(cost(nearest(noise, item), item) / item.numel(), rel=1e-5)
