"""A straight warm-up."""

from vaelab.beta_schedule.base import length_in_steps


def linear(
    step: int, total_steps: int, *, value: float = 1.0, start: float = 0.0, warmup_steps: int | None = None
) -> float:
    """Beta rises from `start` to `value` over `warmup_steps` (a tenth of the run) and stays (Bowman et al. 2016)."""
    span = length_in_steps("warmup_steps", warmup_steps, total_steps, share=0.1)
    return start + (value - start) * min(step / span, 1.0)
