"""The four files of MNIST and its like, with one of them damaged, swapped, too short or too long, or no such file.

There are as many labels as pictures or none is taken; no class is above 9; a gzip promises that damage is found, and
files that only are packed otherwise hold the same pictures.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fuzzing import _doors
from fuzzing._bytes import cut, damaged, flipped, in_front, packed_zeros
from fuzzing._kind import Input, Kind, Reading, Rng, pick

MNIST = ["experiment=mnist", "architecture.widths=[2,4]", "latent.dim=2"]
TABLE = "image_table"  # reads idx files of any name, where there is such a dataset
NAMES = {
    "train pictures": "train-images-idx3-ubyte",
    "train labels": "train-labels-idx1-ubyte",
    "test pictures": "t10k-images-idx3-ubyte",
    "test labels": "t10k-labels-idx1-ubyte",
}
TRAIN, TEST = 5100, 40  # the last 5,000 of the first are validated on
TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def idx(values: np.ndarray, code: int = 8, sizes: tuple[int, ...] | None = None) -> bytes:
    """An array as the bytes of an idx file, with its own sizes or others in the header."""
    shape = values.shape if sizes is None else sizes
    header = bytes([0, 0, code, len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape)
    return header + values.astype(TYPES[code]).tobytes()


def arrays() -> dict[str, np.ndarray]:
    """Small pictures that are mostly black, and their labels."""
    rng, found = np.random.default_rng(0), {}
    for part, count in (("train", TRAIN), ("test", TEST)):
        pictures = np.zeros((count, 28, 28), np.uint8)
        pictures[:, 10:14, 10:14] = rng.integers(0, 256, (count, 4, 4))
        found |= {f"{part} pictures": pictures, f"{part} labels": rng.integers(0, 10, count).astype(np.uint8)}
    return found


def prepare(folder: Path) -> None:
    """The four files, plain and packed."""
    for name, values in arrays().items():
        (folder / NAMES[name]).write_bytes(idx(values))
        (folder / f"{NAMES[name]}.gz").write_bytes(gzip.compress(idx(values), 1))


def make(rng: Rng, folder: Path, ready: Path) -> Input:
    """The four files, one or two of them changed."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    packed = bool(rng.random() < 0.3)
    for name in NAMES.values():
        file = f"{name}.gz" if packed else name
        os.link(ready / file, raw / file)
    if _doors.offers("dataset", TABLE) and rng.random() < 0.3:
        return as_a_table(rng, folder, ready)
    words, keeps = pick(rng, CHANGES)(rng, raw, ready)
    check = unchanged if keeps else sensible
    return Input(words, lambda: _doors.load(MNIST, root=str(folder)), check)


def put(raw: Path, name: str, data: bytes, suffix: str = "") -> None:
    """Let a file of that name be the only one of its part."""
    for there in (NAMES[name], f"{NAMES[name]}.gz"):
        (raw / there).unlink(missing_ok=True)
    (raw / f"{NAMES[name]}{suffix}").write_bytes(data)


def plain(ready: Path, name: str) -> bytes:
    """One of the files as it was."""
    return (ready / NAMES[name]).read_bytes()


# Changes: what was done, and whether the pictures and labels must be the same -------------------------------------

Change = tuple[str, bool]


def repacked(rng: Rng, raw: Path, ready: Path) -> Change:
    """Packed, where the others are not, or the other way round, in one piece or in several, or both ways."""
    name, how = pick(rng, list(NAMES)), pick(rng, ("packed", "plain", "in two pieces", "both", "with a name"))
    data = plain(ready, name)
    if how == "plain":
        put(raw, name, data)
    elif how == "in two pieces":
        put(raw, name, gzip.compress(data[:50], 1) + gzip.compress(data[50:], 1), ".gz")
    else:
        put(raw, name, gzip.compress(data, 1, mtime=int(rng.integers(2**31))), ".gz")
    if how == "both":
        (raw / NAMES[name]).write_bytes(data)
    return f"{name} {how}", True


def damaged_gzip(rng: Rng, raw: Path, ready: Path) -> Change:
    """Bits turned or an end missing in a gzip, whose sum tells."""
    name = pick(rng, list(NAMES))
    data, how = damaged((ready / f"{NAMES[name]}.gz").read_bytes(), rng, (flipped, cut))
    put(raw, name, data, ".gz")
    return f"{name}.gz: {how}", True


def damaged_any(rng: Rng, raw: Path, ready: Path) -> Change:
    """A plain file or a gzip damaged in any way."""
    name, suffix = pick(rng, list(NAMES)), pick(rng, ("", "", ".gz"))
    data, how = damaged((ready / f"{NAMES[name]}{suffix}").read_bytes(), rng)
    put(raw, name, data, suffix)
    return f"{name}{suffix}: {how}", False


def header(rng: Rng, raw: Path, ready: Path) -> Change:
    """A byte or a size in the header is another."""
    name = pick(rng, list(NAMES))
    data = bytearray(plain(ready, name))
    if rng.random() < 0.5:
        data[:16] = in_front(bytes(data[:16]), rng)
        put(raw, name, bytes(data))
        return f"{name}: a byte of the header", False
    place, size = 4 * int(rng.integers(1, 1 + data[3])), int(pick(rng, (0, 1, 9, 27, 29, 2**31, 2**32 - 1)))
    data[place : place + 4] = size.to_bytes(4, "big")
    put(raw, name, bytes(data))
    return f"{name}: size {place // 4} of {size}", False


def counts(rng: Rng, raw: Path, ready: Path) -> Change:
    """More or fewer labels than pictures, in a file that is right in itself."""
    name, values = pick(rng, list(NAMES)), arrays()
    how = pick(rng, ("one fewer", "one more", "none", "half", "one"))
    array = values[name]
    array = {"one fewer": array[:-1], "one more": np.concatenate([array, array[:1]]), "none": array[:0]}.get(
        how, array[: 1 if how == "one" else len(array) // 2]
    )
    put(raw, name, idx(array))
    return f"{name}: {how}", False


def odd_labels(rng: Rng, raw: Path, ready: Path) -> Change:
    """A label that is no class."""
    name = pick(rng, ("train labels", "test labels"))
    values = arrays()[name]
    label = int(pick(rng, (10, 11, 127, 255)))
    values[rng.integers(0, len(values), 3)] = label
    put(raw, name, idx(values))
    return f"{name}: a label {label}", False


def swapped(rng: Rng, raw: Path, ready: Path) -> Change:
    """One file in the place of another, or what is no idx file at all."""
    one, other = (pick(rng, list(NAMES)) for _ in range(2))
    how = pick(rng, ("another", "text", "zip", "png", "nothing"))
    data = {
        "another": plain(ready, other),
        "text": b"<html>404 Not Found</html>",
        "zip": b"PK\3\4" + bytes(100),
        "png": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "nothing": b"",
    }[how]
    put(raw, one, data, pick(rng, ("", "", ".gz")))
    return f"{one}: {other if how == 'another' else how}", False


def of_a_type(rng: Rng, raw: Path, ready: Path) -> Change:
    """Numbers of another type, or in other dimensions, in a file that is right in itself."""
    name, code = pick(rng, list(NAMES)), pick(rng, list(TYPES))
    values = arrays()[name]
    how = pick(rng, ("flat", "a column", "in fours", "larger", "as it is"))
    shape = {"flat": (-1,), "a column": (len(values), -1, 1), "in fours": (4, -1)}.get(how, values.shape)
    values = np.repeat(values, 2, axis=-1) if how == "larger" else values.reshape(shape)
    put(raw, name, idx(values, code))
    return f"{name}: {how}, of type {code}", False


def promises(rng: Rng, raw: Path, ready: Path) -> Change:
    """A few bytes that say, truly or not, that they are very many."""
    name = pick(rng, list(NAMES))
    sizes = pick(rng, ((2**31, 28, 28), (2**32 - 1,) * 3, (6 * 2**20, 32, 32), (2**32 - 1,), (60_000,) * 2))
    head = idx(np.zeros(0), sizes=sizes)
    if rng.random() < 0.5:
        put(raw, name, head + bytes(1000))
        return f"{name}: promises {sizes}", False
    # A gzip may stand behind another: together they are one.
    put(raw, name, gzip.compress(head) + packed_zeros(6 * 2**30, 31), ".gz")
    return f"{name}: 6 GiB of zeros packed", False


CHANGES: tuple[Callable[[Rng, Path, Path], Change], ...] = (
    *(repacked, damaged_gzip, damaged_gzip, damaged_any, damaged_any, damaged_any, header, header, counts, counts),
    *(odd_labels, swapped, of_a_type, of_a_type, promises),
)


# What must come out -----------------------------------------------------------------------------------------------


def sensible(reading: Reading) -> str:
    """That there are pictures with a label each, of ten classes."""
    if reading.values.shape[1:] != (1, 28, 28):
        return f"pictures of shape {reading.values.shape[1:]}"
    if reading.labels is None or len(reading.labels) != len(reading.values):
        return f"{len(reading.labels or [])} labels for {len(reading.values)} pictures"
    odd = sorted(set(reading.labels) - set("0123456789"))
    return f"classes {', '.join(odd)}" if odd else ""


def unchanged(reading: Reading) -> str:
    """That they are the pictures and labels that were written."""
    values = arrays()
    pictures, labels = (
        np.concatenate([values[f"{part} {what}"] for part in ("train", "test")]) for what in ("pictures", "labels")
    )
    if not np.array_equal(reading.values[:, 0], pictures):
        return "other pictures"
    return "" if reading.labels == [str(label) for label in labels] else "other labels"


def as_a_table(rng: Rng, folder: Path, ready: Path) -> Input:
    """One file of pictures under any name, alone or with its labels beside it."""
    raw = folder / "MNIST" / "raw"
    words, _ = pick(rng, (damaged_any, header, of_a_type, promises, repacked))(rng, raw, ready)
    file = next(raw.glob(f"{NAMES['test pictures']}*"))
    words_of = ["experiment=images", f"dataset={TABLE}", "architecture.width=4", "latent.dim=2"]
    settings: dict[str, Any] = {"file": str(file)}
    if rng.random() < 0.5:
        settings["label"] = str(next(raw.glob(f"{NAMES['test labels']}*")))
    return Input(f"a table of pictures: {words}", lambda: _doors.load(words_of, **settings), as_many_labels)


def as_many_labels(reading: Reading) -> str:
    """That there are as many labels as pictures, or none."""
    if reading.labels is None or len(reading.labels) == len(reading.values):
        return ""
    return f"{len(reading.labels)} labels for {len(reading.values)} pictures"


def warm() -> None:
    """Compose what every input needs."""
    _doors.composed(*MNIST)
    if _doors.offers("dataset", TABLE):
        _doors.composed("experiment=images", f"dataset={TABLE}", "architecture.width=4", "latent.dim=2")


KIND = Kind(make, _doors.READERS, warm, prepare)
