import pytest

from vaelab.errors import UserError
from vaelab.objectives import beta_schedules
from vaelab.objectives.elbo import Elbo
from vaelab.objectives.iwae import ImportanceWeighted
from vaelab.objectives.latents import Circle, Gaussian, Point
from vaelab.objectives.tcvae import TotalCorrelation

SCHEDULES = ["constant", "linear", "cosine", "cyclic", "sinusoid", "capacity"]
# What each objective can weigh.
POINTS, CAPACITIES = {Elbo}, {Elbo}


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("objective", [Elbo, ImportanceWeighted, TotalCorrelation])
@pytest.mark.parametrize("latent", [Gaussian(3), Circle(3), Point(3)], ids=["gaussian", "circle", "point"])
def test_every_objective_takes_the_schedules_and_latents_that_it_can_weigh_and_refuses_the_others(
    objective, schedule, latent
):
    end = getattr(beta_schedules, schedule)(100, 100)
    point = not latent.has_prior
    if (point and objective not in POINTS) or (schedule == "capacity" and (point or objective not in CAPACITIES)):
        with pytest.raises(UserError, match=r"^(objective=|latent=point)[^\n]+: use [^\n]+$"):
            objective().check(latent, end)
    else:
        objective().check(latent, end)


def test_free_bits_above_the_capacity_are_refused_and_those_below_are_not():
    end = beta_schedules.capacity(100, 100, target=4.0)
    with pytest.raises(
        UserError, match=r"^objective.free_bits=0.5 gives 10 dimensions 5 nats[^\n]+capacity of 4[^\n]+$"
    ):
        Elbo(free_bits=0.5).check(Gaussian(10), end)
    Elbo(free_bits=0.4).check(Gaussian(10), end)
    Elbo(free_bits=0.5).check(Gaussian(10), beta_schedules.constant(100, 100))
