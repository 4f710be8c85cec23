"""A warm-up that begins anew in every cycle."""

from vaelab.beta_schedule.base import length_in_steps
from vaelab.errors import UserError


def cyclic(
    step: int,
    total_steps: int,
    *,
    value: float = 1.0,
    start: float = 0.0,
    cycle_steps: int | None = None,
    rising: float = 0.5,
) -> float:
    """Beta rises anew in every cycle (a quarter of the run), over its share `rising` (Fu et al. 2019, eq. 6).

    Its final value is `value`, wherever in a cycle the run ends.

    Raises:
        UserError: if `rising` is no share.
    """
    if not 0 < rising <= 1:
        raise UserError(f"beta_schedule.rising must lie in (0, 1], not {rising}")
    span = length_in_steps("cycle_steps", cycle_steps, total_steps, share=0.25)
    if step >= total_steps:
        return value
    return start + (value - start) * min(step % span / span / rising, 1.0)
