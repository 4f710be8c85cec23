import math

import pytest
import torch
from torch import nn

from vaelab.errors import UserError
from vaelab.latent import flow as module
from vaelab.latent.base import selected
from vaelab.latent.densities import code_sampler
from vaelab.latent.flow import FEWEST, WIDEST, Field, Flow, carried, fit_flow
from vaelab.latent.gaussian import GaussianPosterior
from vaelab.latent.point import PointPosterior
from vaelab.metrics.baseline import gaussian_samples
from vaelab.metrics.samples import energy_distance


@pytest.fixture
def steps(monkeypatch):
    """Sets how long flows are fitted."""
    return lambda count: monkeypatch.setattr(module, "STEPS", count)


def ring(n, seed=0):
    """Points around a circle of radius 5, which stand for posteriors of standard deviation 0.3."""
    torch.manual_seed(seed)
    phase = 2 * math.pi * torch.rand(n)
    return normal(5 * torch.stack([phase.cos(), phase.sin()], 1), 0.3)


def moons(n, seed=0):
    """Two half circles, one of them turned over and moved."""
    torch.manual_seed(seed)
    phase, upper = math.pi * torch.rand(n), torch.rand(n) < 0.5
    x = torch.where(upper, phase.cos(), 1 - phase.cos())
    y = torch.where(upper, phase.sin(), 0.5 - phase.sin())
    return normal(torch.stack([x, y], 1), 0.05)


def normal(mean, sigma):
    return GaussianPosterior(mean, torch.full_like(mean, 2 * math.log(sigma)))


def drawn(flow, n=2000, seed=0):
    torch.manual_seed(seed)
    return flow.draw(n)


@pytest.mark.parametrize("shape", [ring, moons])
def test_a_density_with_a_hole_is_learnt_where_one_gaussian_fills_it(shape):
    codes, fresh = shape(3000).sample(), shape(2000, seed=1).sample()
    gaussian = energy_distance(gaussian_samples(codes, 2000, 0), fresh)
    assert energy_distance(drawn(fit_flow(shape(3000), 0)), fresh) < 0.1 * gaussian


def test_it_learns_what_is_drawn_of_items_and_not_their_means_alone(steps):
    steps(100)
    found = drawn(fit_flow(normal(torch.tensor([[3.0, -2.0]]).repeat(50, 1), 0.5), 0))
    assert found.mean(0).tolist() == pytest.approx([3.0, -2.0], abs=0.1)
    assert found.std(0).tolist() == pytest.approx([0.5, 0.5], rel=0.1)


def test_one_seed_fits_one_flow_and_leaves_the_worlds_randomness_alone(steps):
    steps(5)
    torch.manual_seed(7)
    first = fit_flow(ring(50), 0)
    after = torch.rand(1)
    torch.manual_seed(7)
    ring(50)
    assert torch.equal(after, torch.rand(1))
    again, other = fit_flow(ring(50), 0), fit_flow(ring(50), 1)
    assert torch.equal(drawn(first), drawn(again)) and not torch.equal(drawn(first), drawn(other))


def test_the_field_begins_with_what_is_right_for_normal_codes():
    # E[x1 - x0 | xt] is linear in xt, and its slope is their covariance over the variance of xt.
    torch.manual_seed(0)
    x0, x1 = torch.randn(2, 400_000, dtype=torch.float64)
    for time in (0.0, 0.3, 0.5, 0.9, 1.0):
        xt = torch.lerp(x0, x1, time)
        slope = float((xt * (x1 - x0)).mean() / xt.square().mean())
        found = Field(1)(torch.tensor([[2.0]]), torch.tensor([time])).detach()
        assert float(found) == pytest.approx(2 * slope, abs=0.02)


def test_points_are_carried_as_the_differential_equation_says():
    class Growth(nn.Module):
        def forward(self, x, time):
            return 2 * time[:, None] * x

    start = torch.tensor([[1.0], [-2.0]])
    # dx = 2 t x dt has the solution x exp(t²).
    assert torch.allclose(carried(Growth(), start), math.e * start, rtol=2e-3)


def test_codes_of_one_number_and_numbers_that_never_change_are_learnt(steps):
    steps(50)
    one = fit_flow(normal(torch.linspace(-1, 1, 40)[:, None], 0.1), 0)
    assert drawn(one).shape == (2000, 1)
    constant = torch.stack([torch.full((40,), 1e6), torch.linspace(-1, 1, 40)], 1)
    found = drawn(fit_flow(PointPosterior(constant), 0))
    assert torch.allclose(found[:, 0], torch.tensor(1e6), rtol=1e-6) and 0.4 < found[:, 1].std() < 0.8


def test_of_very_wide_codes_the_principal_directions_are_learnt_and_the_rest_keeps_its_spread(steps):
    steps(20)
    torch.manual_seed(0)
    size = WIDEST + 200
    spread = torch.linspace(0.1, 3, size)
    shared = torch.randn(600, 2) @ torch.randn(2, size)
    posterior = normal(spread * (shared + 1), 0.01)
    posterior = GaussianPosterior(posterior.mean, posterior.log_variance + 2 * spread.log())
    flow = fit_flow(posterior, 0)
    assert flow.field.enter.in_features == WIDEST
    found, true = drawn(flow, 4000), selected(posterior, torch.randint(600, (4000,))).sample()
    assert ((found.std(0) / true.std(0)).log().abs() < 0.15).all()
    assert ((found.mean(0) - true.mean(0)).abs() < 0.15 * true.std(0)).all()
    # What goes together in the codes goes together in draws.
    assert (torch.corrcoef(found.T) - torch.corrcoef(true.T)).abs().mean() < 0.05


def test_too_few_items_and_codes_that_are_no_numbers_are_refused_in_one_line(steps):
    steps(2)
    with pytest.raises(UserError, match=r"^task.density=flow learns from at least 10 training items, not 9: [^\n]+$"):
        fit_flow(ring(FEWEST - 1), 0)
    broken = ring(20)
    broken.mean[3, 0] = math.nan
    with pytest.raises(UserError, match=r"^task.density=flow: the codes of training items are no numbers[^\n]+$"):
        fit_flow(broken, 0)


def test_a_flow_whose_numbers_run_away_is_refused_in_one_line():
    flow = Flow(2)
    flow.out_of.fill_(1e12)
    with pytest.raises(UserError, match=r"^task.density=flow: [^\n]+$"):
        drawn(flow)


def test_many_codes_drawn_in_parts_are_the_same_as_drawn_at_once(monkeypatch, steps):
    from vaelab.latent.gaussian import GaussianLatent

    steps(20)
    draw = code_sampler("flow", latent=GaussianLatent(2), codes=None, seed=0, flow=fit_flow(ring(50), 0))
    whole = draw(100, 3)
    monkeypatch.setattr(module, "AT_ONCE", 7)
    assert torch.allclose(draw(100, 3), whole, atol=1e-5)


def test_codes_come_back_from_the_noise_that_they_are_made_of(steps):
    steps(200)
    flow = fit_flow(ring(1000), 0)
    torch.manual_seed(1)
    noise = torch.randn(50, 2)
    assert torch.allclose(flow.noise_of(flow.codes_of(noise)), noise, atol=0.05)


def test_of_normal_codes_their_noise_is_how_many_deviations_they_are_from_the_mean(steps):
    steps(0)
    flow = fit_flow(normal(torch.tensor([[3.0, -2.0]]).repeat(50, 1), 0.5), 0)
    codes = torch.tensor([[3.0, -2.0], [4.0, -2.5]])
    assert torch.allclose(flow.noise_of(codes), torch.tensor([[0.0, 0.0], [2.0, -1.0]]), atol=0.1)
