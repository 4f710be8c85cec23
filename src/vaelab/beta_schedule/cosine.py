"""A warm-up along half a cosine."""

import math

from vaelab.beta_schedule.base import length_in_steps


def cosine(
    step: int, total_steps: int, *, value: float = 1.0, start: float = 0.0, warmup_steps: int | None = None
) -> float:
    """As `linear`, along half a cosine: slow at both ends."""
    span = length_in_steps("warmup_steps", warmup_steps, total_steps, share=0.1)
    return start + (value - start) * 0.5 * (1 - math.cos(math.pi * min(step / span, 1.0)))
