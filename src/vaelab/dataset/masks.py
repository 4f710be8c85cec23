"""Which places of items are missing, as a file says: a picture that is white there, or an array."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from vaelab.dataset.arrays import choose_array, is_arrays, load_array, stored_arrays
from vaelab.dataset.files import attempt, existing_file
from vaelab.errors import UserError

WHITE = 128  # of 255: from here on a pixel of a mask is white


def read_mask(path: str | Path, size: Sequence[int], of: str | Path) -> Tensor:
    """What is missing, `(1, 1, *size)` or, of an array with one mask for each item, `(items, 1, *size)` bool.

    A picture is white where something is missing, as large as the file `of` that it belongs to, and fitted to `size` as
    that one was. An array, npy, npz or idx, has 0 where nothing is missing, and any other number, or NaN, elsewhere.

    Raises:
        UserError: if the file is missing, cannot be read, or is of another size.
    """
    file = existing_file(path)
    if is_arrays(file):
        return _of_array(file, tuple(size))
    if len(size) != 2:
        raise UserError(
            f"{file} must be npy, {_words(size)} with 0 where nothing is missing: the items are no pictures"
        )
    read = attempt(lambda path: _white(path), file)
    if isinstance(read, str):
        raise UserError(f"{file} cannot be read: {read}")
    own = _picture_size(Path(of).expanduser()) or (size[1], size[0])
    if read.size != own:
        given, wanted = ("{} x {}".format(*pixels) for pixels in (read.size, own))
        raise UserError(f"{file} has {given} pixels, and {of} {wanted}: give a mask of the same size")
    fitted = ImageOps.fit(read, (size[1], size[0]), Image.Resampling.BICUBIC)
    # Whatever a missing pixel has a share in is missing.
    return torch.from_numpy(np.abs(np.asarray(fitted)) > 1e-6)[None, None]


def _of_array(file: Path, size: tuple[int, ...]) -> Tensor:
    arrays = stored_arrays(file)
    name = choose_array(file, arrays, None, (len(size), len(size) + 1))
    values = load_array(file, name, arrays[name])
    if values.shape[-len(size) :] != size or values.ndim > len(size) + 1:
        raise UserError(f"{file} is of shape {values.shape}: give {_words(size)}, 0 where nothing is missing")
    return torch.from_numpy(values != 0).view(-1, 1, *size)


def _words(size: Sequence[int]) -> str:
    return f"an array of {' x '.join(map(str, size))} numbers"


def _white(path: Path) -> Image.Image:
    """1 where a picture is white, 0 elsewhere, in floating point."""
    with Image.open(path) as opened:
        grey = np.asarray(ImageOps.exif_transpose(opened).convert("L"))
    return Image.fromarray((grey >= WHITE).astype(np.float32))


def _picture_size(path: Path) -> tuple[int, int] | None:
    """Width and height of a picture as it is meant to be seen; None of what is none."""
    try:
        with Image.open(path) as opened:
            return ImageOps.exif_transpose(opened).size
    except OSError:
        return None
