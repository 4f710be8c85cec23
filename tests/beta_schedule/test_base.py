import sys
from functools import partial

import numpy as np
import pytest
import torch

from vaelab.beta_schedule.base import Pressure, pressure_of
from vaelab.errors import UserError


def gives(step, total_steps, *, value):
    return value


def test_without_a_capacity_the_kl_is_weighed_by_beta():
    assert Pressure(3.0).on(torch.tensor(2.0)).item() == 6.0


@pytest.mark.parametrize("number", [2.5, 3, 0, np.float32(2.5), np.int64(3)])
def test_a_plain_number_is_a_pressure_of_that_beta(number):
    found = pressure_of(partial(gives, value=number), 3, 10)
    assert found == Pressure(float(number), 0.0) and type(found.beta) is float


def test_a_pressure_stays_as_it_is():
    assert pressure_of(partial(gives, value=Pressure(2.0, 7.0)), 3, 10) == Pressure(2.0, 7.0)


def test_a_schedule_is_asked_for_the_step_and_the_length_of_the_run():
    assert pressure_of(lambda step, total_steps: 100 * step + total_steps, 3, 10).beta == 310


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (None, "NoneType"),
        (True, "bool"),
        ("0.5", "str"),
        (1j, "complex"),
        ((1.0, 25.0), "tuple"),
        (torch.ones(30, 30), "Tensor"),
        (Pressure(torch.tensor(1.0)), "Tensor and float"),
        (Pressure(1.0, True), "float and bool"),
        (Pressure, "type"),
    ],
)
def test_what_is_neither_a_number_nor_a_pressure_is_refused_naming_the_schedule_and_what_to_return(value, named):
    with pytest.raises(UserError) as told:
        pressure_of(partial(gives, value=value), 3, 10)
    assert str(told.value) == (
        f"beta_schedule._target_={__name__}.gives gives {named} at step 3: return beta as a number, "
        "or a vaelab.beta_schedule.base.Pressure of two numbers"
    )


OWN = """
def halving(step, total_steps, *, value=1.0):
    return value * 0.5 ** (10 * step / total_steps)
"""


def test_a_function_of_the_users_own_that_returns_a_number_weighs_the_kl(tiny, tmp_path, monkeypatch):
    (tmp_path / "own_schedules.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    run = tiny("sine", "beta_schedule._target_=own_schedules.halving", "beta_schedule.value=8")
    monkeypatch.delitem(sys.modules, "own_schedules")
    run.variant.total_steps = 100
    assert run.variant.pressure(20) == Pressure(2.0)
