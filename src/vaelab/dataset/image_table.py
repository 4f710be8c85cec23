"""Pictures that lie in arrays: npy, npz and idx files of any name, or a folder of arrays, one picture each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vaelab.data.cache import file_digests
from vaelab.data.items import Items, LeftOut, Signature
from vaelab.dataset.arrays import ARRAYS, Stored, choose_array, is_arrays, is_idx, load_array, stored_arrays
from vaelab.dataset.axes import Axes, arranged, either, require_dimensions, told, wished_axes
from vaelab.dataset.files import existing_file, folder_labels, groups_of_equals, name_in, require_three, set_labels
from vaelab.dataset.image_folder import read_picture
from vaelab.dataset.signal_table import folder_arrays, label_words
from vaelab.errors import UserError

PICTURES = ("items", "channels", "height", "width")
GREY = ("items", "height", "width")
LAST = ("items", "height", "width", "channels")
COLOURS = (1, 3, 4)  # grey, colour, and colour with its opacity


@dataclass
class ImageTable:
    """Pictures in one file, npy, npz or idx; or in a folder of npy or npz, one each, whose class folders are labels.

    Attributes:
        file: the file or the folder.
        key: which array of an npz; None for the only one with three or four dimensions.
        label: the key of an npz, or beside an npy or idx the file, that holds the classes; None: beside a file
            `…images-idx3…` the file `…labels-idx1…`, if it is there.
        axes: which axis is which, out of items, height, width and channels; None: read from the shape, and told.
    """

    file: str
    key: str | None = None
    label: str | None = None
    axes: str | list[str] | None = None

    def load(self) -> Items:
        """Pictures `(items, channels, height, width)` uint8; facts: the values that are `black` and `white`.

        Raises `UserError` if the file or the labels cannot be used, or fewer than 3 pictures can.
        """
        path = Path(self.file).expanduser()
        if path.is_dir():
            return self._load_folder(path)
        values, axes, arrays = _pictures(path, self.key, wished_axes(self.axes, PICTURES), self.label)
        words, notes = self._labels(path, arrays), [told(values.shape, axes)]
        values = arranged(values, axes, PICTURES)
        if words is not None and len(words) != len(values):
            raise UserError(
                f"{path} holds {len(values):,} pictures, and there are {len(words):,} labels: give one each"
            )
        reasons = why_no_picture(values)
        if words is not None:
            reasons = [reason or ("" if word else "has no label") for reason, word in zip(reasons, words, strict=True)]
        kept, left_out = _sorted_out(reasons, [f"picture {k + 1}" for k in range(len(values))])
        require_three(len(kept), path, "pictures", left_out)
        items = as_pictures(values if len(kept) == len(values) else values[kept], notes)
        items.left_out = left_out
        if words is not None and self.label is None:
            items.notes.append(f"labels from {label_beside(path)}")
        return set_labels(items, None if words is None else [words[k] for k in kept])

    def read(self, path: str | Path, signature: Signature) -> Tensor:
        """Pictures of a file of arrays, or the one of a picture file, `(items, channels, height, width)` uint8.

        Arrays are read on the scale of the model's own data. Raises `UserError` if they cannot be used.
        """
        file = Path(path).expanduser()
        if signature.kind != "picture" or not (file.is_dir() or is_arrays(existing_file(file))):
            return read_picture(path, signature)
        wished = wished_axes(self.axes, PICTURES)
        if file.is_dir():
            paths, arrays, left_out = folder_arrays(file, self.key, (2, 3))
            values = np.stack(arrays)
            axes = _inner(file, values, wished)
            names = [name_in(file, own) for own in paths]
        else:
            values, axes, _ = _pictures(file, self.key, wished)
            left_out, names = [], [f"picture {k + 1}" for k in range(values.shape[axes.index("items")])]
        values = arranged(values, axes, PICTURES)
        left_out += _sorted_out(why_no_picture(values), names)[1]
        if left_out:
            raise UserError(f"{file}: {left_out[0].name}: {left_out[0].reason}")
        black, white = (signature.facts.get(name, usual) for name, usual in (("black", 0.0), ("white", 255.0)))
        return torch.from_numpy(opaque(to_bytes(values, black, white)))

    def _labels(self, path: Path, arrays: dict[str, Stored]) -> list[str] | None:
        beside = label_beside(path)
        wanted = self.label if self.label is not None or beside is None else str(beside)
        return None if wanted is None else label_words(path, arrays, wanted)

    def _load_folder(self, root: Path) -> Items:
        if self.label is not None:
            raise UserError(
                f"dataset.label names an array or a file, and {root} is a folder: its class folders are labels"
            )
        named = next((path for path in sorted(root.rglob("*-ubyte*")) if path.is_file() and is_idx(path)), None)
        if named and not any(path.suffix.lower() in ARRAYS for path in root.rglob("*")):
            raise UserError(f"{root} holds idx files: name the one with the pictures, dataset.file={named}")
        paths, arrays, left_out = folder_arrays(root, self.key, (2, 3))
        values = np.stack(arrays)
        axes = _inner(root, values, wished_axes(self.axes, PICTURES))
        notes = [told(values.shape, axes)]
        values = arranged(values, axes, PICTURES)
        kept, unusable = _sorted_out(why_no_picture(values), [name_in(root, path) for path in paths])
        require_three(len(kept), root, "pictures", unusable)
        items, paths = as_pictures(values[kept], notes), [paths[k] for k in kept]
        items.left_out = left_out + unusable
        items.group = groups_of_equals(file_digests(paths))
        return set_labels(items, folder_labels(paths))


def label_beside(path: Path) -> Path | None:
    """The file of labels that belongs to an idx file of pictures by its name; None if there is none."""
    name = path.name.replace("images", "labels").replace("idx3", "idx1").replace("idx4", "idx1")
    names = [name, name.removesuffix(".gz"), f"{name}.gz"] if name != path.name and "idx1" in name else []
    return next((path.parent / other for other in names if (path.parent / other).is_file()), None)


def _pictures(
    path: Path, key: str | None, wished: Axes | None, label: str | None = None
) -> tuple[np.ndarray, Axes, dict[str, Stored]]:
    """The array of pictures in a file, how its axes are read, and what else the file holds."""
    if not is_arrays(existing_file(path)):
        raise UserError(
            f"{path} is no npy, npz or idx file: for pictures as png, jpg and so on use dataset=image_folder"
        )
    arrays = stored_arrays(path)
    name = choose_array(path, arrays, key, (3, 4), (label,))
    array = arrays[name]
    if not array.reason and (not array.is_numeric or len(array.shape) not in (3, 4)):
        raise UserError(f"{path} holds {array.words()}: give numbers, (items, height, width) or with channels")
    axes = wished or picture_axes(path, array.shape)
    require_dimensions(path, array.shape, axes)
    for needed in GREY:
        if needed not in axes:
            raise UserError(f"dataset.axes must name items, height and width: {needed} is missing")
    return load_array(path, name, array), axes, arrays


def _inner(root: Path, values: np.ndarray, wished: Axes | None) -> Axes:
    """The axes of a stack of single pictures."""
    if wished is not None:
        axes: Axes = ("items", *(name for name in wished if name != "items"))
        require_dimensions(root, values.shape, axes)
        return axes
    return GREY if values.ndim == 3 else picture_axes(root, values.shape)


def picture_axes(path: Path, shape: Sequence[int]) -> Axes:
    """How an array of pictures is read where the user does not say it.

    Raises `UserError`, naming two readings, where its shape speaks for another one, or for none.
    """
    if len(shape) == 3:
        items, height, width = shape
        if height == items > 1 and width > 4 * height:
            raise either(path, shape, GREY, ("height", "width", "items"))
        if width in COLOURS[1:] and height > 4 * width:
            raise either(path, shape, GREY, ("height", "width", "channels"))
        return GREY
    first, last = shape[1] in COLOURS, shape[3] in COLOURS
    if first == last:
        words = f" of shape {tuple(shape)}"
        if first:
            raise either(path, shape, PICTURES, LAST)
        raise UserError(f"{path} holds arrays{words}: neither axis 1 nor axis 3 is 1 (grey), 3 (colour) or 4 channels")
    return PICTURES if first else LAST


def why_no_picture(values: np.ndarray) -> list[str]:
    """For each of `(items, …)` what keeps it from being a picture; nothing where nothing does."""
    if not values.size:
        raise UserError(f"pictures of shape {values.shape[1:]} hold no pixel: give at least one")
    if values.shape[1] not in COLOURS:
        raise UserError(f"pictures have 1, 3 or 4 channels, not {values.shape[1]}: choose them, or name the axes right")
    if values.dtype.kind != "f":
        return [""] * len(values)
    finite = [bool(np.isfinite(picture).all()) for picture in values]
    return ["" if good else "holds NaN or infinity" for good in finite]


def as_pictures(values: np.ndarray, notes: list[str]) -> Items:
    """Items of `(items, channels, height, width)` of any numbers, scaled to bytes, and told how."""
    black, white, words = grey_range(values)
    notes = notes + ([words] if words else [])
    if values.shape[1] == 4:
        notes.append("the fourth channel is opacity, over white")
    raw = torch.from_numpy(opaque(to_bytes(values, black, white)))
    return Items("picture", raw, facts={"black": black, "white": white}, notes=notes)


def grey_range(values: np.ndarray) -> tuple[float, float, str]:
    """Which values are black and white, and that in words where it is not what bytes are.

    Bytes are as they are; other numbers up to 255 or to 1 that come near it likewise; whole numbers without a sign go
    to the next full number of bits; all others from the smallest to the largest of all pictures.
    """
    if values.dtype == np.uint8:
        return 0.0, 255.0, ""
    low, high = float(values.min()), float(values.max())
    if low >= 0 and (high <= 1 or 127 < high <= 255):
        white = 1.0 if high <= 1 else 255.0
    elif values.dtype.kind == "u":
        bits = next((bits for bits in (8, 10, 12, 14, 16, 32) if high < 2**bits), 64)
        white = float(2**bits - 1)
        return 0.0, white, f"{values.dtype} up to {high:g} are taken as {bits} bits: {white:g} is white"
    else:
        white = high if high > low else low + 1
        return low, white, f"{values.dtype} are scaled by their own range: {low:g} is black, {white:g} white"
    return 0.0, white, f"{values.dtype} of {low:g} to {high:g}: 0 is black, {white:g} white"


def to_bytes(values: np.ndarray, black: float, white: float) -> np.ndarray:
    """Numbers of any kind as uint8; what lies outside black and white is cut to them."""
    if values.dtype == np.uint8 and (black, white) == (0.0, 255.0):
        return np.ascontiguousarray(values)
    scaled = np.empty(values.shape, np.uint8)
    for k, picture in enumerate(values):  # one by one: in double precision all would take eight times the memory
        scaled[k] = np.rint(((picture.astype(np.float64) - black) / (white - black)).clip(0, 1) * 255)
    return scaled


def opaque(pictures: np.ndarray) -> np.ndarray:
    """Pictures `(items, channels, height, width)` uint8; those with opacity over white, without it."""
    if pictures.shape[1] != 4:
        return pictures
    seen = pictures[:, 3:].astype(np.uint16)
    return ((pictures[:, :3] * seen + 255 * (255 - seen) + 127) // 255).astype(np.uint8)


def _sorted_out(reasons: Sequence[str], names: Sequence[str]) -> tuple[list[int], list[LeftOut]]:
    kept = [k for k, reason in enumerate(reasons) if not reason]
    return kept, [LeftOut(name, reason) for name, reason in zip(names, reasons, strict=True) if reason]
