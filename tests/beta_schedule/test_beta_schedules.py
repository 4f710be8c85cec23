from functools import partial

import pytest
import torch
from entries import load, names

from vaelab.beta_schedule.base import BetaSchedule, Pressure, pressure_of
from vaelab.beta_schedule.capacity import capacity
from vaelab.beta_schedule.constant import constant
from vaelab.beta_schedule.cosine import cosine
from vaelab.beta_schedule.cyclic import cyclic
from vaelab.beta_schedule.linear import linear
from vaelab.beta_schedule.sinusoid import sinusoid
from vaelab.config import bind
from vaelab.errors import UserError

SCHEDULES = names("beta_schedule")
LENGTHS = [(name, key) for name in SCHEDULES for key in load("beta_schedule", name) if key.endswith("_steps")]
TOTAL = 1000


def entry(name, **settings):
    """An entry's pressure at a step of a run of so many, some of its settings changed."""
    return partial(pressure_of, bind(load("beta_schedule", name, **settings), BetaSchedule))


def beta(schedule, step, **settings):
    return schedule(step, TOTAL, **settings)


@pytest.mark.parametrize("step", [0, 1, 10**9])
def test_constant_is_its_value_at_every_step(step):
    assert beta(constant, step, value=4.0) == 4.0


@pytest.mark.parametrize(("step", "expected"), [(0, 0.5), (50, 1.25), (99, 1.985), (100, 2.0), (101, 2.0), (999, 2.0)])
def test_linear_goes_from_start_to_value_over_its_warmup_and_stays(step, expected):
    assert beta(linear, step, value=2.0, start=0.5, warmup_steps=100) == pytest.approx(expected)


def test_linear_may_fall():
    assert beta(linear, 25, value=1.0, start=5.0, warmup_steps=100) == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("step", "expected"), [(0, 1.0), (25, 1.292893), (50, 2.0), (75, 2.707107), (100, 3.0), (500, 3.0)]
)
def test_cosine_rises_slowly_at_both_ends(step, expected):
    assert beta(cosine, step, value=3.0, start=1.0, warmup_steps=100) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("step", "expected"),
    [(0, 0.0), (20, 1.0), (40, 2.0), (79, 2.0), (80, 0.0), (100, 1.0), (120, 2.0), (159, 2.0), (160, 0.0)],
)
def test_cyclic_rises_in_the_first_half_of_each_cycle_holds_and_begins_anew(step, expected):
    assert beta(cyclic, step, value=2.0, cycle_steps=80, rising=0.5) == pytest.approx(expected)


def test_cyclic_rises_from_its_start_over_its_own_share_of_the_cycle():
    assert beta(cyclic, 10, value=2.0, start=1.0, cycle_steps=100, rising=0.2) == pytest.approx(1.5)
    assert beta(cyclic, 20, value=2.0, start=1.0, cycle_steps=100, rising=0.2) == pytest.approx(2.0)


def test_sinusoid_gives_the_sharp_vaes_published_weights():
    weights = [beta(sinusoid, epoch, value=1.0, floor=0.2, period_steps=20) for epoch in range(10)]
    assert weights == pytest.approx([0.5, 0.65, 0.79, 0.90, 0.98, 1, 0.98, 0.90, 0.79, 0.65], abs=0.006)
    assert beta(sinusoid, 15, value=1.0, floor=0.2, period_steps=20) == pytest.approx(0.2)


def test_capacity_rises_to_its_target_and_draws_the_kl_from_both_sides():
    at = [capacity(step, TOTAL, value=10.0, target=20.0, warmup_steps=100) for step in (0, 50, 100, 900)]
    assert [pressure.capacity for pressure in at] == pytest.approx([0, 10, 20, 20])
    assert {pressure.beta for pressure in at} == {10.0}
    kl = torch.tensor([18.0, 25.0])
    assert at[-1].on(kl).tolist() == pytest.approx([20.0, 50.0])


def test_lengths_left_open_are_shares_of_the_run():
    assert beta(linear, 100) == 1.0 and beta(linear, 50) == pytest.approx(0.5)
    assert beta(cyclic, 250) == 0.0 and beta(cyclic, 249) == 1.0
    assert capacity(500, TOTAL).capacity == 25.0 and capacity(499, TOTAL).capacity < 25.0


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_fits_into_a_run_of_one_step(name):
    assert 0 <= entry(name)(0, 1).beta < float("inf")


@pytest.mark.parametrize(("name", "length"), LENGTHS)
@pytest.mark.parametrize("steps", [TOTAL + 1, 0, -5])
def test_a_length_that_does_not_fit_into_the_run_is_refused_in_one_line(name, length, steps):
    told = rf"^beta_schedule.{length}={steps} does not fit into a run of 1000 steps[^\n]+$"
    with pytest.raises(UserError, match=told):
        entry(name, **{length: steps})(0, TOTAL)


@pytest.mark.parametrize("settings", [{"value": 0.0}, {"value": -1.0}, {"target": 0.0}, {"start": -1.0}])
def test_a_capacity_that_nothing_draws_to_is_refused_in_one_line(settings):
    with pytest.raises(UserError, match=r"^beta_schedule=capacity needs [^\n]+$"):
        capacity(0, TOTAL, **settings)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_asked_in_any_order_gives_the_same_betas(name):
    schedule = entry(name)
    forth = [schedule(step, TOTAL) for step in range(0, 1000, 50)]
    back = [schedule(step, TOTAL) for step in reversed(range(0, 1000, 50))]
    assert forth == back[::-1]


@pytest.mark.parametrize("total", [1, 2, 9, 10, 1000])
@pytest.mark.parametrize("name", SCHEDULES)
def test_when_the_run_is_over_every_schedule_is_at_its_final_value(name, total):
    target = load("beta_schedule", name).get("target", 0.0)
    assert entry(name, value=3.0)(total, total) == Pressure(3.0, target)


def test_a_schedule_that_falls_ends_at_its_value():
    assert linear(10, 10, value=1.0, start=5.0) == cosine(10, 10, value=1.0, start=5.0) == 1.0
