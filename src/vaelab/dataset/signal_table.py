"""Signals: a table of the user's own, one signal a row, as text or as numpy arrays."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from vaelab.data.cache import file_digests
from vaelab.data.items import Items, LeftOut, Signature, label_tensor
from vaelab.dataset.arrays import (
    ARRAYS,
    Stored,
    choose_array,
    contents,
    is_arrays,
    load_array,
    pick_array,
    stored_arrays,
)
from vaelab.dataset.audio_folder import read_wave
from vaelab.dataset.axes import (
    COLUMNS,
    ROWS,
    SIGNALS,
    Axes,
    arranged,
    as_setting,
    require_dimensions,
    signal_axes,
    told,
    wished_axes,
)
from vaelab.dataset.files import (
    attempt,
    existing_file,
    files_under,
    folder_labels,
    groups_of_equals,
    name_in,
    require_three,
    set_labels,
)
from vaelab.dataset.text_table import class_name, read_text, why_unusable
from vaelab.errors import UserError

log = logging.getLogger(__name__)

SOUNDS = frozenset({".flac", ".ogg", ".wav"})
NOT_FINITE = "holds NaN, infinity or a number too large"


@dataclass
class Table:
    """The usable items of a table.

    Attributes:
        values: `(items, channels, time)` float32.
        axes: how the file lays them out.
        labels: class of each item; None where the table has none.
        groups: what each item belongs to; None where that is not said.
        left_out: the other rows, numbered from 1 (in a text: lines), and why.
        notes: what was decided, one line each.
    """

    values: np.ndarray
    axes: Axes = ROWS
    labels: list[str] | None = None
    groups: list[str] | None = None
    left_out: list[LeftOut] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@runtime_checkable
class TableReader(Protocol):
    """A source that says of a file how it lays out what was read from it."""

    def read_with_axes(self, path: str | Path, signature: Signature) -> tuple[Tensor, Axes]:
        """Raw items `(items, channels, time)`, and the axes of the file."""
        ...


@dataclass
class SignalTable:
    """A file of signals, one a row: csv, tsv or white-space text, npy, npz or idx; or a folder of npy or npz, one each.

    Attributes:
        file: the table, or the folder, whose class folders are then labels.
        key: which array of an npz; None for the only one with two or three dimensions.
        label: the column that names the class, by name or number from 0 (-1: the last), a key of the npz, or beside
            an npy or idx the file of the labels.
        group: likewise for what must not be parted by the split: the recording that a row was cut from.
        axes: which axis is which, out of items, channels and time; None: read from the shape, and told.
    """

    file: str
    key: str | None = None
    label: str | int | None = None
    group: str | int | None = None
    axes: str | list[str] | None = None

    def load(self) -> Items:
        """Signals `(items, channels, time)` float32.

        Raises `UserError` if the file or the label is not there, fewer than 3 rows are usable, or more than
        half of them are not.
        """
        path = Path(self.file).expanduser()
        table = self._table(path)
        total = len(table.values) + len(table.left_out)
        if 2 * len(table.left_out) > total:
            name, reason = table.left_out[0]
            remedy = " (is one column a label? name it with dataset.label)" if "convert" in reason else ""
            raise UserError(
                f"{path}: {len(table.left_out)} of {total} rows cannot be used, the first: {name}: {reason}{remedy}"
            )
        require_three(len(table.values), path, "rows", table.left_out)
        raw = torch.from_numpy(table.values)
        if raw.shape[-1] < 2:
            raise UserError(
                f"{path} holds one value a row: give one signal a row, or say with dataset.axes={as_setting(COLUMNS)} "
                "that each column is one"
            )
        group = None if table.groups is None else label_tensor(table.groups)[0]
        items = Items("signal", raw, group=group, left_out=table.left_out, notes=table.notes)
        return set_labels(items, table.labels)

    def _table(self, path: Path) -> Table:
        if not path.is_dir():
            return read_table(path, self.key, self.label, self.group, self.axes)
        for name in ("label", "group"):
            if getattr(self, name) is not None:
                raise UserError(f"dataset.{name} names a column, and {path} is a folder: its class folders are labels")
        return read_folder(path, self.key, self.axes)

    def read(self, path: str | Path, signature: Signature) -> Tensor:
        """Signals `(items, channels, time)` float32 of another file, of any length."""
        return self.read_with_axes(path, signature)[0]

    def read_with_axes(self, path: str | Path, signature: Signature) -> tuple[Tensor, Axes]:
        """The same, and how the file lays them out."""
        return read_with_axes(path, signature, self.key, self.axes, (self.label, self.group))


Column = str | int | None


def read_signals(path: str | Path, signature: Signature, key: str | None = None) -> Tensor:
    """The signals of a table or a sound file, `(items, channels, time)` float32, neither cut nor resampled.

    One column, or a one-dimensional array, is one signal; a wav is one too. Raises `UserError` if a row is
    not usable or the number of channels is not the model's.
    """
    return read_with_axes(path, signature, key)[0]


def read_with_axes(
    path: str | Path,
    signature: Signature,
    key: str | None = None,
    axes: str | Sequence[str] | None = None,
    beside: tuple[Column, Column] = (None, None),
) -> tuple[Tensor, Axes]:
    """As `read_signals`, and how the file lays out what it holds.

    `key`, `axes` and the columns of label and group `beside` the signals are those of the model's own data, and hold
    as far as this file has such.
    """
    file, channels = Path(path).expanduser(), signature.raw_shape[0]
    own_axes: Axes
    if file.suffix.lower() in SOUNDS:
        values, own_axes = _sound(existing_file(file))[None], ("channels", "time")
    else:
        table = read_folder(file, key, axes) if file.is_dir() else _own_table(file, signature, key, axes, beside)
        if table.left_out:
            raise UserError(f"{file}: {table.left_out[0].name}: {table.left_out[0].reason}")
        for note in table.notes:
            log.info("%s: %s", file, note)
        values, own_axes = table.values, table.axes
    if not values.size:
        raise UserError(f"{file} holds no signal: give at least one row of numbers")
    if values.shape[1] != channels:
        raise UserError(f"{file} holds signals {values.shape[1:]}: the model takes {channels} channel(s)")
    return torch.from_numpy(np.ascontiguousarray(values)), own_axes


def _own_table(
    file: Path,
    signature: Signature,
    key: str | None,
    axes: str | Sequence[str] | None,
    beside: tuple[Column, Column],
) -> Table:
    """A table for a trained model, whose shape tells how the file's axes are meant."""

    wished = wished_axes(axes, SIGNALS)

    def guess(path: Path, values: np.ndarray) -> Axes:
        holds = wished is not None and len(wished) == values.ndim and values.shape[-1] > 1
        return wished if wished and holds else _axes_for(path, values, signature.raw_shape)

    if is_arrays(file):
        arrays = stored_arrays(existing_file(file))
        key = key if key in arrays else None
        return from_arrays(file, arrays, key, guess=guess)
    label, group = (_column_there(file, column, signature.raw_shape[-1]) for column in beside)
    return from_text(file, label, group, None, guess)


def _column_there(file: Path, column: Column, length: int) -> Column:
    """A column beside the signals, where this file has it too."""
    if column is None:
        return None
    try:
        text = read_text(file, column)
    except UserError:
        return None
    return column if isinstance(column, str) or text.values.shape[1] == length else None


def _axes_for(path: Path, values: np.ndarray, raw_shape: Sequence[int]) -> Axes:
    """How an array is read for a model of `(channels, time)`: so that it fits, where only one way does."""
    channels, time = raw_shape
    if values.ndim == 1:
        return ("time",)
    if values.ndim == 3:
        fits_last = values.shape[1] != channels and values.shape[2] == channels
        return ("items", "time", "channels") if fits_last else SIGNALS
    rows, columns = values.shape
    if columns == 1 and rows > 1:
        return COLUMNS
    if channels > 1:
        return ("time", "channels") if rows != channels and columns == channels else ("channels", "time")
    if rows == 1 or columns == time:
        return ROWS
    return COLUMNS if rows == time else signal_axes(path, values)


def _sound(file: Path) -> np.ndarray:
    wave = attempt(lambda p: read_wave(p)[0], file)
    if isinstance(wave, str) or not np.isfinite(wave).all():
        raise UserError(f"{file} cannot be read: {wave if isinstance(wave, str) else NOT_FINITE}")
    return wave


Guess = Callable[[Path, np.ndarray], Axes]


def read_table(
    path: Path,
    key: str | None = None,
    label: Column = None,
    group: Column = None,
    axes: str | Sequence[str] | None = None,
) -> Table:
    """The usable items of a text or an array. Raises `UserError` if the file as a whole cannot be used."""
    wished = wished_axes(axes, SIGNALS)
    if is_arrays(existing_file(path)):
        return from_arrays(path, stored_arrays(path), key, label, group, wished)
    return from_text(path, label, group, wished)


def from_text(path: Path, label: Column, group: Column, wished: Axes | None, guess: Guess = signal_axes) -> Table:
    """The table in a text. Raises `UserError` if it cannot be used as a whole."""
    text = read_text(path, label, group)
    axes = wished or (guess(path, text.values) if text.values.size else ROWS)
    require_dimensions(path, text.values.shape, axes)
    if axes[0] != "items":
        # A row is an instant of all signals: without it none is whole.
        if text.left_out:
            raise UserError(f"{path}: {text.left_out[0].name}: {text.left_out[0].reason}: each signal needs every row")
        if label is not None or group is not None:
            raise UserError(
                f"{path}: dataset.label and group name columns, and here columns are {axes[1]}: leave them out"
            )
    values = arranged(text.values, axes, SIGNALS).astype(np.float32)
    notes = [*text.notes, told(text.values.shape, axes)]
    return Table(values, axes, text.labels, text.groups, text.left_out, notes)


def from_arrays(
    path: Path,
    arrays: dict[str, Stored],
    key: str | None = None,
    label: Column = None,
    group: Column = None,
    wished: Axes | None = None,
    guess: Guess = signal_axes,
) -> Table:
    """The table in the arrays of an npy, npz or idx file. Raises `UserError` if it is not clear which."""
    name = choose_array(path, arrays, key, (2, 3), (label, group))
    array = arrays[name]
    if not array.reason and (not array.is_numeric or not 1 <= len(array.shape) <= 3):
        pictures = " (pictures? use experiment=images dataset=image_table)" if len(array.shape) == 4 else ""
        raise UserError(f"{path} holds {array.words()}: give real numbers, (items, time){pictures}")
    values = load_array(path, name, array)
    columns = [column_number(path, column, values) for column in (label, group)]
    words = [_words(path, arrays, column, values) for column in (label, group)]
    aside = sorted({column for column in columns if column is not None})
    values = np.delete(values, aside, axis=-1) if aside else values
    if values.ndim == 1:
        axes: Axes = ("time",)
    else:
        axes = wished or guess(path, values)
    require_dimensions(path, values.shape, axes)
    notes = [told(values.shape, axes)]
    return _table(path, arranged(values, axes, SIGNALS), axes, words, (label, group), notes)


def _table(
    path: Path,
    values: np.ndarray,
    axes: Axes,
    words: Sequence[list[str] | None],
    settings: Sequence[Column],
    notes: list[str],
) -> Table:
    """The items that can be used, with their labels and groups. Raises `UserError` where these are not one an item."""
    reasons = why_unusable(values)
    for what, entries, setting in zip(("label", "group"), words, settings, strict=True):
        if entries is None:
            continue
        if len(entries) != len(values):
            raise UserError(
                f"{path}: {what}={setting} has {len(entries)} entries for {len(values)} items: give one an item"
            )
        reasons = [reason or ("" if word else f"has no {what}") for reason, word in zip(reasons, entries, strict=True)]
    good = [k for k, reason in enumerate(reasons) if not reason]
    left_out = [LeftOut(f"row {k + 1}", reason) for k, reason in enumerate(reasons) if reason]
    labels, groups = (None if entries is None else [entries[k] for k in good] for entries in words)
    kept = values if len(good) == len(values) else values[good]
    return Table(kept.astype(np.float32), axes, labels, groups, left_out, notes)


def column_number(path: Path, wanted: Column, values: np.ndarray) -> int | None:
    """The column of an array that a number means; None for a name. Raises `UserError` if there is none."""
    if not isinstance(wanted, int):
        return None
    width = values.shape[-1]
    if values.ndim != 2 or not -width <= wanted < width:
        raise UserError(f"{path} has no column {wanted}: it is of shape {values.shape}, columns are counted from 0")
    return wanted % width


def _words(path: Path, arrays: dict[str, Stored], wanted: Column, values: np.ndarray) -> list[str] | None:
    """The class or group of each item, empty where it has none; from a column, another array or another file."""
    column = column_number(path, wanted, values)
    if column is not None:
        return class_names(values[:, column])
    return None if wanted is None else label_words(path, arrays, str(wanted))


def label_words(path: Path, arrays: dict[str, Stored], wanted: str) -> list[str]:
    """The class of each item, from the array of an npz, or beside an npy or idx from another such file.

    Raises `UserError` if there is none, or it does not hold one word or number an item.
    """
    if wanted not in arrays and list(arrays) == [""]:
        return label_words(*_label_file(path, wanted), "")
    array = pick_array(path, arrays, wanted)
    called = f"{path}: {wanted}" if wanted else str(path)
    if not array.reason and (array.dtype is None or array.dtype.kind not in "biufSU"):
        raise UserError(f"{called} holds {array.words()}: give a word or a number an item")
    if not array.reason and sum(size != 1 for size in array.shape) > 1:
        raise UserError(f"{called} has shape {array.shape}: give one label an item")
    return class_names(load_array(path, wanted, array).reshape(-1))


def _label_file(path: Path, wanted: str) -> tuple[Path, dict[str, Stored]]:
    file = Path(wanted).expanduser()
    file = file if file.exists() else path.parent / wanted
    if not file.exists():
        raise UserError(f"{path} has no array {wanted}, and there is no such file: name the file that holds the labels")
    arrays = stored_arrays(file)
    if list(arrays) != [""]:
        raise UserError(f"{file} holds {contents(arrays)}: give the labels as npy or idx, or all in one npz")
    return file, arrays


def class_names(labels: np.ndarray) -> list[str]:
    """The names in an array of classes `(items,)`, empty where there is none: of bytes, words, numbers or truths."""
    if labels.dtype.kind == "S":
        return [word.decode("utf-8", "replace").strip() for word in labels.tolist()]
    words = [class_name(str(value).strip()) for value in labels.tolist()]
    return ["" if word.lower() == "nan" else word for word in words]


def read_folder(root: Path, key: str | None, axes: str | Sequence[str] | None) -> Table:
    """A folder of npy or npz files, one signal each; class folders are labels, equal files one group.

    Those of another shape than most are left out. Raises `UserError` if there is no such file.
    """
    wished = wished_axes(axes, SIGNALS)
    paths, arrays, left_out = folder_arrays(root, key, (1, 2))
    values = np.stack(arrays)
    if values.ndim == 2:
        inner: Axes = ("time",)
    elif wished is not None:
        inner = tuple(name for name in wished if name != "items")
    else:
        inner = signal_axes(root, values)[1:]
    require_dimensions(root, values.shape[1:], inner)
    axes = ("items", *inner)
    table = _table(root, arranged(values, axes, SIGNALS), axes, (None, None), (None, None), [])
    unusable = {left.name: left.reason for left in table.left_out}
    names = [name_in(root, path) for path in paths]
    good = [k for k in range(len(paths)) if f"row {k + 1}" not in unusable]
    left_out += [LeftOut(names[k], unusable[f"row {k + 1}"]) for k in range(len(paths)) if k not in set(good)]
    kept = [paths[k] for k in good]
    groups = groups_of_equals(file_digests(kept))
    words = None if groups is None else [str(number) for number in groups.tolist()]
    return Table(table.values, axes, folder_labels(kept), words, left_out, [told(values.shape, axes)])


def folder_arrays(
    root: Path, key: str | None, dimensions: Sequence[int]
) -> tuple[list[Path], list[np.ndarray], list[LeftOut]]:
    """The arrays of the npy and npz files below a folder, all of the commonest shape; and what was left out.

    Raises `UserError` if there is none.
    """
    paths, left_out = files_under(root, ARRAYS, "npy or npz files")
    outcomes = [attempt(lambda path: _only_array(path, key, dimensions), path) for path in paths]
    shapes = Counter(array.shape for array in outcomes if not isinstance(array, str))
    if not shapes:
        raise UserError(f"{root} holds no array that can be used, the first: {name_in(root, paths[0])}: {outcomes[0]}")
    shape = shapes.most_common(1)[0][0]
    kept, arrays = [], []
    for path, array in zip(paths, outcomes, strict=True):
        if isinstance(array, str):
            left_out.append(LeftOut(name_in(root, path), array.removeprefix(f"{path}").strip(": ")))
        elif array.shape != shape:
            left_out.append(LeftOut(name_in(root, path), f"is of shape {array.shape} where most are {shape}"))
        else:
            kept.append(path)
            arrays.append(array)
    return kept, arrays, left_out


def _only_array(path: Path, key: str | None, dimensions: Sequence[int]) -> np.ndarray:
    arrays = stored_arrays(path)
    name = choose_array(path, arrays, key, dimensions)
    array = arrays[name]
    if not array.reason and (not array.is_numeric or len(array.shape) not in dimensions):
        raise UserError(f"holds {array.words()}: give real numbers in {' or '.join(map(str, dimensions))} dimensions")
    return load_array(path, name, array)
