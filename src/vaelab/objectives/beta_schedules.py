"""Beta, the weight of the KL term, as a pure function of the global step.

Each schedule takes the step and the run's number of steps, and its settings by name; a configuration binds the
settings (`configs/beta_schedule/`). Nothing is remembered between calls, so a resumed run continues exactly.
Lengths are in steps; None takes a share of the run, so that a recipe fits short and long runs alike. When the run is
over, at step `total_steps`, which no step is taken at, every schedule is at its final value: what was asked for, by
which validations weigh.
"""

import math
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


def constant(step: int, total_steps: int, *, value: float = 1.0) -> Pressure:
    """Beta is `value` at every step (Higgins et al. 2017)."""
    return Pressure(value)


def linear(
    step: int, total_steps: int, *, value: float = 1.0, start: float = 0.0, warmup_steps: int | None = None
) -> Pressure:
    """Beta rises from `start` to `value` over `warmup_steps` (a tenth of the run) and stays (Bowman et al. 2016)."""
    span = _span("warmup_steps", warmup_steps, total_steps, share=0.1)
    return Pressure(start + (value - start) * min(step / span, 1.0))


def cosine(
    step: int, total_steps: int, *, value: float = 1.0, start: float = 0.0, warmup_steps: int | None = None
) -> Pressure:
    """As `linear`, along half a cosine: slow at both ends."""
    span = _span("warmup_steps", warmup_steps, total_steps, share=0.1)
    return Pressure(start + (value - start) * 0.5 * (1 - math.cos(math.pi * min(step / span, 1.0))))


def cyclic(
    step: int,
    total_steps: int,
    *,
    value: float = 1.0,
    start: float = 0.0,
    cycle_steps: int | None = None,
    rising: float = 0.5,
) -> Pressure:
    """Beta rises anew in every cycle (a quarter of the run), over its share `rising` (Fu et al. 2019, eq. 6).

    Its final value is `value`, wherever in a cycle the run ends.

    Raises:
        UserError: if `rising` is no share.
    """
    if not 0 < rising <= 1:
        raise UserError(f"beta_schedule.rising must lie in (0, 1], not {rising}")
    span = _span("cycle_steps", cycle_steps, total_steps, share=0.25)
    if step >= total_steps:
        return Pressure(value)
    return Pressure(start + (value - start) * min(step % span / span / rising, 1.0))


def sinusoid(
    step: int, total_steps: int, *, value: float = 1.0, floor: float = 0.2, period_steps: int | None = None
) -> Pressure:
    """Beta swings as ½(1 + sin) of `value` with a period (the whole run), never below `floor` · `value`.

    Its final value is `value`, to which it swings.
    """
    span = _span("period_steps", period_steps, total_steps, share=1.0)
    if step >= total_steps:
        return Pressure(value)
    return Pressure(value * max(floor, 0.5 * (1 + math.sin(2 * math.pi * step / span))))


def capacity(
    step: int,
    total_steps: int,
    *,
    value: float = 10.0,
    start: float = 0.0,
    target: float = 25.0,
    warmup_steps: int | None = None,
) -> Pressure:
    """Draw the KL, with weight `value`, to a capacity that rises from `start` to `target` nats.

    Burgess et al. 2018, eq. 8. The rise takes `warmup_steps` (half of the run).

    Raises:
        UserError: if the weight is not positive, or nothing rises.
    """
    if value <= 0 or start < 0 or target <= start:
        raise UserError(
            f"beta_schedule=capacity needs a positive value, not {value}, and a target above its start, "
            f"not {target} after {start}: without a weight nothing draws the KL"
        )
    span = _span("warmup_steps", warmup_steps, total_steps, share=0.5)
    return Pressure(value, start + (target - start) * min(step / span, 1.0))


def _span(name: str, steps: int | None, total_steps: int, share: float) -> int:
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
