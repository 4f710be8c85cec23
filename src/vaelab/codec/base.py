"""What every codec does: raw items in the user's units in, what a net sees out, and back.

A codec has no group: it is the setting `codec` of a dataset's entry. One of your own::

    # mycodecs.py
    from vaelab.codec.base import Codec, Encoded


    class Scaled(Codec):
        def __init__(self, by: float = 2.0) -> None:
            super().__init__()
            self.by = by

        def encode(self, raw, level=None, generator=None):
            return Encoded(raw / self.by, raw.new_zeros(len(raw)))

        def decode(self, x, level=None):
            return x * self.by

    # in mine/dataset/ramps.yaml
    codec:
      _target_: mycodecs.Scaled
      by: 2.0
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Encoded(NamedTuple):
    """What a net sees, and what it does not need to see but a listener does.

    Attributes:
        x: `(batch, channels, *size)` float32.
        level: `(batch,)` the physical level of each item that `x` no longer carries, in the codec's own unit
            (the peak in dB of a sound, the largest |x| of a trace), or zeros where nothing was taken away.
    """

    x: Tensor
    level: Tensor


class Codec(nn.Module):
    """Turns raw items into what a net sees, and back.

    A module so that what was fitted on the training split (its buffers, all of fixed shape) travels in the
    checkpoint and to the device. `typical_level` is the training split's median level: the level of a sample,
    which has none of its own.

    `on_the_fly` codecs have nothing to fit and encode each batch as it is drawn (cheap, and the raw items take less
    memory: uint8 pictures); the others encode every item once, before the first step.
    """

    on_the_fly = False
    typical_level: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("typical_level", torch.zeros(()))

    def fit(self, raw: Tensor) -> None:
        """Learn from the training split's raw items `(items, channels, *size)` whatever has to be learnt."""

    def encode(self, raw: Tensor, level: Tensor | None = None, generator: torch.Generator | None = None) -> Encoded:
        """Encode `(batch, channels, *size)`; at the given `(batch,)` level, if any, instead of each item's own.

        `generator` feeds codecs that draw (dynamic binarisation); without one they return the expectation.
        """
        raise NotImplementedError

    def decode(self, x: Tensor, level: Tensor | None = None) -> Tensor:
        """Back to the user's units; at the training split's typical level where none is given."""
        raise NotImplementedError

    def levels(self, x: Tensor, level: Tensor | None) -> Tensor:
        """The given levels, or the typical one for each of the batch: `(batch,)`."""
        return self.typical_level.to(x).expand(len(x)) if level is None else level.to(x)
