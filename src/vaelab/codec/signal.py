"""Signals: one mean and one standard deviation for all."""

import torch
from torch import Tensor

from vaelab.codec.base import Codec, Encoded
from vaelab.codec.checks import require_finite


class SignalCodec(Codec):
    """Signals less the mean, over the standard deviation, of the whole training split.

    One number each, not one an item or an instant, so that loudness and shape stay what they are. With
    `standardise=False` the signals are taken as they are.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, standardise: bool = True) -> None:
        super().__init__()
        self.standardise = standardise
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("std", torch.ones(()))

    def fit(self, raw: Tensor) -> None:
        """Learn mean and standard deviation of `(items, channels, time)`; a constant is only shifted."""
        require_finite(raw)
        if self.standardise:
            std, mean = torch.std_mean(raw.double(), correction=0)
            self.mean.copy_(mean)
            # In single precision: there the smallest deviations are nothing.
            self.std.copy_(std if std.float() > 0 else torch.ones(()))

    def encode(self, raw: Tensor, level: Tensor | None = None, generator: torch.Generator | None = None) -> Encoded:
        """`(batch, channels, time)`, standardised; the level is 0."""
        require_finite(raw)
        return Encoded((raw - self.mean) / self.std, raw.new_zeros(len(raw)))

    def decode(self, x: Tensor, level: Tensor | None = None) -> Tensor:
        """Back to the user's units."""
        return x * self.std + self.mean
