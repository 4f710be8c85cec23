"""What every codec refuses."""

from torch import Tensor

from vaelab.errors import UserError


def require_finite(raw: Tensor) -> None:
    """Raise `UserError` if an item of `(batch, …)` holds NaN or infinity. Bytes cannot, and cost nothing."""
    # A finite sum has finite terms alone.
    if not raw.is_floating_point() or raw.sum().isfinite():
        return
    bad = ~raw.isfinite().flatten(1).all(dim=1)
    if bad.any():
        count, first = int(bad.sum()), int(bad.nonzero()[0])
        raise UserError(f"{count} of {len(raw)} items hold NaN or infinity, first item {first}: remove them")
