"""Fill what is missing in items of the user's own."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from vaelab.dataset.masks import read_mask
from vaelab.errors import UserError
from vaelab.run.checkpoint import Run
from vaelab.task.base import Output, encode, read_file
from vaelab.variant.base import Inpaints


@dataclass
class Inpaint:
    """Fill what is missing in the items of `file`: what the file `mask` says, or `hide`, the same of all items.

    `hide` gives the first and the last pixel, sample, bin or frame along each axis of what the net sees; null: all.
    """

    needs: ClassVar[type] = Inpaints

    file: str = ""
    mask: str = ""
    hide: list[list[int] | None] | None = None

    def __call__(self, run: Run, out: Output) -> None:
        """Write the filled items as npy, each picture as png and each sound as wav, and a picture of all three stages.

        What is not missing stays as it was, but for sound, whose phases are found anew.
        """
        variant = run.variant
        assert isinstance(variant, Inpaints)
        if not self.file:
            raise UserError("task.file has no value: give a file in which something is missing")
        raw = read_file(run, self.file)
        hidden = self._hidden(variant.shape[1:], len(raw))
        # Of sound it is the spectrogram that something is missing in.
        placed = raw.shape[2:] == hidden.shape[2:]
        x, level = encode(run, raw.masked_fill(hidden, 0) if placed else raw)
        filled = variant.fill(x, hidden)
        name = f"{Path(self.file).stem}_filled"
        with torch.inference_mode():
            made = variant.codec.decode(filled, level)
        out.array(name, torch.where(hidden, made, raw) if placed else made)
        self._write_pictures(out, name, variant.kind.sprites(filled))
        out.sounds(name, variant.kind, filled, level)
        out.figure(f"{name}_stages", variant.kind.fill_figure(x, hidden, filled, level))

    def _write_pictures(self, out: Output, name: str, pictures: Tensor | None) -> None:
        from PIL import Image

        for k, picture in enumerate([] if pictures is None else (pictures * 255).round().byte()):
            pixels = picture[0] if len(picture) == 1 else picture.permute(1, 2, 0)
            with out.file(f"{name}_{k:03d}.png") as path:
                Image.fromarray(pixels.numpy()).save(path, format="PNG")

    def _hidden(self, size: tuple[int, ...], items: int) -> Tensor:
        """What is missing, `(items, 1, *size)`. Raises `UserError` where it is nothing or all of an item."""
        if bool(self.mask) == (self.hide is not None):
            raise UserError(f"give task.mask=FILE or task.hide={_example(size)}, one of them: it says what is missing")
        hidden = read_mask(self.mask, size, self.file) if self.mask else self._rectangle(size)
        if len(hidden) not in (1, items):
            raise UserError(f"{self.mask} has {len(hidden)} masks, and {self.file} {items} items: give one, or as many")
        share = hidden.flatten(1).float().mean(1)
        if share.min() == 0 or share.max() == 1:
            what = "nothing: give what is missing" if share.min() == 0 else "all: leave something to tell it from"
            raise UserError(f"{'task.mask' if self.mask else 'task.hide'} says that of an item is missing {what}")
        return hidden.expand(items, *hidden.shape[1:])

    def _rectangle(self, size: tuple[int, ...]) -> Tensor:
        assert self.hide is not None
        ends = [[0, side - 1] if pair is None else pair for pair, side in zip(self.hide, size, strict=False)]
        good = (len(pair) == 2 and 0 <= pair[0] <= pair[1] < side for pair, side in zip(ends, size, strict=False))
        if len(self.hide) != len(size) or not all(good):
            words = " x ".join(map(str, size))
            raise UserError(
                f"task.hide={self.hide} is no part of {words}: give first and last along each axis, {_example(size)}"
            )
        hidden = torch.zeros(size, dtype=torch.bool)
        hidden[tuple(slice(first, last + 1) for first, last in ends)] = True
        return hidden[None, None]


def _example(size: tuple[int, ...]) -> str:
    return str([[side // 4, side // 2] for side in size]).replace(" ", "")
