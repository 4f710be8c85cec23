"""Tables of signals: texts of every form, npy and npz files, damaged and odd.

A form (delimiter, quotes, header, encoding, decimal mark, ends of lines, ...) and a type of numbers say nothing about
the signals: those that come out must be the ones that were written, in order and with their labels; the others must be
named as left out. Odd numbers in a cell may cost that row and no other. A sum in an npz promises that damage is found.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fuzzing import _doors
from fuzzing._bytes import DAMAGES, cut, damaged, flipped, packed_zeros, with_head
from fuzzing._kind import Input, Kind, Reading, Rng, pick, some

SIGNALS = ["experiment=signals", "architecture.widths=[8]", "latent.dim=2"]
DENOISE = ["experiment=denoise", "architecture.widths=[8,8]"]
LARGEST = float(np.finfo(np.float32).max)
# Of the right size for a text that keeps 8 digits, and for numbers that vanish beside the others of a row.
CLOSE: dict[str, float] = {"rtol": 2e-5, "atol": 1e-36}


@dataclass(frozen=True)
class Rows:
    """Signals `(items, channels, time)` and their labels, as they are meant."""

    values: np.ndarray
    labels: list[str] | None = None


@dataclass(frozen=True)
class Form:
    """How a table is written as a text."""

    delimiter: str = ","
    quote: str = ""
    end: str = "\n"
    decimal: str = "."
    number: str = "%.8g"
    header: str = ""
    before: str = ""
    pad: str = ""
    trailing: bool = False
    closed: bool = True
    encoding: str = "utf-8"
    blank: str = ""

    def cell(self, value: float | str) -> str:
        """One cell."""
        word = value if isinstance(value, str) else (self.number % value).replace(".", self.decimal)
        return f"{self.pad}{self.quote}{word}{self.quote}{self.pad}"

    def line(self, cells: Sequence[float | str]) -> str:
        """One line, without its end."""
        return self.delimiter.join(map(self.cell, cells)) + (self.delimiter if self.trailing else "")

    def text(self, rows: Sequence[Sequence[float | str]]) -> bytes:
        """The whole file."""
        lines = [self.line(cells) for cells in rows]
        width = len(rows[0])
        names = HEADERS[self.header](width) if self.header else None
        if names is not None:
            lines.insert(0, ("# " if self.header == "comment" else "") + self.line(names))
        lines = self.before.splitlines() + lines
        lines[len(lines) // 2 : len(lines) // 2] = [self.blank] if self.blank else []
        return (self.end.join(lines) + (self.end if self.closed else "")).encode(self.encoding, "replace")


HEADERS: dict[str, Callable[[int], list[str]]] = {
    "names": lambda width: [f"t{k}" for k in range(width - 1)] + ["class"],
    "counts from 0": lambda width: [str(k) for k in range(width)],
    "counts from 1": lambda width: [str(k + 1) for k in range(width)],
    "times": lambda width: [f"{0.25 * k:g}" for k in range(width)],
    "comment": lambda width: [f"t{k}" for k in range(width - 1)] + ["class"],
    "accents": lambda width: [f"é{k}" for k in range(width)],
}
FORMS: dict[str, Callable[[Rng], dict[str, Any]]] = {
    "delimiter": lambda rng: {"delimiter": pick(rng, (";", "\t", " ", "|", "  "))},
    "quotes": lambda rng: {"quote": '"'},
    "ends of lines": lambda rng: {"end": pick(rng, ("\r\n", "\r", "\n\n"))},
    "decimal commas": lambda rng: {"decimal": ",", "delimiter": pick(rng, (";", "\t", "|"))},
    "numbers": lambda rng: {"number": pick(rng, ("%.8e", "%+.8f", "%020.10f", "%.17g", "%.8E"))},
    "header": lambda rng: {"header": pick(rng, list(HEADERS))},
    "comments": lambda rng: {"before": pick(rng, ("# made by hand", "#", "# 1, 2, 3\n# a,b,c"))},
    "spaces": lambda rng: {"pad": pick(rng, (" ", "   "))},
    "trailing delimiters": lambda rng: {"trailing": True},
    "no last end": lambda rng: {"closed": False},
    "encoding": lambda rng: {"encoding": pick(rng, ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"))},
    "blank lines": lambda rng: {"blank": pick(rng, (" ", "\t", "# half way"))},
}
CELLS: dict[str, str] = {
    **{"nan": "nan", "inf": "inf", "minus inf": "-inf", "1e38": "1e38", "1e39": "1e39", "1e-40": "1e-40"},
    **{"1e400": "1e400", "nothing": "", "a word": "abc", "a space": " ", "NA": "NA", "hex": "0x10", "under": "1_0"},
    **{"complex": "1+2j", "a date": "2020-01-01", "true": "True", "long": "1" * 200, "longer": "1" * 140_000},
    **{"digits of another script": "١٢", "a quote": '"', "a percentage": "5%", "thousands": "1'000", "minus": "−1"},
}
UNSURE = ("hex", "true", "digits of another script", "a percentage", "thousands", "minus", "under")
SUFFIXES = (".csv", ".tsv", ".txt", ".dat", ".CSV")
EXACT = ("f4", "f8", ">f4", ">f8", "g", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?", "f2", ">i2")
ODD_TYPES = ("c8", "c16", "O", "S4", "U4", "M8[s]", "m8[s]", "V8", "i4,f4")


def signals(rng: Rng, least: int = 8) -> Rows:
    """Some sine waves of some amplitude, in four digits, with or without classes."""
    rows, time = int(rng.integers(6, 15)), int(rng.integers(least, 25))
    phase = 2 * np.pi * (np.arange(time) / time + rng.random((rows, 1)))
    values = np.round(np.sin(phase) + rng.normal(0, 0.1, (rows, time)), 4) * pick(rng, (1.0, 0.001, 20_000.0))
    labels = pick(rng, (None, [str(k % 2) for k in range(rows)], ["ab"[k % 2] for k in range(rows)]))
    return Rows(values[:, None], labels)


# Texts ------------------------------------------------------------------------------------------------------------


def cells(rows: Rows) -> list[list[float | str]]:
    """The lines of a table, the label last."""
    lines: list[list[float | str]] = [list(map(float, row[0])) for row in rows.values]
    return lines if rows.labels is None else [[*line, label] for line, label in zip(lines, rows.labels, strict=True)]


def in_a_form(rng: Rng, folder: Path, ready: Path) -> Input:
    """A text whose form says nothing about the numbers."""
    rows, names = signals(rng), some(rng, list(FORMS), 3)
    form = Form(**{key: value for name in names for key, value in FORMS[name](rng).items()})
    if form.delimiter.isspace() and form.delimiter != "\t":
        # Nothing there could part cells of spaces, nor be left out at the end.
        form = replace(form, pad="", quote="", trailing=False)
    path = folder / f"table{pick(rng, SUFFIXES)}"
    path.write_bytes(form.text(cells(rows)))
    return asked(rng, f"text: {', '.join(sorted(names))}", path, rows)


def odd_cells(rng: Rng, folder: Path, ready: Path) -> Input:
    """Some cells hold something odd: their rows may be lost, or kept with that very number."""
    rows = signals(rng)
    lines, name = cells(rows), pick(rng, list(CELLS))
    values = rows.values.copy()
    touched = rng.integers(0, len(lines), int(rng.integers(1, 4))).tolist()
    for row in touched:
        column = int(rng.integers(values.shape[-1]))
        lines[row][column] = CELLS[name]
        values[row, 0, column] = number(CELLS[name])
    path = folder / "table.csv"
    path.write_bytes(Form().text(lines))
    loose = set(touched) if name in UNSURE else set()
    loose |= set(range(len(lines))) if name == "a quote" else set()
    return asked(rng, f"text: a cell of {name}", path, replace(rows, values=values), loose)


def number(word: str) -> float:
    """What a cell means; NaN of what is no number that a signal may hold."""
    try:
        value = float(word)
    except ValueError:
        return np.nan
    return value if abs(value) <= LARGEST else np.nan


def ragged(rng: Rng, folder: Path, ready: Path) -> Input:
    """Some lines are longer or shorter than the others, or there twice."""
    rows = replace(signals(rng), labels=None)
    lines, values = cells(rows), rows.values.copy()
    how = pick(rng, ("one too few", "one too many", "much too many", "a header of one more", "only some", "empty ends"))
    touched = rng.permutation(len(lines))[: int(rng.integers(1, len(lines) // 2))].tolist()
    for row in touched if how != "a header of one more" else []:
        more: list[float | str] = [1.5] * (1 if how == "one too many" else 1000)
        lines[row] = {
            "one too few": lines[row][:-1],
            "only some": lines[row][:2],
            "empty ends": [*lines[row][:-1], ""],
        }.get(how, [*lines[row], *more])
        values[row] = np.nan
    text = Form().text(lines)
    if how == "a header of one more":
        text = ",".join(f"t{k}" for k in range(len(lines[0]) + 1)).encode() + b"\n" + text
    path = folder / "table.csv"
    path.write_bytes(text)
    return asked(rng, f"text: rows of {how}", path, replace(rows, values=values))


def damaged_text(rng: Rng, folder: Path, ready: Path) -> Input:
    """Bytes of a text are damaged: nothing is promised but that it ends well."""
    text = replace(Form(), delimiter=pick(rng, (",", ";", "\t", " "))).text(cells(signals(rng)))
    data, how = damaged(text, rng)
    path = folder / f"table{pick(rng, SUFFIXES)}"
    path.write_bytes(data)
    return unpromised(rng, f"text: {how}", path)


def odd_text(rng: Rng, folder: Path, ready: Path) -> Input:
    """Texts that are no tables of signals."""
    words = {
        "one column": "\n".join(map(str, range(20))),
        "one row": ",".join(map(str, range(20))),
        "one cell": "1",
        "only a header": "a,b,c",
        "only comments": "# a\n# b\n",
        "only delimiters": ",,,\n,,,\n,,,\n",
        "nothing in quotes": '"\n' * 5,
        "constant": "1,1,1,1\n" * 8,
        "zeros": "0,0,0,0\n" * 8,
        "json": '{"a": [1, 2, 3]}',
        "html": "<html><table><tr><td>1</td></tr></table></html>",
        "one long line": "1," * 200_000,
        "many short lines": "1,2\n" * 20_000,
        "zero bytes": "1,2,3\n\0\0\0\n4,5,6\n7,8,9\n" * 4,
        "a separator line": "sep=;\n" + "1;2;3;4\n" * 8,
        "mixed delimiters": "1,2;3,4\n1;2,3;4\n" * 6,
    }
    name = pick(rng, list(words))
    path = folder / f"table{pick(rng, SUFFIXES)}"
    path.write_text(words[name])
    return unpromised(rng, f"text: {name}", path)


# Arrays -----------------------------------------------------------------------------------------------------------


def of_a_type(rng: Rng, folder: Path, ready: Path) -> Input:
    """An array of a type that holds the numbers as well, in either order of its axes in memory."""
    dtype, rows = pick(rng, EXACT), replace(signals(rng), labels=None)
    values = rows.values[:, 0] / np.abs(rows.values).max()
    if np.dtype(dtype).kind in "iu":
        values = np.round(100 * np.abs(values))
    stored = (values > 0).astype(dtype) if dtype == "?" else values.astype(dtype)
    stored = np.asfortranarray(stored) if rng.random() < 0.3 else stored
    if rng.random() < 0.3:
        stored = np.repeat(stored[:, None], int(rng.integers(1, 4)), axis=1)
    path = folder / f"table{pick(rng, ('.npy', '.npz', '.NPY'))}"
    save(path, stored, rng)
    expected = stored.astype(np.float32)
    return asked(rng, f"array: {dtype}", path, Rows(expected[:, None] if expected.ndim == 2 else expected))


def save(path: Path, array: np.ndarray, rng: Rng, **others: Any) -> None:
    """As npy, or alone or with others in an npz."""
    with path.open("wb") as file:
        if path.suffix.lower() == ".npy":
            np.save(file, array)
        else:
            pick(rng, (np.savez, np.savez_compressed))(file, x=array, **others)


def odd_numbers(rng: Rng, folder: Path, ready: Path) -> Input:
    """Some numbers of an array are odd: their rows may be lost."""
    name = pick(rng, ("nan", "inf", "-inf", "1e38", "1e39", "1e-40", "1e300", "1e-300"))
    rows = replace(signals(rng), labels=None)
    values = rows.values[:, 0].astype(pick(rng, ("f4", "f8")))
    with np.errstate(over="ignore"):
        values[rng.integers(0, len(values), 3), rng.integers(0, values.shape[1], 3)] = float(name)
        path = folder / "table.npy"
        np.save(path, values)
        expected = np.where(np.abs(values) <= LARGEST, values, np.nan)
    return asked(rng, f"array: {name} in it", path, Rows(expected[:, None]))


def odd_array(rng: Rng, folder: Path, ready: Path) -> Input:
    """An array of a type or shape that no table has."""
    how = pick(rng, ("type", "shape", "empty"))
    if how == "type":
        dtype = pick(rng, ODD_TYPES)
        array, words = np.zeros((8, 10), dtype), f"type {dtype}"
    elif how == "shape":
        shape = tuple(rng.integers(1, 6, int(rng.integers(0, 7))).tolist())
        array, words = rng.normal(size=shape), f"{len(shape)} dimensions"
    else:
        shape = pick(rng, ((0,), (0, 10), (10, 0), (3, 0, 5), (0, 0, 0), (10, 1), (1, 10), (3, 1, 1)))
        array, words = np.zeros(shape), "no or one number"
    path = folder / f"table{pick(rng, ('.npy', '.npz'))}"
    save(path, array, rng)
    return unpromised(rng, f"array: {words}", path)


def long_time(rng: Rng, folder: Path, ready: Path) -> Input:
    """Few long signals whose time stands first or whose channels stand last: right, told, or refused."""
    time, items = int(rng.integers(600, 1500)), int(rng.integers(3, 6))
    values = rng.normal(size=(items, pick(rng, (1, 2, 3)), time)).astype(np.float32)
    stored = values[:, 0].T if values.shape[1] == 1 else values.transpose(0, 2, 1)
    path = folder / "table.npy"
    np.save(path, np.ascontiguousarray(stored))
    made = asked(rng, "array: time not last", path, Rows(values))
    check = made.check
    return replace(made, check=lambda reading: "" if reading.notes else check(reading))


def odd_members(rng: Rng, folder: Path, ready: Path) -> Input:
    """An npz with more in it than the table, of whatever sort, and labels of every type."""
    rows = signals(rng)
    words = rows.labels or [str(k % 3) for k in range(len(rows.values))]
    members: dict[str, Any] = {
        "objects": np.array([{"a": 1}, None], object),
        "words": np.array(["a", "b"]),
        "nothing": np.float64(3.0),
        "empty": np.zeros((0, 4)),
        "times": np.arange(100.0),
        "when": np.array(["2020-01-01"], "M8[D]"),
        "strange/../name": np.arange(3),
        "café": np.arange(3),
    }
    others = {name: members[name] for name in some(rng, list(members), 4)}
    kinds: dict[str, np.ndarray] = {"bytes": np.array([word.encode() for word in words]), "words": np.array(words)}
    if all(word.isdigit() for word in words):
        whole = np.array(words, int)
        kinds |= {"whole": whole, "floats": whole.astype(float), "a column": whole[:, None], "u1": whole.astype("u1")}
    kind = pick(rng, list(kinds))
    path = folder / "table.npz"
    np.savez(path, x=rows.values[:, 0], y=kinds[kind], **others)
    reads = bool(rng.random() < 0.7)
    settings = {"key": "x", "label": "y"} if reads else {"key": "x"}
    told = f"npz: labels of {kind}; {', '.join(sorted(others))}"
    return loaded(told, path, replace(rows, labels=words if reads else None), **settings)


def damaged_npz(rng: Rng, folder: Path, ready: Path) -> Input:
    """An npz with bits turned or its end missing, whose sums tell."""
    rows, file = replace(signals(rng), labels=None), io.BytesIO()
    pick(rng, (np.savez, np.savez_compressed))(file, x=rows.values[:, 0])
    data, how = damaged(file.getvalue(), rng, (flipped, cut))
    path = folder / "table.npz"
    path.write_bytes(data)
    return asked(rng, f"npz: {how}", path, rows)


def damaged_array(rng: Rng, folder: Path, ready: Path) -> Input:
    """An npy or npz damaged in other ways, or with another's header."""
    rows, file = signals(rng), io.BytesIO()
    suffix = pick(rng, (".npy", ".npz"))
    if suffix == ".npy":
        np.save(file, rows.values[:, 0])
    else:
        np.savez(file, x=rows.values[:, 0])
    if rng.random() < 0.2:
        heads = (b"PK\3\4" + bytes(60), b"\x93NUMPY\1\0v\0{'descr'", b"\x80\4\x95" + bytes(60), b"RIFF" + bytes(60))
        data, how = with_head(file.getvalue(), pick(rng, heads), rng), "another's header"
    else:
        data, how = damaged(file.getvalue(), rng, DAMAGES)
    path = folder / f"table{suffix}"
    path.write_bytes(data)
    return unpromised(rng, f"{suffix[1:]}: {how}", path)


def huge(rng: Rng, folder: Path, ready: Path) -> Input:
    """A header that promises more than any memory holds, or a few bytes that unpack to it."""
    shape = pick(
        rng, ("(2000000000, 100)", f"({2**62}, 8)", f"({2**40},)", "(-1, 8)", "(3, 4, 5, 6, 7, 8)", "(1e3, 2)")
    )
    dtype = pick(rng, ("<f8", "<f4", "|u1", "|O", "<f99", "nonsense"))
    head = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    npy = b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode() + bytes(1000)
    if rng.random() < 0.5:
        path = folder / "table.npy"
        path.write_bytes(npy)
        return unpromised(rng, f"npy: a header of {dtype} {shape}", path)
    path, size = folder / "table.npz", int(pick(rng, (2**20, 2**30, 6 * 2**30)))
    members = size // 4 // 128
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({members}, 128), }}".ljust(117) + "\n"
    npy = b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode()
    path.write_bytes(zipped("x.npy", npy, size))
    return unpromised(rng, f"npz: {size // 2**20} MiB of zeros packed", path)


def zipped(name: str, head: bytes, size: int) -> bytes:
    """An archive of one member: `head`, stored in the stream, and then `size` zeros; its sum is wrong."""
    stored = b"\0" + len(head).to_bytes(2, "little") + (len(head) ^ 0xFFFF).to_bytes(2, "little") + head
    packed, file = stored + packed_zeros(size, -15), io.BytesIO()
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_STORED
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(info, packed)
    data = bytearray(file.getvalue())
    # Both headers now say that it is deflated, and how long it is.
    length = min(len(head) + size, 2**32 - 1).to_bytes(4, "little")
    data[8:10], data[22:26] = (8).to_bytes(2, "little"), length
    central = data.rindex(b"PK\1\2")
    data[central + 10 : central + 12], data[central + 24 : central + 28] = (8).to_bytes(2, "little"), length
    return bytes(data)


def misnamed(rng: Rng, folder: Path, ready: Path) -> Input:
    """A file of one sort with another's name, a pickle, or a zip of what is no array."""
    import pickle

    rows, file = signals(rng), io.BytesIO()
    sort = pick(rng, ("text", "npy", "npz", "pickle", "zip", "gzip"))
    if sort == "zip":
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(pick(rng, ("a.txt", "x.npy", "../x.npy")), pick(rng, ("1,2,3", "", "x" * 1000)))
    elif sort in ("npy", "npz"):
        (np.save if sort == "npy" else np.savez)(file, rows.values[:, 0])
    else:
        import gzip

        text = Form().text(cells(rows))
        file.write({"text": text, "pickle": pickle.dumps(rows.values), "gzip": gzip.compress(text)}[sort])
    suffix = pick(rng, (".csv", ".npy", ".npz", ".txt", "", ".wav", ".pkl", ".gz", ".csv.gz", ".xlsx", ".flac"))
    path = folder / f"table{suffix}"
    path.write_bytes(file.getvalue())
    return unpromised(rng, f"{sort} named {suffix or 'nothing'}", path)


# What is asked, and what must come out ----------------------------------------------------------------------------


def asked(rng: Rng, words: str, path: Path, rows: Rows, loose: Sequence[int] | set[int] = ()) -> Input:
    """Have the file read in one of the ways that there are."""
    way = pick(rng, ("load", "load", "read", "clean"))
    if rows.labels is not None:
        settings: dict[str, Any] = {"label": pick(rng, (-1, rows.values.shape[-1]))}
        return loaded(words, path, rows, loose, **settings)
    if way == "load":
        return loaded(words, path, rows, loose)
    check = rows_kept(rows, loose)
    if way == "clean":
        return Input(f"{words}, under noise", lambda: _doors.load(DENOISE, file=str(path)), check)
    whole = rows_kept(rows, loose, whole=True)
    return Input(f"{words}, for a task", lambda: _doors.read(SIGNALS, path, signature(rows), file=str(path)), whole)


def loaded(words: str, path: Path, rows: Rows, loose: Sequence[int] | set[int] = (), **settings: Any) -> Input:
    """Have the file read for a training."""
    check = rows_kept(rows, loose)
    return Input(words, lambda: _doors.load(SIGNALS, file=str(path), **settings), check)


def unpromised(rng: Rng, words: str, path: Path) -> Input:
    """Have a file read in one of the ways, with settings that may be wrong, of which no numbers are expected."""
    settings = pick(rng, ({}, {}, {"label": -1}, {"label": 0}, {"label": "class"}, {"key": "x"}, {"label": 99}))
    made = asked(rng, words, path, Rows(np.zeros((1, 1, 12))))
    if rng.random() < 0.5:
        made = loaded(words, path, Rows(np.zeros((1, 1, 12))), **settings)
    return replace(made, check=lambda reading: "" if np.isfinite(reading.values).all() else "holds NaN or infinity")


def signature(rows: Rows) -> Any:
    """What a model remembers that was trained on such signals."""
    import torch

    from vaelab.data.items import Items, Signature

    return Signature.of(Items("signal", torch.zeros(3, *rows.values.shape[1:])))


def rows_kept(rows: Rows, loose: Sequence[int] | set[int] = (), *, whole: bool = False) -> Callable[[Reading], str]:
    """That the items are the rows, in order and with their labels, and as many are missing as are left out.

    A row with NaN in it must be missing; `loose` ones may hold anything, and if all are, several may be told as one;
    `whole`: none may be missing at all.
    """
    with np.errstate(over="ignore"):
        values = rows.values.astype(np.float32)

    def check(reading: Reading) -> str:
        items = reading.values
        if items.shape[1:] != values.shape[1:]:
            return f"items of shape {items.shape[1:]} where {values.shape[1:]} were written"
        place = 0
        for k, item in enumerate(items):
            same = [bool(np.allclose(item, row, **CLOSE)) for row in values]
            # What may hold anything is this item's row unless a later one is.
            while place < len(values) and not same[place] and (place not in loose or any(same[place:])):
                place += 1
            if place == len(values):
                return f"item {k} is no row of the file"
            if rows.labels is not None and (reading.labels or [])[k : k + 1] != [rows.labels[place]]:
                return f"item {k} has another label than its row"
            place += 1
        missing = len(values) - len(items)
        told = len(values) if reading.left_out and len(loose) == len(values) else len(reading.left_out)
        if missing > (0 if whole else told):
            return f"{missing} rows are missing, and {len(reading.left_out)} are told"
        return ""

    return check


MAKERS = (
    *(in_a_form, in_a_form, in_a_form, in_a_form, odd_cells, odd_cells, ragged, damaged_text, damaged_text, odd_text),
    *(of_a_type, of_a_type, odd_numbers, odd_array, long_time, odd_members, odd_members, damaged_npz, damaged_array),
    *(damaged_array, huge, misnamed),
)


def make(rng: Rng, folder: Path, ready: Path) -> Input:
    """One of them all."""
    return pick(rng, MAKERS)(rng, folder, ready)


def warm() -> None:
    """Compose what every input needs."""
    for words in (SIGNALS, DENOISE):
        _doors.composed(*words)


KIND = Kind(make, _doors.READERS, warm)
