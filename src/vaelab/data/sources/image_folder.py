"""Pictures: a folder of the user's own, of any size, colour and depth."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageColor, ImageOps
from torch import Tensor

from vaelab.data.cache import Arrays, cached, file_digests
from vaelab.data.items import Items, Signature
from vaelab.data.sources.files import (
    attempt,
    existing_file,
    existing_folder,
    files_under,
    folder_labels,
    groups_of_equals,
    in_threads,
    name_in,
    require_three,
    set_labels,
    sort_out,
)
from vaelab.errors import UserError

SUFFIXES = frozenset(
    {".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
MODES = {1: "L", 3: "RGB"}
RANGES = {"I": 65535.0, "F": 1.0}  # white in the modes that hold more than 8 bits a channel


@dataclass
class ImageFolder:
    """Every picture below a folder, fitted to one size; class folders become labels.

    Attributes:
        root: the folder.
        size: side in pixels, or `[height, width]`: the picture is scaled to cover it, and its centre kept.
        channels: 1 for grey, 3 for colour; None for colour unless every picture is grey.
        background: name or `#rrggbb` of the colour behind transparent pixels.
    """

    root: str
    size: int | list[int] = 64
    channels: int | None = None
    background: str = "white"

    def load(self) -> Items:
        """Pictures `(items, channels, height, width)` uint8; equal files share a group.

        Raises `UserError` if a setting makes no sense, or fewer than 3 pictures can be read.
        """
        root, shape = existing_folder(self.root), self._shape()
        paths, left_out = files_under(root, SUFFIXES, "pictures")
        digests = file_digests(paths)
        settings = [*shape, self.channels, self.background]
        found = cached(["pictures", settings, digests], lambda: self._decode(paths, shape))
        usable, broken = sort_out(root, paths, found["reason"].tolist())
        left_out += broken
        require_three(len(usable), root, "pictures", broken)
        group = groups_of_equals([digests[k] for k in usable])
        items = Items("picture", torch.from_numpy(found["raw"]), group=group, left_out=left_out)
        items.names = [name_in(root, paths[k]) for k in usable]
        return set_labels(items, folder_labels([paths[k] for k in usable]))

    def read(self, path: str | Path, signature: Signature) -> Tensor:
        """One picture of the user's own, `(1, channels, height, width)` uint8, in the model's shape."""
        return read_picture(path, signature, self.background)

    def _shape(self) -> tuple[int, int, int]:
        """Channels, height and width to decode to."""
        size = (self.size, self.size) if isinstance(self.size, int) else tuple(self.size)
        if len(size) != 2 or min(size) < 1:
            raise UserError(f"size={self.size}: give one side in pixels, or [height, width]")
        if self.channels not in (1, 3, None):
            raise UserError(f"channels={self.channels}: give 1 (grey), 3 (colour) or null (as the pictures are)")
        try:
            ImageColor.getrgb(self.background)
        except ValueError:
            raise UserError(f"background={self.background}: give a colour's name, or #rrggbb") from None
        return self.channels or 3, size[0], size[1]

    def _decode(self, paths: Sequence[Path], shape: tuple[int, int, int]) -> Arrays:
        # Into one array from the start: a list and its stack would hold every picture twice.
        raw = np.empty((len(paths), *shape), np.uint8)
        decoded = in_threads(lambda path: attempt(lambda p: decode_picture(p, shape, self.background), path), paths)
        reasons, usable = [], 0
        for picture in decoded:
            reasons.append(picture if isinstance(picture, str) else "")
            if not isinstance(picture, str):
                raw[usable] = picture
                usable += 1
        raw = raw[:usable]
        if self.channels is None and all((picture == picture[:1]).all() for picture in raw):
            raw = raw[:, :1].copy()
        return {"raw": raw, "reason": np.array(reasons)}


def read_picture(path: str | Path, signature: Signature, background: str = "white") -> Tensor:
    """One picture as `(1, channels, height, width)` uint8, in the shape that the model was trained on.

    Raises `UserError` if the file is missing or no picture, or the model is not one of pictures.
    """
    file = existing_file(path)
    if signature.kind != "picture":
        raise UserError(f"{file}: the model was trained on a {signature.kind}, not on pictures")
    picture = attempt(lambda p: decode_picture(p, signature.raw_shape, background), file)
    if isinstance(picture, str):
        raise UserError(f"{file} cannot be read: {picture}")
    return torch.from_numpy(picture)[None]


def decode_picture(path: Path, shape: Sequence[int], background: str) -> np.ndarray:
    """The picture as it is meant to be seen, `(channels, height, width)` uint8; raises what PIL raises."""
    channels, height, width = shape
    with Image.open(path) as opened:
        # A JPEG is unpacked at the smallest scale that still has twice the size, whichever way it is turned.
        opened.draft(None, (2 * max(height, width),) * 2)
        image = ImageOps.exif_transpose(opened)
        image = _opaque(_eight_bit(image), background).convert(MODES[channels])
        image = ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC)
    return np.atleast_3d(np.asarray(image)).transpose(2, 0, 1).copy()


def _eight_bit(image: Image.Image) -> Image.Image:
    white = RANGES.get(image.mode.split(";")[0])
    if white is None:
        return image
    values = np.asarray(image, np.float64) / white
    return Image.fromarray((values.clip(0, 1) * 255).round().astype(np.uint8))


def _opaque(image: Image.Image, background: str) -> Image.Image:
    if not image.has_transparency_data:
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, background), image.convert("RGBA"))
