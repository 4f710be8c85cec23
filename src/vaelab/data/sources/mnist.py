"""MNIST and its look-alikes: 70,000 grey pictures of 28×28 pixels with a published test split."""

import contextlib
import gzip
import io
import logging
import math
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from vaelab.data.items import Items
from vaelab.errors import UserError

log = logging.getLogger(__name__)

VALIDATION = 5_000  # the last of the training pictures, since none is published
PARTS = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
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
            self._download(raw)
        images, labels, test_images, test_labels = (read_idx(require_idx(raw, part)) for part in PARTS)
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


def read_idx(path: Path) -> Tensor:
    """The array of bytes in an idx file, `(items, …)` uint8. Raises `UserError` if it is damaged."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise UserError(f"{path} cannot be read ({error}): put a fresh copy there") from None
    start = 4 + 4 * data[3] if data[:3] == b"\x00\x00\x08" and len(data) > 3 else 0  # 8: unsigned bytes
    shape = [int.from_bytes(data[k : k + 4], "big") for k in range(4, start, 4)]
    if not shape or len(data) != start + math.prod(shape):
        raise UserError(f"{path} is damaged or no idx file: put a fresh copy there")
    return torch.from_numpy(np.frombuffer(data, np.uint8, offset=start).reshape(shape).copy())


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
