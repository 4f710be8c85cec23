"""Finding the user's files, and saying in one line what is wrong with them."""

import os
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
from vaelab.errors import UserError

T = TypeVar("T")


def existing_file(path: str | Path) -> Path:
    """The file, with `~` expanded. Raises `UserError` if it is missing or a folder."""
    file = Path(path).expanduser()
    if file.is_dir():
        raise UserError(f"{file} is a folder: name one file in it")
    if not file.exists():
        raise UserError(f"{file} does not exist: check the path")
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
        if path.name.startswith("."):
            left_out.append(LeftOut(name_in(root, path), "hidden"))
        elif path.suffix.lower() in suffixes:
            chosen.append(path)
        else:
            left_out.append(LeftOut(name_in(root, path), f"not named like {what}"))
    if not chosen:
        raise UserError(f"{root} holds no {what}: put some there ({' '.join(sorted(suffixes))})")
    return chosen, left_out


def _walk(root: Path) -> list[Path]:
    """All files, and hidden folders in place of what is in them; linked folders too, each once."""
    found, seen = [], set()
    for folder, subfolders, names in os.walk(root, followlinks=True):
        hidden = [name for name in subfolders if name.startswith(".")]
        found += [Path(folder, name) for name in names + hidden]
        is_new = os.path.realpath(folder) not in seen
        seen.add(os.path.realpath(folder))
        subfolders[:] = sorted(set(subfolders) - set(hidden)) if is_new else []
    return found


def name_in(root: Path, path: Path) -> str:
    """The file's name as the user sees it from the folder."""
    return path.relative_to(root).as_posix()


def numbered(names: Sequence[str], part: str) -> list[str]:
    """The names, those that come more than once with a number.

    >>> numbered(["a.wav", "b.wav", "b.wav"], "chunk")
    ['a.wav', 'b.wav chunk 1', 'b.wav chunk 2']
    """
    times, seen, found = Counter(names), Counter[str](), []
    for name in names:
        seen[name] += 1
        found.append(f"{name} {part} {seen[name]}" if times[name] > 1 else name)
    return found


def attempt(read: Callable[[Path], T], path: Path) -> T | str:
    """What `read` makes of the file, or the reason in one line why it makes nothing."""
    try:
        return read(path)
    except Exception as error:  # decoders raise whatever they like on a broken file
        lines = str(error).replace(repr(str(path)), path.name).splitlines()
        return " ".join(lines[:1]) or type(error).__name__


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


def folder_labels(paths: Sequence[Path]) -> list[str] | None:
    """The class folder of each file, the first below the folder that all share; None if all lie flat."""
    common = Path(os.path.commonpath([path.parent for path in paths]))
    inner = [path.relative_to(common).parts for path in paths]
    if all(len(parts) == 1 for parts in inner):
        return None
    return [parts[0] if len(parts) > 1 else common.name for parts in inner]


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
