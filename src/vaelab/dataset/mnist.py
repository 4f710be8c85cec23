"""MNIST and its look-alikes: 70,000 grey pictures of 28×28 pixels with a published test split."""

import contextlib
import io
import logging
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from vaelab.data.items import Items
from vaelab.dataset.arrays import read_idx
from vaelab.errors import UserError

log = logging.getLogger(__name__)

VALIDATION = 5_000  # the last of the training pictures, since none is published
PARTS = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
FOLDERS = ("MNIST", "FashionMNIST")
PATIENCE = 20.0  # seconds until a silent network counts as none


@dataclass
class Mnist:
    """Handwritten digits (LeCun, Cortes, Burges), downloaded once where there is a network.

    Attributes:
        root: the folder that holds, or will hold, `MNIST/raw` with the four idx files, packed (.gz) or not.
    """

    root: str = "data"
    folder: ClassVar[str] = "MNIST"
    names: ClassVar[tuple[str, ...]] = tuple("0123456789")

    def load(self) -> Items:
        """Pictures `(70000, 1, 28, 28)` uint8, bright on dark, labelled, in the published fold.

        The last 5,000 training pictures are the validation fold. Raises `UserError` if a file is damaged, or
        neither there nor to be downloaded.
        """
        raw = Path(self.root).expanduser() / self.folder / "raw"
        if any(idx_file(raw, part) is None for part in PARTS):
            refuse_foreign(raw.parent.parent, self.folder)
            self._download(raw)
        files = [require_idx(raw, part) for part in PARTS]
        images, labels = read_labelled(files[0], files[1], len(self.names))
        test_images, test_labels = read_labelled(files[2], files[3], len(self.names))
        if images.shape[1:] != test_images.shape[1:]:
            sizes = [" x ".join(map(str, pictures.shape[1:])) for pictures in (images, test_images)]
            raise UserError(
                f"{raw}: the training pictures are {sizes[0]}, those of the test {sizes[1]}: put fresh copies"
            )
        if len(images) <= VALIDATION or not len(test_images):
            raise UserError(
                f"{raw} holds {len(images):,} training and {len(test_images):,} test pictures: more than "
                f"{VALIDATION:,} are needed, of which the last validate, and some to test; of fewer use "
                f"{of_any_name(files[0])}"
            )
        fold = torch.zeros(len(images) + len(test_images), dtype=torch.int64)
        fold[len(images) - VALIDATION :] = 1
        fold[len(images) :] = 2
        label = torch.cat([labels, test_labels]).long()
        pictures = torch.cat([images, test_images])[:, None]
        return Items("picture", pictures, label=label, label_names=self.names, fold=fold)

    def _download(self, raw: Path) -> None:
        from torchvision import datasets

        log.info("downloading %s into %s", self.folder, raw)
        try:
            with _quiet_and_impatient():
                getattr(datasets, self.folder)(str(raw.parent.parent), download=True)
        except Exception:  # no network shows itself in many ways, and none of them tells the user what to do
            raise UserError(missing(raw)) from None


class FashionMnist(Mnist):
    """Pictures of clothes (Xiao, Rasul and Vollgraf, 2017), in the shape and split of MNIST."""

    folder = "FashionMNIST"
    names = (
        *("T-shirt", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    )


def idx_file(raw: Path, part: str) -> Path | None:
    """The idx file of that name, unpacked or packed; None if there is neither."""
    return next((path for path in (raw / part, raw / f"{part}.gz") if path.is_file()), None)


def require_idx(raw: Path, part: str) -> Path:
    """The idx file of that name. Raises `UserError` if it is not there."""
    path = idx_file(raw, part)
    if path is None:
        raise UserError(missing(raw))
    return path


def missing(raw: Path) -> str:
    """One line that says what to put where."""
    files = ", ".join(f"{part}[.gz]" for part in PARTS)
    return f"{raw} lacks some of its files, and they cannot be downloaded: put there {files}"


def refuse_foreign(root: Path, folder: str) -> None:
    """Raise `UserError` where the root holds other things than these data, which are then not to be mixed with them."""
    if not root.exists() or (root / folder).is_dir():
        return
    if not root.is_dir():
        raise UserError(f"{root} is a file: set dataset.root to the folder that holds, or will hold, {folder}/raw")
    held = sorted(path for path in root.iterdir() if not path.name.startswith(".") and path.name not in FOLDERS)
    if not held:
        return
    images = next((path for path in sorted(root.rglob("*images-idx3-ubyte*")) if path.is_file()), None)
    raise UserError(
        f"{root} holds {held[0].name} and no {folder}/raw, and nothing is downloaded into it: "
        + (f"read what is there with {of_any_name(images)}" if images else "set dataset.root to a new or empty folder")
    )


def of_any_name(path: Path) -> str:
    """How an idx file of another set is read."""
    return f"experiment=images dataset=image_table dataset.file={path}"


def read_labelled(images: Path, labels: Path, classes: int) -> tuple[Tensor, Tensor]:
    """Pictures `(items, height, width)` and their classes `(items,)`, both uint8.

    Raises `UserError` if a file is damaged, they are not of one set, or there are other classes.
    """
    pictures, numbers = read_idx(images), read_idx(labels)
    if pictures.ndim != 3 or numbers.ndim != 1:
        swapped = ": are pictures and labels swapped?" if (pictures.ndim, numbers.ndim) == (1, 3) else ""
        raise UserError(
            f"{images.parent}: {images.name} must hold (items, height, width) and {labels.name} (items,), not "
            f"{pictures.shape} and {numbers.shape}{swapped or ': put fresh copies there'}"
        )
    for path, values in ((images, pictures), (labels, numbers)):
        if values.dtype != np.uint8:
            raise UserError(f"{path} holds {values.dtype} and must hold bytes: put a fresh copy there")
    if len(pictures) != len(numbers):
        raise UserError(
            f"{labels} holds {len(numbers):,} labels for {len(pictures):,} pictures: put fresh copies there"
        )
    if len(numbers) and numbers.max() >= classes:
        raise UserError(
            f"{labels} holds the class {numbers.max()}, and there are 0 to {classes - 1}: of another set use "
            f"{of_any_name(images)}"
        )
    return torch.from_numpy(pictures), torch.from_numpy(numbers)


@contextlib.contextmanager
def _quiet_and_impatient() -> Iterator[None]:
    """No list of every mirror that failed, and no minutes of waiting for one that does not answer."""
    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        socket.setdefaulttimeout(patience)
