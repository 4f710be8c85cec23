"""Pictures: bytes to [0, 1] and back."""

from typing import Literal, get_args

import torch
from torch import Tensor

from vaelab.codec.base import Codec, Encoded
from vaelab.codec.checks import require_finite
from vaelab.errors import UserError

Binarisation = Literal["none", "dynamic", "threshold"]


class PictureCodec(Codec):
    """Pictures of 0 to 255 scaled to [0, 1], and made black and white if asked for.

    `dynamic` binarisation draws each pixel anew from a Bernoulli of its grey (Salakhutdinov and Murray, 2008)
    and is its expectation, the grey itself, where there is no generator; `threshold` parts them at one half.
    """

    on_the_fly = True

    def __init__(self, binarisation: Binarisation = "none") -> None:
        """Raise `UserError` if there is no such binarisation."""
        super().__init__()
        if binarisation not in get_args(Binarisation):
            raise UserError(f"binarisation={binarisation}: give none, dynamic or threshold")
        self.binarisation = binarisation

    def encode(self, raw: Tensor, level: Tensor | None = None, generator: torch.Generator | None = None) -> Encoded:
        """`(batch, channels, height, width)` of 0 to 255 to float32 in [0, 1]; the level is 0."""
        require_finite(raw)
        if self.binarisation == "dynamic" and generator is not None:
            x = drawn_white(raw, generator).view(torch.uint8).float()  # bools themselves convert far more slowly
        else:
            x = raw.to(torch.float32, copy=True).div_(255)
        if self.binarisation == "threshold":
            x = (x > 0.5).float()
        return Encoded(x, x.new_zeros(len(x)))

    def decode(self, x: Tensor, level: Tensor | None = None) -> Tensor:
        """Back to uint8 of 0 to 255; what lies outside [0, 1] is cut to it."""
        require_finite(x)
        return (x.clamp(0, 1) * 255).round().to(torch.uint8)


def drawn_white(raw: Tensor, generator: torch.Generator) -> Tensor:
    """Which pixels of bytes are white, each with probability grey / 255 (to 2⁻¹⁶; black and white for certain).

    To base 256 that is 0.ggg…, so a pixel is white where random digits come before these, and the first two tell. Two
    random bytes a pixel take a quarter of the time of Bernoulli's numbers of full width.
    """
    words = torch.empty(-(-raw.numel() // 4), dtype=torch.int64, device=raw.device)
    digits = words.random_(-(2**63), None, generator=generator).view(torch.uint8)
    first, second = digits[: 2 * raw.numel()].view(2, *raw.shape)
    second.clamp_(max=254)  # so that one of them always comes before white's, and for no other grey is it any different
    return (first < raw) | ((first == raw) & (second < raw))
