"""A beta that swings."""

import math

from vaelab.beta_schedule.base import length_in_steps


def sinusoid(
    step: int, total_steps: int, *, value: float = 1.0, floor: float = 0.2, period_steps: int | None = None
) -> float:
    """Beta swings as ½(1 + sin) of `value` with a period (the whole run), never below `floor` · `value`.

    Its final value is `value`, to which it swings.
    """
    span = length_in_steps("period_steps", period_steps, total_steps, share=1.0)
    if step >= total_steps:
        return value
    return value * max(floor, 0.5 * (1 + math.sin(2 * math.pi * step / span)))
