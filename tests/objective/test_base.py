import pytest
from omegaconf import OmegaConf

from vaelab.beta_schedule.base import BetaSchedule, Pressure, pressure_of
from vaelab.beta_schedule.capacity import capacity
from vaelab.beta_schedule.constant import constant
from vaelab.config import bind, config_dir
from vaelab.errors import UserError
from vaelab.latent.circle import CircleLatent
from vaelab.latent.gaussian import GaussianLatent
from vaelab.latent.point import PointLatent
from vaelab.objective.elbo import Elbo
from vaelab.objective.iwae import ImportanceWeighted
from vaelab.objective.tcvae import TotalCorrelation

SCHEDULES = {file.stem: OmegaConf.load(file) for file in sorted((config_dir() / "beta_schedule").glob("*.yaml"))}
# What each objective can weigh.
POINTS, CAPACITIES = {Elbo}, {Elbo}


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("objective", [Elbo, ImportanceWeighted, TotalCorrelation])
@pytest.mark.parametrize(
    "latent", [GaussianLatent(3), CircleLatent(3), PointLatent(3)], ids=["gaussian", "circle", "point"]
)
def test_every_objective_takes_the_schedules_and_latents_that_it_can_weigh_and_refuses_the_others(
    objective, schedule, latent
):
    end = pressure_of(bind(SCHEDULES[schedule], BetaSchedule), 100, 100)
    point = not latent.has_prior
    if (point and objective not in POINTS) or (schedule == "capacity" and (point or objective not in CAPACITIES)):
        with pytest.raises(UserError, match=r"^(objective=|latent=point)[^\n]+: use [^\n]+$"):
            objective().check(latent, end)
    else:
        objective().check(latent, end)


def test_free_bits_above_the_capacity_are_refused_and_those_below_are_not():
    end = capacity(100, 100, target=4.0)
    with pytest.raises(
        UserError, match=r"^objective.free_bits=0.5 gives 10 dimensions 5 nats[^\n]+capacity of 4[^\n]+$"
    ):
        Elbo(free_bits=0.5).check(GaussianLatent(10), end)
    Elbo(free_bits=0.4).check(GaussianLatent(10), end)
    Elbo(free_bits=0.5).check(GaussianLatent(10), Pressure(constant(100, 100)))
