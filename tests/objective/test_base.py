import pytest
from entries import load, names

from vaelab.beta_schedule.base import BetaSchedule, Pressure, pressure_of
from vaelab.beta_schedule.capacity import capacity
from vaelab.beta_schedule.constant import constant
from vaelab.config import bind, build
from vaelab.errors import UserError
from vaelab.latent.base import Latent
from vaelab.latent.gaussian import GaussianLatent
from vaelab.objective.base import Objective
from vaelab.objective.elbo import Elbo

# The objectives that can weigh a code without a prior, and a capacity.
POINTS, CAPACITIES = {"elbo"}, {"elbo"}


@pytest.mark.parametrize("schedule", names("beta_schedule"))
@pytest.mark.parametrize("objective", names("objective"))
@pytest.mark.parametrize("latent", names("latent"))
def test_every_objective_takes_the_schedules_and_latents_that_it_can_weigh_and_refuses_the_others(
    objective, schedule, latent
):
    end = pressure_of(bind(load("beta_schedule", schedule), BetaSchedule), 100, 100)
    code, check = build(load("latent", latent, dim=3), Latent), build(load("objective", objective), Objective).check
    point = not code.has_prior
    if (point and objective not in POINTS) or (end.capacity and (point or objective not in CAPACITIES)):
        with pytest.raises(UserError, match=rf"^(objective=|latent={latent})[^\n]+: use [^\n]+$"):
            check(code, end)
    else:
        check(code, end)


def test_free_bits_above_the_capacity_are_refused_and_those_below_are_not():
    end = capacity(100, 100, target=4.0)
    with pytest.raises(
        UserError, match=r"^objective.free_bits=0.5 gives 10 dimensions 5 nats[^\n]+capacity of 4[^\n]+$"
    ):
        Elbo(free_bits=0.5).check(GaussianLatent(10), end)
    Elbo(free_bits=0.4).check(GaussianLatent(10), end)
    Elbo(free_bits=0.5).check(GaussianLatent(10), Pressure(constant(100, 100)))
