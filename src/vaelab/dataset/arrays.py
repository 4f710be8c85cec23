"""Arrays in npy, npz and idx files: what they hold is known from their headers, and only what is asked for is read."""

import gzip
import math
import zipfile
import zlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from vaelab.dataset.files import existing_file
from vaelab.errors import UserError
from vaelab.memory import require_honest_size, require_memory

ARRAYS = frozenset({".npy", ".npz"})
GZIP = b"\x1f\x8b"
NUMBERS = "biuf"
IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
Header = tuple[tuple[int, ...], np.dtype]


@dataclass(frozen=True)
class Stored:
    """An array that lies in a file.

    Attributes:
        shape: of the array.
        dtype: of its numbers; None where it cannot be used.
        load: reads it.
        reason: why it cannot be used.
    """

    shape: tuple[int, ...] = ()
    dtype: np.dtype | None = None
    load: Callable[[], np.ndarray] = lambda: np.zeros(0)
    reason: str = ""

    @property
    def is_numeric(self) -> bool:
        """Whether it holds real numbers."""
        return self.dtype is not None and self.dtype.kind in NUMBERS

    @property
    def nbytes(self) -> int:
        """Its size in memory."""
        return math.prod(self.shape) * (0 if self.dtype is None else self.dtype.itemsize)

    def words(self) -> str:
        """Type and shape, or what is wrong."""
        return self.reason or f"{self.dtype} {self.shape}"


def is_arrays(path: Path) -> bool:
    """Whether the file is one of npy, npz or idx."""
    return path.suffix.lower() in ARRAYS or is_idx(path)


def stored_arrays(path: Path) -> dict[str, Stored]:
    """The arrays in a file, name to what its header says; the name of the only one in an npy or idx is empty.

    Raises `UserError` if the file is damaged, or no such file.
    """
    existing_file(path)
    try:
        if path.suffix.lower() == ".npz":
            return _in_npz(path)
        return {"": _in_idx(path) if is_idx(path) else _in_npy(path)}
    except UserError:
        raise
    except Exception as error:  # numpy's reader of headers raises whatever it likes on a broken one
        raise UserError(f"{path} cannot be read as numbers: {_line(error)}") from None


def load_array(path: Path, name: str, array: Stored, copies: int = 3) -> np.ndarray:
    """One of the arrays. Raises `UserError` if it is empty or damaged, or `copies` of it do not fit into memory."""
    called = f"{path}: {name}" if name else str(path)
    if array.reason:
        raise UserError(f"{called} {array.reason}")
    if 0 in array.shape:
        raise UserError(f"{called} is empty, {array.words()}: give an array of numbers")
    require_memory(path, copies * array.nbytes)
    try:
        return array.load()
    except Exception as error:
        raise UserError(f"{called} cannot be read ({_line(error)}): put a fresh copy there") from None


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:200] or type(error).__name__


def pick_array(path: Path, arrays: dict[str, Stored], name: str) -> Stored:
    """The array of that name. Raises `UserError` if there is none."""
    if name not in arrays:
        raise UserError(f"{path} has no array {name}: it holds {contents(arrays)}")
    return arrays[name]


def choose_array(
    path: Path, arrays: dict[str, Stored], key: str | None, dimensions: Sequence[int], beside: Collection[object] = ()
) -> str:
    """The name of the array that `key` says, or of the only one that has real numbers in so many dimensions.

    Those `beside` it, of labels, are not meant.

    Raises `UserError` if it is not clear which, or it holds something else.
    """
    if key is not None and list(arrays) != [""]:
        pick_array(path, arrays, key)
        return key
    others = {name: array for name, array in arrays.items() if name not in beside and array.is_numeric}
    fitting = [name for name, array in others.items() if len(array.shape) in dimensions]
    if list(arrays) != [""] and len(fitting) != 1:
        raise UserError(f"{path} holds {contents(arrays)}: name one table with dataset.key")
    return fitting[0] if fitting else ""


def contents(arrays: dict[str, Stored]) -> str:
    """The arrays in one line."""
    words = [f"{name} {array.reason or array.shape}" for name, array in arrays.items()]
    return ", ".join(words[:20]) + (", …" if len(words) > 20 else "") or "nothing"


def is_idx(path: Path) -> bool:
    """Whether the file begins as an idx file does, packed by gzip or not."""
    try:
        with existing_file(path).open("rb") as raw:
            packed = raw.read(2) == GZIP
        with _opened(path, packed) as file:
            start = file.read(4)
    except (OSError, EOFError, zlib.error):
        return path.name.removesuffix(".gz").endswith("-ubyte")  # damaged, and its reader will say so
    return len(start) == 4 and start[:2] == b"\0\0" and start[2] in IDX_TYPES and 1 <= start[3] <= 8


def read_idx(path: Path) -> np.ndarray:
    """The array in an idx file, packed by gzip or not, in the byte order of this machine.

    Raises `UserError` if it is damaged, holds more or less than its header says, or does not fit into memory.
    """
    existing_file(path)
    try:
        stored = _in_idx(path)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({error}): put a fresh copy there") from None
    except ValueError as error:
        raise UserError(f"{path} {error}: put a fresh copy there") from None
    return load_array(path, "", stored)


def _opened(path: Path, packed: bool) -> Any:
    return gzip.open(path, "rb") if packed else path.open("rb")


def _in_idx(path: Path) -> Stored:
    with path.open("rb") as raw:
        packed = raw.read(2) == GZIP
    with _opened(path, packed) as file:
        shape, dtype = _idx_header(file)
    start, size = 4 + 4 * len(shape), math.prod(shape) * dtype.itemsize
    if packed:
        require_honest_size(path, path.stat().st_size, size)
    elif path.stat().st_size != start + size:
        raise ValueError("is damaged or no idx file")
    return Stored(shape, dtype.newbyteorder("="), lambda: _idx_numbers(path, packed, start, shape, dtype))


def _idx_header(file: IO[bytes]) -> Header:
    start = file.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in IDX_TYPES or not start[3]:
        raise ValueError("is damaged or no idx file")
    sizes = file.read(4 * start[3])
    if len(sizes) != 4 * start[3]:
        raise ValueError("is damaged or no idx file")
    return tuple(np.frombuffer(sizes, ">u4").tolist()), np.dtype(IDX_TYPES[start[2]])


def _idx_numbers(path: Path, packed: bool, start: int, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    values = np.empty(shape, dtype)
    room = values.reshape(-1).view(np.uint8).data
    with _opened(path, packed) as file:
        file.read(start)
        filled = 0
        while filled < len(room) and (got := file.readinto(room[filled : filled + 2**24])):
            filled += got
        # Never more than the header promised: a byte tells that there is more.
        if filled < len(room) or file.read(1):
            raise ValueError(
                f"its header promises {len(room):,} bytes, and it holds {'fewer' if filled < len(room) else 'more'}"
            )
    return values.astype(dtype.newbyteorder("="), copy=False)


def _in_npy(path: Path) -> Stored:
    with path.open("rb") as file:
        shape, dtype = _npy_header(file)
        start = file.tell()
    stored = _usable(shape, dtype, lambda: np.load(path, allow_pickle=False))
    if not stored.reason and path.stat().st_size < start + stored.nbytes:
        raise ValueError(f"its header promises {start + stored.nbytes:,} bytes, and it has {path.stat().st_size:,}")
    return stored


def _in_npz(path: Path) -> dict[str, Stored]:
    with zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
        return {member.filename.removesuffix(".npy"): _member(path, archive, member) for member in members}


def _member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Stored:
    try:
        with archive.open(member) as file:
            shape, dtype = _npy_header(file)
            stored = _usable(shape, dtype, lambda: _read_member(path, member.filename))
            if not stored.reason and member.file_size != file.tell() + stored.nbytes:
                raise ValueError("it is not as long as its header says")
    except Exception as error:
        return Stored(reason=f"cannot be read: {_line(error)}")
    require_honest_size(path, member.compress_size, member.file_size)
    return stored


def _read_member(path: Path, name: str) -> np.ndarray:
    with zipfile.ZipFile(path) as archive, archive.open(name) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _npy_header(file: IO[bytes]) -> Header:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype


def _usable(shape: tuple[int, ...], dtype: np.dtype, load: Callable[[], np.ndarray]) -> Stored:
    if dtype.hasobject:
        return Stored(shape, None, load, "holds Python objects, which are not read")
    return Stored(shape, dtype, load)
