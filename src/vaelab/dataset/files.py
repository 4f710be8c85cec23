"""Finding the user's files, and saying in one line what is wrong with them."""

import os
import re
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from vaelab.data.items import Items, LeftOut, label_tensor
from vaelab.data.split import SPLITS
from vaelab.errors import UserError

T = TypeVar("T")
# Folders of a published split, one group a fold: train, val_set, test2017.
SPLIT_FOLDER = re.compile(
    r"(?:(train|training)|(val|valid|validation|dev)|(test|testing))(?:[ _-]?(?:set|data|split|images|\d{4}))?",
    re.IGNORECASE,
)
CONTROLS = {k: f"\\x{k:02x}" for k in (*range(0x20), *range(0x7F, 0xA0))}


class Unavailable(Exception):
    """A file that this machine cannot read as it is set up now; the text says what it lacks."""


class PassingReason(str):
    """Why a file could not be read this time; the next time it may be, so nothing remembers it."""


def existing_file(path: str | Path) -> Path:
    """The file, with `~` expanded. Raises `UserError` if it is missing, a folder or no regular file."""
    file = Path(path).expanduser()
    if file.is_dir():
        raise UserError(f"{file} is a folder: name one file in it")
    if not file.exists():
        raise UserError(f"{file} does not exist: check the path")
    if not file.is_file():
        raise UserError(f"{file} is no regular file but a pipe or a device: write its content into a file first")
    return file


def existing_folder(root: str | Path) -> Path:
    """The folder, with `~` expanded. Raises `UserError` if it is missing or a file."""
    folder = Path(root).expanduser()
    if folder.is_file():
        raise UserError(f"{folder} is a file: name the folder that holds it")
    if not folder.is_dir():
        raise UserError(f"{folder} does not exist: set dataset.root to a folder of your files")
    return folder


def files_under(root: Path, suffixes: Collection[str], what: str) -> tuple[list[Path], list[LeftOut]]:
    """Every file at any depth that ends in one of the suffixes, sorted; and the others, with the reason.

    Raises `UserError` if there is none. `what` says in that line what was looked for: "pictures".
    """
    chosen, left_out = [], []
    for path in sorted(_walk(root)):
        reason = _unfit(path, suffixes, what)
        if reason:
            left_out.append(LeftOut(name_in(root, path), reason))
        else:
            chosen.append(path)
    if not chosen:
        raise UserError(f"{root} holds no {what}: put some there ({' '.join(sorted(suffixes))})")
    return chosen, left_out


def _unfit(path: Path, suffixes: Collection[str], what: str) -> str:
    """Why the path is none of those looked for; empty if it is one."""
    if path.name.startswith("."):
        return "hidden"
    if path.suffix.lower() not in suffixes:
        return f"not named like {what}"
    if not path.exists():
        return "a link to nothing"
    # To open a pipe that nobody writes to, or to read a device to its end, would never come back.
    return "" if path.is_file() else "no regular file but a pipe or a device"


def _walk(root: Path) -> list[Path]:
    """All files, and hidden folders in place of what is in them; linked folders too, each once."""
    paths, seen = [], set()
    for folder, subfolders, names in os.walk(root, followlinks=True):
        hidden = [name for name in subfolders if name.startswith(".")]
        paths += [Path(folder, name) for name in names + hidden]
        is_new = os.path.realpath(folder) not in seen
        seen.add(os.path.realpath(folder))
        subfolders[:] = sorted(set(subfolders) - set(hidden)) if is_new else []
    return paths


def name_in(root: Path, path: Path) -> str:
    """The file's name as the user sees it from the folder, printable."""
    return printable(path.relative_to(root).as_posix())


def printable(name: str) -> str:
    r"""The name with what no terminal or text file takes written as an escape: bytes that are not UTF-8, line ends.

    Different names stay different.

    >>> print(printable("caf\udce9"), printable("one\ntwo"))
    caf\xe9 one\x0atwo
    """
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace").translate(CONTROLS)


def numbered(names: Sequence[str], part: str) -> list[str]:
    """The names, those that come more than once with a number.

    >>> numbered(["a.wav", "b.wav", "b.wav"], "chunk")
    ['a.wav', 'b.wav chunk 1', 'b.wav chunk 2']
    """
    times, seen, unique = Counter(names), Counter[str](), []
    for name in names:
        seen[name] += 1
        unique.append(f"{name} {part} {seen[name]}" if times[name] > 1 else name)
    return unique


def attempt(read: Callable[[Path], T], path: Path) -> T | str:
    """What `read` makes of the file, or the reason in one line why it makes nothing.

    It is a `PassingReason` where it lies in the machine (its memory, its disk, a decoder) and not in the file.
    """
    try:
        return read(path)
    except MemoryError:
        return PassingReason("there is not enough memory to unpack it")
    except Exception as error:  # decoders raise whatever they like on a broken file
        lines = str(error).replace(repr(str(path)), path.name).splitlines()
        reason = printable(" ".join(lines[:1]) or type(error).__name__)
        # Decoders raise an OSError of a broken file too, but that has no number.
        of_machine = isinstance(error, Unavailable | ImportError) or getattr(error, "errno", None) is not None
        return PassingReason(reason) if of_machine or "out of memory" in reason else reason


def in_threads(function: Callable[[Path], T], paths: Sequence[Path]) -> Iterator[T]:
    """The function of every path, one by one in order; what decoders warn of shows in their result or not at all."""
    with warnings.catch_warnings(), ThreadPoolExecutor() as pool:
        warnings.simplefilter("ignore")
        yield from pool.map(function, paths)


def sort_out(root: Path, paths: Sequence[Path], reasons: Sequence[str]) -> tuple[list[int], list[LeftOut]]:
    """Which of the paths are usable (an empty reason), and which are left out, with the reason."""
    usable = [k for k, reason in enumerate(reasons) if not reason]
    left_out = [LeftOut(name_in(root, path), str(why)) for path, why in zip(paths, reasons, strict=True) if why]
    return usable, left_out


def groups_of_equals(digests: Sequence[str]) -> Tensor | None:
    """One number for all files of the same bytes, `(files,)` int64; None if no two are the same."""
    unique, number = np.unique(np.asarray(digests), return_inverse=True)
    return torch.from_numpy(number) if len(unique) < len(digests) else None


def given_split(root: Path, paths: Sequence[Path]) -> tuple[dict[Path, int], list[LeftOut]]:
    """The fold of every file by folders named train, val and test, and the files that lie beside these.

    Without such folders both are empty. One alone is none of a split: "train" may be a class.
    """
    folders = _below_common(paths)[1]
    level = _split_level(folders)
    if level is None:
        return {}, []
    folds = {path: _fold_at(parts, level) for path, parts in zip(paths, folders, strict=True)}
    named = sorted({parts[level] for parts in folders if _fold_at(parts, level) is not None})
    reason = f"lies beside the folders of the given split ({', '.join(map(printable, named))})"
    beside = [LeftOut(name_in(root, path), reason) for path, fold in folds.items() if fold is None]
    return {path: fold for path, fold in folds.items() if fold is not None}, beside


def folder_labels(paths: Sequence[Path]) -> list[str] | None:
    """The class folder of each file, the first below the folder that all share; None if all lie flat.

    Folders of a given split are not counted as folders.
    """
    common, folders = _below_common(paths)
    level = _split_level(folders)
    if level is not None:
        folders = [parts[:level] + parts[level + 1 :] for parts in folders]
    shared = _common_start(folders)
    inner = [parts[len(shared) :] for parts in folders]
    if not any(inner):
        return None
    name = shared[-1] if shared else common.name
    return [printable(parts[0] if parts else name) for parts in inner]


def _common_start(folders: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    alike = [len(set(parts)) == 1 for parts in zip(*folders, strict=False)]
    return folders[0][: alike.index(False) if False in alike else len(alike)]


def _below_common(paths: Sequence[Path]) -> tuple[Path, list[tuple[str, ...]]]:
    """The folder that all files share, and the folders between it and each of them."""
    common = Path(os.path.commonpath([path.parent for path in paths]))
    return common, [path.parent.relative_to(common).parts for path in paths]


def _split_level(folders: Sequence[tuple[str, ...]]) -> int | None:
    """How deep the folders of a given split lie: topmost (train/cat) or below others (cat/train); None without any.

    Topmost, they hold at least half of the files; deeper, all.
    """
    for level in range(max(map(len, folders), default=0)):
        folds = [_fold_at(parts, level) for parts in folders]
        named = [fold for fold in folds if fold is not None]
        enough = 2 * len(named) >= len(folds) if level == 0 else len(named) == len(folds)
        if len(set(named)) > 1 and enough:
            return level
    return None


def _fold_at(parts: Sequence[str], level: int) -> int | None:
    match = SPLIT_FOLDER.fullmatch(parts[level]) if len(parts) > level else None
    return match.lastindex - 1 if match and match.lastindex else None


def set_fold(items: Items, fold: Sequence[int]) -> Items:
    """The items with the given split, if there is one, and a note on it."""
    if fold:
        items.fold = torch.tensor(fold)
        counts = [fold.count(k) for k in range(len(SPLITS))]
        told = [f"{name} {count:,}" if count else f"no {name}" for name, count in zip(SPLITS, counts, strict=True)]
        drawn = "; what is missing is drawn from train" if 0 in counts else ""
        items.notes.append(f"the split is that of the folders: {', '.join(told)}{drawn}")
    return items


def set_labels(items: Items, labels: list[str] | None) -> Items:
    """The items, labelled by class name where there is one."""
    if labels is not None:
        items.label, items.label_names = label_tensor(labels)
    return items


def require_three(count: int, path: Path, what: str, left_out: Sequence[LeftOut]) -> None:
    """Raise `UserError` where there are too few items for training, validation and test to have one each."""
    if count < 3:
        why = f" (left out: {left_out[0].name}: {left_out[0].reason})" if left_out else ""
        raise UserError(f"{path} holds {count} usable {what}{why}: at least 3 are needed")
