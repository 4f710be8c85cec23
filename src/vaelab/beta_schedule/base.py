"""Beta, the weight of the KL term, as a pure function of the global step.

Each schedule takes the step and the run's number of steps, and its settings by name; a configuration binds the
settings (`configs/beta_schedule/`). Nothing is remembered between calls, so a resumed run continues exactly.
Lengths are in steps; None takes a share of the run, so that a recipe fits short and long runs alike. When the run is
over, at step `total_steps`, which no step is taken at, every schedule is at its final value: what was asked for, by
which validations weigh.
"""

from typing import NamedTuple, Protocol, TypeVar

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
    """The interface: a function whose further parameters, by name, are its settings."""

    def __call__(self, step: int, total_steps: int) -> Pressure:
        """What step `step` of `total_steps` asks of the KL."""
        ...


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
