"""The same beta at every step."""

from vaelab.beta_schedule.base import Pressure


def constant(step: int, total_steps: int, *, value: float = 1.0) -> Pressure:
    """Beta is `value` at every step (Higgins et al. 2017)."""
    return Pressure(value)
