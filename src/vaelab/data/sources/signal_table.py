"""Signals: a table of the user's own, one signal a row, as text or as a numpy array."""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaelab.data.items import Items, LeftOut, Signature
from vaelab.data.sources.audio_folder import read_wave
from vaelab.data.sources.files import attempt, existing_file, require_three, set_labels
from vaelab.errors import UserError

ARRAYS = frozenset({".npy", ".npz"})
SOUNDS = frozenset({".flac", ".ogg", ".wav"})
DELIMITERS = ("\t", ";", ",")
NOT_FINITE = "holds NaN, infinity or a number too large"


@dataclass
class Table:
    """The usable rows of a table.

    Attributes:
        values: `(rows, time)` or `(rows, channels, time)` float32.
        labels: class of each row; None where the table has none.
        left_out: the other rows, numbered from 1 (in a text: lines), and why.
    """

    values: np.ndarray
    labels: list[str] | None = None
    left_out: list[LeftOut] = field(default_factory=list)


@dataclass
class SignalTable:
    """A file of signals, one a row: csv, tsv or white-space text, npy or npz.

    Attributes:
        file: the table; a three-dimensional array in it is `(items, channels, time)`.
        key: which array of an npz; None for the only one with two or three dimensions.
        label: the column that names the class, by name or number from 0 (-1: the last), or a key of the npz.
    """

    file: str
    key: str | None = None
    label: str | int | None = None

    def load(self) -> Items:
        """Signals `(items, channels, time)` float32.

        Raises `UserError` if the file or the label is not there, fewer than 3 rows are usable, or more than
        half of them are not.
        """
        path = existing_file(self.file)
        table = read_table(path, self.key, self.label)
        total = len(table.values) + len(table.left_out)
        if 2 * len(table.left_out) > total:
            name, reason = table.left_out[0]
            raise UserError(
                f"{path}: {len(table.left_out)} of {total} rows cannot be used, the first: {name}: {reason} "
                "(is one column a label? name it with dataset.label)"
            )
        require_three(len(table.values), path, "rows", table.left_out)
        raw = torch.from_numpy(with_channels(table.values))
        if raw.shape[-1] < 2:
            raise UserError(f"{path} holds one value a row: give one signal a row")
        return set_labels(Items("signal", raw, left_out=table.left_out), table.labels)

    def read(self, path: str | Path, signature: Signature) -> Tensor:
        """Signals `(items, channels, time)` float32 of another file, of any length."""
        return read_signals(path, signature, self.key)


def read_signals(path: str | Path, signature: Signature, key: str | None = None) -> Tensor:
    """The signals of a table or a sound file, `(items, channels, time)` float32, neither cut nor resampled.

    One column, or a one-dimensional array, is one signal; a wav is one too. Raises `UserError` if a row is
    not usable or the number of channels is not the model's.
    """
    file, channels = existing_file(path), signature.raw_shape[0]
    if file.suffix.lower() in SOUNDS:
        values = _sound(file)[None]
    else:
        table = read_table(file, key, None)
        if table.left_out:
            raise UserError(f"{file}: {table.left_out[0].name}: {table.left_out[0].reason}")
        values = table.values.T if table.values.shape[1:] == (1,) else table.values
        is_one_item = values.ndim == 2 and len(values) == channels
        values = values[None] if is_one_item else with_channels(values)
    if values.shape[1] != channels or not values.size:
        raise UserError(f"{file} holds signals {values.shape[1:]}: the model takes {channels} channel(s)")
    return torch.from_numpy(np.ascontiguousarray(values))


def _sound(file: Path) -> np.ndarray:
    wave = attempt(lambda p: read_wave(p)[0], file)
    if isinstance(wave, str) or not np.isfinite(wave).all():
        raise UserError(f"{file} cannot be read: {wave if isinstance(wave, str) else NOT_FINITE}")
    return wave


def with_channels(values: np.ndarray) -> np.ndarray:
    """`(rows, time)` as `(rows, 1, time)`; three dimensions as they are."""
    return values[:, None] if values.ndim == 2 else values


def read_table(path: Path, key: str | None, label: str | int | None) -> Table:
    """The usable rows of a text or an array. Raises `UserError` if the file as a whole cannot be used."""
    if path.suffix.lower() not in ARRAYS:
        return read_text(path, label)
    arrays = attempt(_arrays, path)
    if isinstance(arrays, str):
        raise UserError(f"{path} cannot be read as numbers: {arrays}")
    return from_arrays(path, arrays, key, label)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    with path.open("rb") as file:
        loaded = np.load(file, allow_pickle=False)
        return dict(loaded) if path.suffix.lower() == ".npz" else {"": loaded}


def from_arrays(path: Path, arrays: dict[str, np.ndarray], key: str | None, label: Any) -> Table:
    """The table in the arrays of an npy or npz file. Raises `UserError` if it is not clear which."""
    values = _choose(path, arrays, key)
    labels = None
    if isinstance(label, str):
        labels = _pick(path, arrays, label)
    elif label is not None:
        column = _column(path, label, None, values.shape[-1])
        labels, values = values[..., column], np.delete(values, column, axis=-1)
    if labels is not None and labels.shape != values.shape[:1]:
        raise UserError(f"{path}: label={label} has shape {labels.shape} for {len(values)} rows: give one a row")
    with np.errstate(over="ignore"):
        values = values.astype(np.float32)
    good = np.isfinite(values).reshape(len(values), -1).all(axis=1)
    left_out = [LeftOut(f"row {k + 1}", NOT_FINITE) for k in np.flatnonzero(~good).tolist()]
    names = None if labels is None else [class_name(str(value)) for value in labels[good]]
    return Table(values[good], names, left_out)


def _choose(path: Path, arrays: dict[str, np.ndarray], key: str | None) -> np.ndarray:
    if key is not None:
        return _numeric(path, _pick(path, arrays, key))
    if list(arrays) == [""]:
        return _numeric(path, arrays[""])
    tables = [name for name, array in arrays.items() if array.ndim in (2, 3) and array.dtype.kind in "fiub"]
    if len(tables) != 1:
        raise UserError(f"{path} holds {_contents(arrays)}: name one table with dataset.key")
    return arrays[tables[0]]


def _pick(path: Path, arrays: dict[str, np.ndarray], key: str) -> np.ndarray:
    if key not in arrays:
        raise UserError(f"{path} has no array {key}: it holds {_contents(arrays)}")
    return arrays[key]


def _numeric(path: Path, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "fiub" or array.ndim not in (1, 2, 3):
        raise UserError(f"{path} holds {array.dtype} {array.shape}: give real numbers, (items, time)")
    return array[None] if array.ndim == 1 else array


def _contents(arrays: dict[str, np.ndarray]) -> str:
    return ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "nothing"


def read_text(path: Path, label: str | int | None) -> Table:
    """The table in a text with or without a header. Raises `UserError` if it is empty or lacks the label."""
    lines = list(_cells(path))
    if not lines:
        raise UserError(f"{path} is empty: give one signal a row")
    header = lines[0][1] if _is_header(lines[0][1], label) else None
    rows = lines[1:] if header else lines
    width = Counter(len(cells) for _, cells in rows).most_common(1)[0][0] if rows else 0
    column = None if label is None else _column(path, label, header, width)
    values, labels, left_out = [], [], []
    for number, cells in rows:
        signal = _signal(cells, width, column)
        if isinstance(signal, str):
            left_out.append(LeftOut(f"row {number}", signal))
        else:
            values.append(signal)
            labels += [] if column is None else [class_name(cells[column])]
    return Table(np.array(values, np.float32), labels if label is not None else None, left_out)


def _cells(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of every line that is neither blank nor a comment."""
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    lines = ["" if line.lstrip().startswith("#") else line for line in lines]
    first = next((line for line in lines if line.strip()), "")
    delimiter = next((mark for mark in DELIMITERS if mark in first), None)
    rows = csv.reader(lines, delimiter=delimiter) if delimiter else map(str.split, lines)
    for number, cells in enumerate(rows, start=1):
        if any(cell.strip() for cell in cells):
            yield number, [cell.strip() for cell in cells]


def _is_header(cells: Sequence[str], label: str | int | None) -> bool:
    """A header names the label, or has no number besides it."""
    return label in cells or not any(_is_number(cell) for cell in cells)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _column(path: Path, label: str | int, header: Sequence[str] | None, width: int) -> int:
    """Position of the label's column. Raises `UserError` if there is none."""
    if isinstance(label, str):
        if header and label in header:
            return header.index(label)
        names = ", ".join(header[:20]) if header else "no header: give the column's number, from 0"
        raise UserError(f"{path} has no column {label}: it has {names}")
    if not -width <= label < width:
        raise UserError(f"{path} has no column {label}: it has {width}, counted from 0")
    return label % width


def _signal(cells: Sequence[str], width: int, column: int | None) -> np.ndarray | str:
    """The numbers of a row `(time,)` float32, or why they are none."""
    if len(cells) != width:
        return f"{len(cells)} columns where most rows have {width}"
    if column is not None and not cells[column]:
        return "has no label"
    try:
        with np.errstate(over="ignore"):
            signal = np.array([float(cell) for k, cell in enumerate(cells) if k != column], np.float32)
    except ValueError as error:
        return str(error)
    return signal if np.isfinite(signal).all() else NOT_FINITE


def class_name(cell: str) -> str:
    """A whole number in its shortest form, so that `1.000e+00` is class 1; any other text as it is."""
    return str(int(float(cell))) if _is_number(cell) and float(cell).is_integer() else cell
