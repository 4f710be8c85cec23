"""A table in a text: what parts its cells, which line is a header, which column counts the rows; and its numbers."""

import csv
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vaelab.data.items import LeftOut
from vaelab.dataset.files import existing_file
from vaelab.errors import UserError
from vaelab.memory import require_memory

HEAD, WIDE = 64, 2**20  # rows from which the table's form is read, fewer where they have so many characters together
SCORED = 2**15  # characters of a row that tell what parts its cells
LONGEST = 1_000  # characters of a cell
LARGEST, SMALLEST = float(np.finfo(np.float32).max), float(np.finfo(np.float32).tiny)
BYTE_ORDER_MARKS = {b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
# What parts the cells, None for white space, and whether commas are decimal marks: of two that fit alike, the first.
FORMS = (
    *(("\t", False), (";", False), (",", False), ("|", False), (None, False)),
    *(("\t", True), (";", True), ("|", True), (None, True), (",", True)),
)
NO_TEXT = re.compile(r"[\x00-\x08\x0e-\x19\x1b-\x1f]")
WHOLE = re.compile(r"[+-]?\d+")
WITH_THOUSANDS = {
    False: re.compile(r"[+-]?\d{1,3}(,\d{3})+\.\d+|[+-]?\d{1,3}(,\d{3}){2,}"),
    True: re.compile(r"[+-]?\d{1,3}(\.\d{3})+,\d+|[+-]?\d{1,3}(\.\d{3}){2,}"),
}
INDEX_NAME = re.compile(r"|unnamed: ?\d+|index|idx|id|nr\.?|no\.?|row|#", re.IGNORECASE)
COUNTED = 8  # whole numbers that count 0, 1, 2, … by chance are fewer


@dataclass
class Text:
    """The usable rows of a text.

    Attributes:
        values: `(rows, columns)` float64, without the columns below.
        labels: class of each row, where a column names it.
        groups: likewise, what each row belongs to.
        left_out: the other rows, and why.
        notes: what was decided, one line each.
    """

    values: np.ndarray
    labels: list[str] | None = None
    groups: list[str] | None = None
    left_out: list[LeftOut] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class Form:
    """How a text writes its table.

    Attributes:
        encoding: of the text.
        mark: what parts the cells; None for white space.
        comma: whether commas are decimal marks.
        skip: lines before the first row.
        header: the cells of the header as they are written, and `names` one for each column; empty where there is none.
        width: cells of a row.
        label: column of the classes, and `group` of the groups.
        dropped: columns that hold no numbers of a signal.
    """

    encoding: str
    mark: str | None
    comma: bool
    skip: int = 0
    header: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    width: int = 0
    label: int | None = None
    group: int | None = None
    dropped: set[int] = field(default_factory=set)

    def cells(self, line: str) -> list[str]:
        """The cells of a line; those in quotes without them."""
        return split(line, self.mark)

    def number(self, cell: str) -> float:
        """The number in a cell. Raises ValueError if there is none."""
        return number(cell, self.comma)

    @property
    def signal(self) -> list[int]:
        """The columns that are the signal."""
        aside = self.dropped | {self.label, self.group}
        return [k for k in range(self.width) if k not in aside]


def read_text(path: Path, label: str | int | None = None, group: str | int | None = None) -> Text:
    """The rows of a table, with or without a header, each with its label and group if columns are named for them.

    Raises `UserError` if the file is no text, empty, too large, or lacks such a column.
    """
    size = existing_file(path).stat().st_size
    require_memory(path, 3 * size)
    notes: list[str] = []
    form = find_form(path, label, group, notes)
    text = _at_once(path, form) or _line_by_line(path, form)
    text.notes = notes + text.notes
    if counts_rows(text.values, form):
        column = form.signal[0]
        text.values = text.values[:, 1:]
        text.notes.append(f"column {column} counts the rows: left out")
    return text


# The form ---------------------------------------------------------------------------------------------------------


def find_form(path: Path, label: str | int | None, group: str | int | None, notes: list[str]) -> Form:
    """How this text writes its table, by its first rows; what a user should know of it goes into `notes`."""
    encoding, lines = _head(path, notes)
    data = [(number, line) for number, line in lines if not line.lstrip().startswith("#")]
    if not data:
        raise UserError(f"{path} is empty: give one signal a row")
    form = Form(encoding, *_marks([line for _, line in data]))
    if form.comma:
        notes.append("commas are decimal marks")
    wanted = [name for name in (label, group) if isinstance(name, str)]
    below = _find_header(form, [(number, form.cells(line)) for number, line in data], wanted, notes)
    if not form.header:
        form.skip = data[0][0] - 1
        _name_by_comment(form, lines, wanted, notes)
    form.label = column_of(path, "label", label, form)
    form.group = column_of(path, "group", group, form)
    _drop_row_names(form, below, notes)
    if below and not form.signal:
        raise UserError(f"{path} has {form.width} columns, and none is left for a signal: give one signal a row")
    return form


Rows = list[tuple[int, list[str]]]


def _find_header(form: Form, rows: Rows, wanted: Sequence[str], notes: list[str]) -> list[list[str]]:
    """Find the header among the first rows, and the names and width of the columns; the other rows come back."""
    titles = _titles(rows, form, wanted)
    below = [cells for _, cells in rows[len(titles) :]]
    if below:
        _fit_columns(form, below, notes)
    if not titles and _first_counts(below, form):
        titles, below = rows[:1], below[1:]
        notes.append(f"row {rows[0][0]} counts ({', '.join(rows[0][1][:3])}, …): taken as a header")
    if titles:
        form.skip = titles[-1][0]
        # Of several lines the one with the wanted names, else the last.
        wanted_titles = (cells for _, cells in reversed(titles) if any(name in cells for name in wanted))
        form.header = next(wanted_titles, titles[-1][1])
        _name_columns(form, notes)
    return below


def _head(path: Path, notes: list[str]) -> tuple[str, list[tuple[int, str]]]:
    """Encoding, and number and text of the first lines that are not blank: all comments, and so many rows."""
    with path.open("rb") as file:
        start = file.read(4)
    encoding = next((name for mark, name in BYTE_ORDER_MARKS.items() if start.startswith(mark)), "utf-8-sig")
    try:
        lines = _first_lines(path, encoding)
    except UnicodeError:
        if encoding != "utf-8-sig":
            raise UserError(f"{path} begins as {encoding} and is not: save it as UTF-8") from None
        encoding, lines = "latin-1", _first_lines(path, "latin-1")
        notes.append("the text is not UTF-8: read as Latin-1")
    if any(NO_TEXT.search(line) for _, line in lines):
        raise UserError(f"{path} holds bytes that are no text: give csv, tsv or txt as UTF-8, or npy, npz or idx")
    return encoding, lines


def _first_lines(path: Path, encoding: str) -> list[tuple[int, str]]:
    lines, rows, size = [], 0, 0
    with path.open(encoding=encoding) as file:
        for number, line in enumerate(file, start=1):
            if line.strip(" \t\r\n\x1a"):
                lines.append((number, line.rstrip("\r\n\x1a")))
                rows += not line.lstrip().startswith("#")
                size += len(line)
            if rows > HEAD or (rows > 3 and size > WIDE):
                break
    return lines


def split(line: str, mark: str | None) -> list[str]:
    """The cells of a line, parted by the mark or by white space."""
    if '"' in line:
        try:
            cells = next(csv.reader([line], delimiter=mark or " ", skipinitialspace=True), [])
        except csv.Error:  # a quote that is not closed, or a cell that is far too long
            cells = line.split(mark)
    else:
        cells = line.split(mark)
    return [cell.strip() for cell in cells]


def _marks(lines: Sequence[str]) -> tuple[str | None, bool]:
    """What parts the cells, and whether commas are decimal marks: the form in which the most cells are numbers."""
    scores = {form: _score(lines, *form) for form in FORMS}
    mark, comma = max(scores, key=lambda form: scores[form])
    if mark == "," and not comma and _is_one_column([split(line, ",") for line in lines]):
        return None, True
    return mark, comma


def _score(lines: Sequence[str], mark: str | None, comma: bool) -> tuple[float, bool]:
    # The last cell of what was cut may be part of one.
    rows = [split(line[:SCORED], mark)[: None if len(line) <= SCORED else -1] for line in lines]
    # A header is no number in any form.
    below = rows[1:] or rows
    width, commonest = Counter(map(len, below)).most_common(1)[0]
    commonest = commonest if max(map(len, lines)) <= SCORED else len(below)
    cells = [cell for row in below for cell in row if cell]
    share = sum(is_number(cell, comma) for cell in cells) / max(len(cells), 1)
    return round(share * commonest / len(below), 2), width > 1


def _is_one_column(rows: Sequence[Sequence[str]]) -> bool:
    """Whether what looks like two columns of whole numbers is one of decimals: `-0,3062`."""
    pairs = rows if all(map(is_number, rows[0])) else rows[1:]
    if not pairs or any(len(row) != 2 or not WHOLE.fullmatch(row[0]) or not row[1].isdecimal() for row in pairs):
        return False
    return any(first == "-0" or (second[0] == "0" and len(second) > 1) for first, second in pairs)


def _titles(rows: Rows, form: Form, wanted: Sequence[str]) -> Rows:
    """The lines above the numbers: those up to a wanted name, or with hardly a number where others have some."""
    titles = list(itertools.takewhile(lambda row: not any(is_number(cell, form.comma) for cell in row[1]), rows))
    if len(rows) > len(titles) and any(name in rows[len(titles)][1] for name in wanted):
        return rows[: len(titles) + 1]
    if titles or len(rows) < 2:
        return titles
    first, below = rows[0][1], [cells for _, cells in rows[1:]]
    if all(is_number(cell, form.comma) for cell in first if cell):
        return []
    numeric = [k for k in range(len(first)) if _is_numeric_column(below, k, form)]
    words = [k for k in numeric if first[k] and not is_number(first[k], form.comma)]
    return rows[:1] if words and 2 * len(words) >= len(numeric) else []


def _is_numeric_column(rows: Sequence[Sequence[str]], column: int, form: Form) -> bool:
    return all(len(row) > column and is_number(row[column], form.comma) for row in rows)


def _fit_columns(form: Form, rows: Sequence[Sequence[str]], notes: list[str]) -> None:
    """Find the width of a row, and the columns that are empty in every row."""
    form.width = Counter(map(len, rows)).most_common(1)[0][0]
    whole = [row for row in rows if len(row) == form.width]
    empty = {k for k in range(form.width) if not any(row[k] for row in whole)}
    if not empty:
        return
    while form.width - 1 in empty:
        form.width -= 1
        empty.remove(form.width)
    form.dropped |= empty
    where = "every line ends in a mark" if not empty else f"columns {', '.join(map(str, sorted(empty)))} are empty"
    notes.append(f"{where}: what is empty is left out")


def _name_columns(form: Form, notes: list[str]) -> None:
    """Give each column its name, where there are as many, or one less and the first column has none."""
    names = list(form.header)
    while len(names) > form.width and not names[-1]:
        names.pop()
    if len(names) == form.width - 1:
        names = ["", *names]
    if len(names) == form.width:
        form.names = names
    elif form.width:
        notes.append(f"the header has {len(names)} names, the rows have {form.width} columns: the names are not used")


def _name_by_comment(form: Form, lines: Sequence[tuple[int, str]], wanted: Sequence[str], notes: list[str]) -> None:
    """Take the names from the last comment above the rows that has the wanted ones."""
    for number, line in reversed([entry for entry in lines if entry[0] <= form.skip]):
        words = line.strip().lstrip("#").strip()
        for mark in dict.fromkeys((form.mark, ",", None)):
            names = split(words, mark)
            if len(names) == form.width and any(name in names for name in wanted):
                form.names = names
                notes.append(f"the comment in row {number} names the columns")
                return


def _first_counts(rows: Sequence[Sequence[str]], form: Form) -> bool:
    """Whether the first row counts, as a header of numbers does, and no other row does."""
    if len(rows) < 2 or not counts(rows[0], form):
        return False
    rest = [row for row in rows[1:] if row != rows[0]]
    numeric = [cell for cell in rows[0] if is_number(cell, form.comma)]
    # A few numbers count by chance.
    if len(numeric) == 3 and numeric != ["0", "1", "2"]:
        return False
    if len(numeric) < COUNTED and not all(map(_has_decimals, rest)):
        return False
    return not any(counts(row, form) for row in rest)


def _has_decimals(row: Sequence[str]) -> bool:
    return any(is_number(cell.replace(",", ".")) and not WHOLE.fullmatch(cell) for cell in row)


def counts(cells: Sequence[str], form: Form) -> bool:
    """Whether the numbers among the cells rise or fall in even steps, rounded or not."""
    numeric = [cell for cell in cells if is_number(cell, form.comma)]
    if len(numeric) < 3:
        return False
    values = np.array([form.number(cell) for cell in numeric])
    if not np.isfinite(values).all() or np.abs(values).max() > LARGEST:
        return False
    steps = np.diff(values)
    step = steps.mean()
    if step == 0:
        return False
    # Times in a header are rounded; a few numbers are even by chance.
    decimals = max(len(cell.partition("." if not form.comma else ",")[2]) for cell in numeric)
    slack = min(10.0**-decimals, 0.25 * abs(step)) if len(numeric) >= 16 else 0.0
    return bool(np.abs(steps - step).max() <= 1e-6 * abs(step) + slack)


def column_of(path: Path, setting: str, wanted: str | int | None, form: Form) -> int | None:
    """Position of a column, by name or number. Raises `UserError` if there is none."""
    if wanted is None:
        return None
    if isinstance(wanted, str):
        if wanted in form.names:
            return form.names.index(wanted)
        if form.header and not form.names and form.width:
            raise UserError(
                f"{path}: the header has {len(form.header)} names, the rows have {form.width} columns: give one name "
                f"a column, or dataset.{setting} as a number from 0"
            )
        names = form.names or form.header
        words = ", ".join(names[:20]) if names else "no header: give the column's number, from 0"
        raise UserError(f"{path} has no column {wanted}: it has {words}")
    if not -form.width <= wanted < form.width:
        raise UserError(f"{path} has no column {wanted}: it has {form.width}, counted from 0")
    return wanted % form.width


def _drop_row_names(form: Form, rows: Sequence[Sequence[str]], notes: list[str]) -> None:
    """Leave out a first column of words that the header does not name: the names of the rows."""
    if form.names and not form.names[0] and 0 not in (form.label, form.group) and 0 not in form.dropped:
        cells = [row[0] for row in rows if row]
        if not all(is_number(cell, form.comma) for cell in cells):
            form.dropped.add(0)
            notes.append("column 0 names the rows: left out")


def counts_rows(values: np.ndarray, form: Form) -> bool:
    """Whether the first column of `(rows, columns)` numbers the rows, as no other column does."""
    if values.shape[1] < 2 or len(values) < 3:
        return False
    first = values[:, 0]
    column = form.signal[0]
    if form.names and INDEX_NAME.fullmatch(form.names[column]):
        whole = bool((first == np.round(first)).all()) and len(np.unique(first)) == len(first)
        return whole or _is_even(first)
    if len(first) < COUNTED or first[0] not in (0, 1) or not (np.diff(first) == 1).all():
        return False
    return not any(_is_even(values[:, k]) for k in range(1, values.shape[1]))


def _is_even(column: np.ndarray) -> bool:
    steps = np.diff(column)
    return bool(steps[0] != 0 and np.allclose(steps, steps[0], rtol=1e-6, atol=0))


# The numbers ------------------------------------------------------------------------------------------------------


def _at_once(path: Path, form: Form) -> Text | None:
    """The whole table by numpy's own reader, which takes plain tables alone; None where this is none."""
    if form.comma or not form.width:
        return None
    words: dict[int, list[str]] = {k: [] for k in (form.label, form.group) if k is not None}
    aside = {k: _keep(words[k]) if k in words else _nothing for k in {*words, *form.dropped}}
    converters: Any = aside or None
    form_of_numpy: Any = {"delimiter": form.mark, "skiprows": form.skip, "encoding": form.encoding}
    try:
        values = np.loadtxt(path, **form_of_numpy, converters=converters, comments=None, quotechar='"', ndmin=2)
    except (ValueError, OSError):
        # numpy unpacks what is named like an archive.
        return None
    if values.shape[1] != form.width or any(map(_is_no_word, itertools.chain(*words.values()))):
        return None
    signals = values[:, form.signal] if len(form.signal) < form.width else values
    if _holds_header(signals, form) or any(why_unusable(signals)):
        return None
    short = {word: class_name(word) for word in set(itertools.chain(*words.values()))}
    named = {k: [short[word] for word in column] for k, column in words.items()}
    labels, groups = (None if k is None else named[k] for k in (form.label, form.group))
    return Text(signals, labels, groups)


def _keep(words: list[str]) -> Callable[[str], float]:
    """A converter that keeps a column's words."""
    return lambda cell: words.append(cell.strip()) or 0.0  # type: ignore[func-returns-value]


def _nothing(cell: str) -> float:
    return 0.0


def _holds_header(signals: np.ndarray, form: Form) -> bool:
    """Whether a header of numbers stands among the rows once more."""
    cells = [form.header[k] for k in form.signal] if len(form.header) == form.width else []
    if not cells or not all(map(is_number, cells)):
        return False
    return bool((signals == [number(cell) for cell in cells]).all(1).any())


def _line_by_line(path: Path, form: Form) -> Text:
    """The table row by row, each that cannot be used with the reason."""
    values, left_out, columns = [], [], form.signal
    words: dict[int, list[str]] = {k: [] for k in (form.label, form.group) if k is not None}
    for number, cells in _rows(path, form):
        signal = _signal(cells, form, columns)
        if isinstance(signal, str):
            left_out.append(LeftOut(f"row {number}", signal))
            continue
        values.append(signal)
        for column, kept in words.items():
            kept.append(class_name(cells[column]))
    labels, groups = (None if k is None else words[k] for k in (form.label, form.group))
    array = np.array(values) if values else np.empty((0, len(columns)))
    return Text(array, labels, groups, left_out)


def _rows(path: Path, form: Form) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of every row that is neither blank nor a comment."""
    try:
        text = path.read_text(encoding=form.encoding)
    except UnicodeError:
        text = path.read_text(encoding="latin-1")
    for number, line in enumerate(text.split("\n"), start=1):
        if number > form.skip and line.strip(" \t\r\x1a") and not line.lstrip().startswith("#"):
            yield number, form.cells(line.rstrip("\r\x1a"))


def _signal(cells: list[str], form: Form, columns: Sequence[int]) -> np.ndarray | str:
    """The numbers of a row `(time,)` float64, or why they are none."""
    while len(cells) > form.width and not cells[-1]:
        cells.pop()
    if len(cells) != form.width:
        return f"{len(cells)} columns where most rows have {form.width}"
    if form.header and cells == form.header[: form.width]:
        return "is the header once more"
    long = max(map(len, cells))
    if long > LONGEST:
        return f"has a cell of {long:,} characters"
    for what, column in (("label", form.label), ("group", form.group)):
        if column is not None and _is_no_word(cells[column]):
            return f"has no {what}"
    try:
        signal = numbers([cells[k] for k in columns], form.comma)
    except ValueError as error:
        return str(error)
    return why_unusable(signal[None])[0] or signal


def numbers(cells: Sequence[str], comma: bool) -> np.ndarray:
    """The numbers in some cells, float64. Raises ValueError for the first that holds none."""
    try:
        return np.array([float(cell) for cell in cells])
    except ValueError:
        return np.array([number(cell, comma) for cell in cells])


def number(cell: str, comma: bool = False) -> float:
    """The number in a cell, with its own decimal mark. Raises ValueError if there is none."""
    try:
        return float(cell.replace(",", ".") if comma else cell)
    except ValueError:
        pass
    plain = cell.replace("−", "-")
    if WITH_THOUSANDS[comma].fullmatch(plain):
        plain = plain.replace("." if comma else ",", "")
    try:
        return float(plain.replace(",", ".") if comma else plain)
    except ValueError:
        raise ValueError(f"could not convert string to float: {cell[:40]!r}") from None


def is_number(cell: str, comma: bool = False) -> bool:
    """Whether a cell holds a number."""
    try:
        number(cell, comma)
    except ValueError:
        return False
    return True


def why_unusable(values: np.ndarray) -> list[str]:
    """For each of `(items, …)` what keeps it from being used in single precision; nothing where nothing does."""
    largest = np.abs(values.reshape(len(values), -1)).max(1, initial=0).astype(np.float64)
    suspicious = ~(largest <= LARGEST) | ((largest > 0) & (largest < SMALLEST))
    return [_why(size) if bad else "" for size, bad in zip(largest.tolist(), suspicious.tolist(), strict=True)]


def _why(largest: float) -> str:
    if largest != largest:
        return "holds NaN"
    if largest == np.inf:
        return "holds infinity"
    if largest > LARGEST:
        return f"holds {largest:.3g}, a number too large: at most {LARGEST:.3g} fits, so scale the table"
    if 0 < largest < SMALLEST:
        return f"holds nothing above {largest:.3g}, numbers too small: {SMALLEST:.3g} fits, so scale the table"
    return ""


def _is_no_word(cell: str) -> bool:
    return not cell or cell.lower() == "nan" or "\n" in cell


def class_name(cell: str) -> str:
    """A whole number in its shortest form, so that `1.000e+00` is class 1; any other text as it is."""
    return str(int(float(cell))) if is_number(cell) and float(cell.replace(",", "")).is_integer() else cell
