"""Pictures: a folder of the user's own, of any size, colour and depth."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageColor, ImageOps
from torch import Tensor

from vaelab.data.cache import Arrays, cached, file_digests
from vaelab.data.items import Items, Signature
from vaelab.dataset.files import (
    PassingReason,
    attempt,
    existing_file,
    existing_folder,
    files_under,
    folder_labels,
    given_split,
    groups_of_equals,
    in_threads,
    name_in,
    require_three,
    set_fold,
    set_labels,
    sort_out,
)
from vaelab.errors import UserError

SUFFIXES = frozenset(
    {".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
MODES = {1: "L", 3: "RGB"}
# Values of more than 8 bits, by the modes that hold them, and the whites that they may be measured by.
Depth = Literal["integer", "float"]
DEPTHS: dict[str, Depth] = {"I": "integer", "F": "float"}
WHITES: dict[Depth, tuple[float, ...]] = {"integer": (1, 255, 4095, 65535), "float": (1, 255)}
DARKEST = 64  # floats of 8-bit greys reach at least so far; those below it are of another unit
LARGEST = 1e30  # no value of a picture: it stands for "unknown"
ALONE = 2**24  # pixels: of pictures that are larger, one at a time is in memory
_alone = threading.Lock()


class Span(NamedTuple):
    """The values between which a picture of more than 8 bits lies."""

    depth: Depth
    low: float
    high: float


class Decoded(NamedTuple):
    """A picture, `(channels, height, width)` uint8, and whether its file holds more pages or frames than this one."""

    pixels: np.ndarray
    has_more: bool


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

        The fold is that of folders named train, val and test, where there are any. Facts: black and white of
        pictures with more than 8 bits.

        Raises `UserError` if a setting makes no sense, or fewer than 3 pictures can be read.
        """
        root, shape = existing_folder(self.root), self._shape()
        paths, left_out = files_under(root, SUFFIXES, "pictures")
        folds, beside = given_split(root, paths)
        paths = list(folds) or paths
        digests = file_digests(paths)
        settings = [*shape, self.channels, self.background, version("pillow")]
        decode = lambda: self._decode(paths, shape)  # noqa: E731
        arrays = cached(["pictures", settings, digests], decode, lambda arrays: not arrays["passing"].any())
        usable, broken = sort_out(root, paths, arrays["reason"].tolist())
        require_three(len(usable), root, "pictures", broken)
        group = groups_of_equals([digests[k] for k in usable])
        items = Items("picture", torch.from_numpy(arrays["raw"]), group=group, left_out=left_out + beside + broken)
        items.names = [name_in(root, paths[k]) for k in usable]
        spans = [Span(*row) for row in zip(arrays["depth"].tolist(), *arrays["span"].T.tolist(), strict=True)]
        items.facts = scale_facts(spans)
        items.notes = scale_notes(spans) + pages_notes(int(arrays["has_more"].sum()))
        set_fold(items, [folds[paths[k]] for k in usable] if folds else [])
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
        outcomes = self._fill(raw, paths, range(len(paths)), {})
        deep = {k: outcome for k, outcome in outcomes.items() if isinstance(outcome, Span)}
        if deep:
            outcomes |= self._fill(raw, paths, list(deep), scale_facts(deep.values()))
        reasons = [outcome if isinstance(outcome, str) else "" for _, outcome in sorted(outcomes.items())]
        usable = [k for k, reason in enumerate(reasons) if not reason]
        for row, k in enumerate(usable):
            raw[row] = raw[k]
        raw = raw[: len(usable)]
        if self.channels is None and all((picture == picture[:1]).all() for picture in raw):
            raw = raw[:, :1].copy()
        spans = [span for k, span in deep.items() if not reasons[k]]
        return {
            "raw": raw,
            "reason": np.array(reasons, str),
            "passing": np.array([isinstance(reason, PassingReason) for reason in reasons]),
            "has_more": np.array([outcome is True for outcome in outcomes.values()]),
            "depth": np.array([span.depth for span in spans], str),
            "span": np.array([span[1:] for span in spans], np.float64).reshape(-1, 2),
        }

    def _fill(
        self, raw: np.ndarray, paths: Sequence[Path], rows: Sequence[int], facts: Mapping[str, float]
    ) -> dict[int, str | Span | bool]:
        """Decode these of the paths into their rows. Of each: why not, its span, or whether its file holds more."""
        outcomes: dict[int, str | Span | bool] = {}
        read = lambda path: decode_picture(path, raw.shape[1:], self.background, facts)  # noqa: E731
        tried = in_threads(lambda path: attempt(read, path), [paths[k] for k in rows])
        for k, outcome in zip(rows, tried, strict=True):
            if isinstance(outcome, Decoded):
                raw[k] = outcome.pixels
            outcomes[k] = outcome.has_more if isinstance(outcome, Decoded) else outcome
        return outcomes


def read_picture(path: str | Path, signature: Signature, background: str = "white") -> Tensor:
    """One picture as `(1, channels, height, width)` uint8, in the shape that the model was trained on.

    Black and white of more than 8 bits are those of the model's data; if these had no more, the picture's own.
    Raises `UserError` if the file is missing or no picture, or the model is not one of pictures.
    """
    file = existing_file(path)
    if signature.kind != "picture":
        raise UserError(f"{file}: the model was trained on a {signature.kind}, not on pictures")

    def decode(facts: Mapping[str, float]) -> Decoded | Span | str:
        return attempt(lambda p: decode_picture(p, signature.raw_shape, background, facts), file)

    outcome = decode(signature.facts)
    if isinstance(outcome, Span):
        outcome = decode(scale_facts([outcome]))
    if not isinstance(outcome, Decoded):
        raise UserError(f"{file} cannot be read: {outcome}")
    return torch.from_numpy(outcome.pixels)[None]


def _check_sums(path: Path) -> None:
    """Raise what Pillow raises where the sums in a PNG are not those of its content, which it shows all the same."""
    with Image.open(path) as opened:
        if opened.format == "PNG":
            opened.verify()


def decode_picture(path: Path, shape: Sequence[int], background: str, facts: Mapping[str, float]) -> Decoded | Span:
    """The picture as it is meant to be seen, the first where there are several; raises what PIL raises.

    If it has more than 8 bits and the facts do not say what black and white are, the span of its values.
    """
    channels, height, width = shape
    _check_sums(path)
    with Image.open(path) as opened, _alone if opened.width * opened.height > ALONE else nullcontext():
        has_more = getattr(opened, "is_animated", False)
        # A JPEG is unpacked at the smallest scale that still has twice the size, whichever way it is turned.
        opened.draft(None, (2 * max(height, width),) * 2)
        _check_size(opened)
        image: Image.Image = ImageOps.exif_transpose(opened)
        depth = DEPTHS.get(image.mode.split(";")[0])
        if depth:
            black, white = facts.get(f"{depth}_black"), facts.get(f"{depth}_white")
            if black is None or white is None:
                return _span(depth, image)
            image = _eight_bit(image, black, white)
        image = _opaque(image, background).convert(MODES[channels])
        image = ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC)
    return Decoded(np.atleast_3d(np.asarray(image)).transpose(2, 0, 1).copy(), has_more)


def _check_size(image: Image.Image) -> None:
    """Pillow refuses only twice its limit, and then needs several times as much memory as the picture."""
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and image.width * image.height > limit:
        raise ValueError(f"{image.width} x {image.height} pixels: their number exceeds limit of {limit:,}")


def _span(depth: Depth, image: Image.Image) -> Span:
    values = np.asarray(image)
    low, high = float(values.min()), float(values.max())
    if not max(-low, high) < LARGEST:
        raise ValueError("holds NaN, infinity or a number too large")
    return Span(depth, low, high)


def scale_facts(spans: Iterable[Span]) -> dict[str, float]:
    """Black and white of all pictures together, for each depth that there is: `integer_black`, `integer_white`, ….

    White is the least of 1, 255 and the ends of 12 and 16 bits that holds all of them, black then 0; where none does,
    they are the ends of the pictures' common range.

    >>> scale_facts([Span("integer", 30, 4000), Span("integer", 0, 200)])
    {'integer_black': 0.0, 'integer_white': 4095.0}
    >>> scale_facts([Span("float", -1024, 3071)])
    {'float_black': -1024.0, 'float_white': 3071.0}
    """
    facts: dict[str, float] = {}
    ranges: dict[Depth, tuple[float, float]] = {}
    for depth, low, high in spans:
        known = ranges.get(depth, (low, high))
        ranges[depth] = min(low, known[0]), max(high, known[1])
    for depth, (low, high) in sorted(ranges.items()):
        black, white = _black_and_white(depth, low, high)
        facts |= {f"{depth}_black": float(black), f"{depth}_white": float(white)}
    return facts


def _black_and_white(depth: Depth, low: float, high: float) -> tuple[float, float]:
    white = next((white for white in WHITES[depth] if high <= white), None)
    if low < 0 or white is None or (depth == "float" and 1 < high < DARKEST):
        return low, high if high > low else low + 1
    return 0.0, white


def scale_notes(spans: Sequence[Span]) -> list[str]:
    """What black and white are in the pictures of more than 8 bits, one line for each depth."""
    facts, notes = scale_facts(spans), []
    for depth, words in (("float", "of floating point"), ("integer", "of more than 8 bits")):
        own = [span for span in spans if span.depth == depth]
        if own:
            low, high = min(span.low for span in own), max(span.high for span in own)
            notes.append(
                f"{len(own):,} pictures {words} hold values from {low:g} to {high:g}: "
                f"black is {facts[f'{depth}_black']:g} and white {facts[f'{depth}_white']:g} in all of them"
            )
    return notes


def pages_notes(count: int) -> list[str]:
    """A line on files that hold several pages or frames, if there are any."""
    return [f"of {count:,} files with several pages or frames only the first one is taken"] if count else []


def _eight_bit(image: Image.Image, black: float, white: float) -> Image.Image:
    values = np.array(image, np.float64)
    # In place: the picture may be large.
    values -= black
    values /= white - black
    np.clip(values, 0, 1, out=values)
    values *= 255
    return Image.fromarray(np.rint(values, out=values).astype(np.uint8))


def _opaque(image: Image.Image, background: str) -> Image.Image:
    if not image.has_transparency_data:
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, background), image.convert("RGBA"))
