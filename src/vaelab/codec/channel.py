"""Channels: from the antennas to beams, where taps are independent, and back."""

import torch
from torch import Tensor

from vaelab.codec.base import Encoded
from vaelab.codec.signal import SignalCodec


class ChannelCodec(SignalCodec):
    """Taps seen by the array's beams instead of its antennas, over their standard deviation in the training split.

    Beams are the orthonormal Fourier transform over the antennas: the virtual representation of Sayeed (2002,
    "Deconstructing multiantenna fading channels"), in which taps hardly correlate, so that their variances alone say
    how wide the echoes arrive. Of two antennas, seen from their broadside, the beams are sum and difference, and the
    taps exactly independent.
    """

    def fit(self, raw: Tensor) -> None:
        """Learn the standard deviation of the beams of `(items, 2 · antennas, taps)`; uniform phases have mean 0."""
        super().fit(_beams(raw))
        self.mean.zero_()

    def encode(self, raw: Tensor, level: Tensor | None = None, generator: torch.Generator | None = None) -> Encoded:
        """`(batch, 2 · antennas, taps)` to as many beams', real and imaginary part in turn; the level is 0."""
        return super().encode(_beams(raw), level, generator)

    def decode(self, x: Tensor, level: Tensor | None = None) -> Tensor:
        """Back to the antennas."""
        beams = super().decode(x, level)
        return _parts(torch.fft.ifft(torch.complex(beams[:, 0::2], beams[:, 1::2]), dim=1, norm="ortho"))


def _beams(taps: Tensor) -> Tensor:
    return _parts(torch.fft.fft(torch.complex(taps[:, 0::2], taps[:, 1::2]), dim=1, norm="ortho"))


def _parts(values: Tensor) -> Tensor:
    """Complex `(batch, n, taps)` as real and imaginary parts in turn, `(batch, 2n, taps)`."""
    return torch.stack([values.real, values.imag], dim=2).flatten(1, 2)
