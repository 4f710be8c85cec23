"""A KL that is drawn to a rising capacity."""

from vaelab.beta_schedule.base import Pressure, length_in_steps
from vaelab.errors import UserError


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
    span = length_in_steps("warmup_steps", warmup_steps, total_steps, share=0.5)
    return Pressure(value, start + (target - start) * min(step / span, 1.0))
