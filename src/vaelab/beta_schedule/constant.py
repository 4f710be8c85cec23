"""The same beta at every step."""


def constant(step: int, total_steps: int, *, value: float = 1.0) -> float:
    """Beta is `value` at every step (Higgins et al. 2017)."""
    return value
