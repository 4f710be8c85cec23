"""Traces: each over its own largest value."""

import torch
from torch import Tensor

from vaelab.codec.base import Codec, Encoded
from vaelab.codec.checks import require_finite


class TraceCodec(Codec):
    """Traces over their own max |x|, which is their level.

    The noise-free partner is encoded at the noisy trace's level, so that both speak of the same volts.
    """

    def fit(self, raw: Tensor) -> None:
        """Learn the typical level of `(items, channels, time)`."""
        self.typical_level.copy_(self.encode(raw).level.median())

    def encode(self, raw: Tensor, level: Tensor | None = None, generator: torch.Generator | None = None) -> Encoded:
        """`(batch, channels, time)` over the `(batch,)` level; what has level 0 stays as it is."""
        require_finite(raw)
        level = raw.abs().flatten(1).amax(dim=1) if level is None else level.to(raw)
        return Encoded(raw / _over_time(level.where(level > 0, 1)), level)

    def decode(self, x: Tensor, level: Tensor | None = None) -> Tensor:
        """Back to the user's units."""
        return x * _over_time(self.levels(x, level))


def _over_time(level: Tensor) -> Tensor:
    return level[:, None, None]
