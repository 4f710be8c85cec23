"""Beta, the weight of the KL term, as a pure function of the global step.

Each schedule takes the step and the run's number of steps, and its settings by name; a configuration binds the
settings (`configs/beta_schedule/`). Nothing is remembered between calls, so a resumed run continues exactly.
Lengths are in steps; None takes a share of the run, so that a recipe fits short and long runs alike. When the run is
over, at step `total_steps`, which no step is taken at, every schedule is at its final value: what was asked for, by
which validations weigh.
"""

from numbers import Real
from typing import Any, NamedTuple, Protocol, TypeVar

from torch import Tensor

from vaelab.errors import UserError

Nats = TypeVar("Nats", float, Tensor)


class Pressure(NamedTuple):
    """What a step asks of the KL: its weight `beta`, and the `capacity` in nats that it is drawn towards."""

    beta: float
    capacity: float = 0.0

    def on(self, kl: Nats) -> Nats:
        """Beta · |KL − capacity|, in nats; at capacity 0 this is beta · KL."""
        return self.beta * abs(kl - self.capacity) if self.capacity else self.beta * kl


class BetaSchedule(Protocol):
    """The interface: a function whose further parameters, by name, are its settings.

    A schedule of your own, and its entry of the group::

        # myschedules.py
        def halving(step, total_steps, *, value=1.0, times=4):
            return value * 0.5 ** (times * step / total_steps)

        # mine/beta_schedule/halving.yaml
        _target_: myschedules.halving
        _partial_: true
        value: 1.0
        times: 4
    """

    def __call__(self, step: int, total_steps: int) -> float | Pressure:
        """What step `step` of `total_steps` asks of the KL: beta, or a `Pressure` where there is a capacity too."""
        ...


def pressure_of(schedule: BetaSchedule, step: int, total_steps: int) -> Pressure:
    """What a schedule asks of the KL at a step; a plain number is beta.

    Raises:
        UserError: naming the schedule, if it returns anything else.
    """
    asked = schedule(step, total_steps)
    values = asked if isinstance(asked, Pressure) else (asked,)
    if not all(map(_is_number, values)):
        function: Any = getattr(schedule, "func", schedule)
        # Their types: the values themselves may fill many lines.
        given = " and ".join(type(value).__name__ for value in values)
        raise UserError(
            f"beta_schedule._target_={function.__module__}.{function.__qualname__} gives {given} at step {step}: "
            "return beta as a number, or a vaelab.beta_schedule.base.Pressure of two numbers"
        )
    return Pressure(*map(float, values))


def _is_number(value: object) -> bool:
    """Whether it is a real number, numpy's included; a bool is more likely a mistake."""
    return isinstance(value, Real) and not isinstance(value, bool)


def length_in_steps(name: str, steps: int | None, total_steps: int, share: float) -> int:
    """A length in steps: as given, else the share of the run, at least one.

    Raises:
        UserError: if it is not positive, or longer than the run.
    """
    if steps is None:
        return max(round(share * total_steps), 1)
    if not 0 < steps <= total_steps:
        raise UserError(
            f"beta_schedule.{name}={steps} does not fit into a run of {total_steps} steps: give 1 to {total_steps}, "
            "or null for a share of the run"
        )
    return steps
