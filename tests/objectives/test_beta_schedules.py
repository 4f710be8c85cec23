import pytest

from vaelab.objectives.beta_schedules import constant, cyclic, linear

SCHEDULES = [constant, linear, cyclic]


@pytest.mark.parametrize("step", [0, 1, 10**9])
def test_constant_is_its_value_at_every_step(step):
    assert constant(step, value=4.0) == 4.0


@pytest.mark.parametrize(("step", "beta"), [(0, 0.5), (50, 1.25), (99, 1.985), (100, 2.0), (101, 2.0), (10**9, 2.0)])
def test_linear_goes_from_start_to_value_over_its_warmup_and_stays(step, beta):
    assert linear(step, value=2.0, start=0.5, warmup_steps=100) == pytest.approx(beta)


def test_linear_may_fall():
    assert linear(25, value=1.0, start=5.0, warmup_steps=100) == pytest.approx(4.0)


def test_linear_without_a_warmup_is_at_its_value_after_the_first_step():
    assert linear(0, value=3.0, warmup_steps=0) == 0.0 and linear(1, value=3.0, warmup_steps=0) == 3.0


@pytest.mark.parametrize(
    ("step", "beta"),
    [(0, 0.0), (20, 1.0), (40, 2.0), (79, 2.0), (80, 0.0), (100, 1.0), (120, 2.0), (159, 2.0), (160, 0.0)],
)
def test_cyclic_rises_in_the_first_half_of_each_cycle_holds_and_begins_anew(step, beta):
    assert cyclic(step, value=2.0, cycle_steps=80, rising=0.5) == pytest.approx(beta)


def test_cyclic_rises_from_its_start_over_its_own_share_of_the_cycle():
    assert cyclic(10, value=2.0, start=1.0, cycle_steps=100, rising=0.2) == pytest.approx(1.5)
    assert cyclic(20, value=2.0, start=1.0, cycle_steps=100, rising=0.2) == pytest.approx(2.0)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule_asked_in_any_order_gives_the_same_betas(schedule):
    forth = [schedule(step) for step in range(0, 5000, 250)]
    back = [schedule(step) for step in reversed(range(0, 5000, 250))]
    assert forth == back[::-1] and all(0 <= beta <= 1 for beta in forth)
