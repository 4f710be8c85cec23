"""Beta, the weight of the KL term, as a pure function of the global step.

Each schedule takes the step first and its settings by name; a configuration binds the settings
(`configs/beta_schedule/`). Nothing is remembered between calls, so a resumed run continues exactly.
"""


def constant(step: int, *, value: float = 1.0) -> float:
    """Beta is `value` at every step (Higgins et al. 2017)."""
    return value


def linear(step: int, *, value: float = 1.0, start: float = 0.0, warmup_steps: int = 1000) -> float:
    """Beta rises from `start` to `value` over `warmup_steps` steps and stays (Bowman et al. 2016)."""
    return start + (value - start) * min(step / max(warmup_steps, 1), 1.0)


def cyclic(step: int, *, value: float = 1.0, start: float = 0.0, cycle_steps: int = 2000, rising: float = 0.5) -> float:
    """Beta rises anew in every cycle, over its share `rising`, then holds (Fu et al. 2019, eq. 6)."""
    progress = (step % cycle_steps) / cycle_steps
    return start + (value - start) * min(progress / rising, 1.0)
