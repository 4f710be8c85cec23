"""The one thing that walks: from the loader through the model to the likelihood."""

from typing import NamedTuple

from torch import Tensor


class Batch(NamedTuple):
    """What a step gets.

    Attributes:
        x: `(batch, channels, *size)` what the encoder sees.
        target: shaped as `x`: x itself for an autoencoder, the clean partner for a denoiser.
        label: `(batch,)` int64; −1 where nothing is known.
        level: `(batch,)` the physical level that the codec took from each item.
        item: `(batch,)` int64 row of each among the items that were loaded, by which all else that is known is found.
    """

    x: Tensor
    target: Tensor
    label: Tensor
    level: Tensor
    item: Tensor
