"""Decoded files, kept on disk by content, so that a second run starts at once.

The folder is `$VAELAB_CACHE`, or the user's cache folder; it may be deleted at any time.
"""

import contextlib
import hashlib
import json
import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

log = logging.getLogger(__name__)

FORMAT = 2  # raise it whenever a reader makes other numbers of the same bytes
Arrays = dict[str, np.ndarray]


def cached(
    parts: Sequence[object], make: Callable[[], Arrays], lasting: Callable[[Arrays], bool] = lambda arrays: True
) -> Arrays:
    """What `make` returned the last time that it was asked for these parts, or what it returns now.

    `parts` are plain values that decide the result: the reader's name, its settings, the digests of its
    files. What is not `lasting`, because the next run may fare better, is not kept. A cache that cannot be read or
    written costs a log warning and time, never the run.
    """
    key = hashlib.blake2b(json.dumps([FORMAT, *parts]).encode(), digest_size=16).hexdigest()
    path = cache_folder() / f"{key}.npz"
    arrays = _load(path)
    if arrays is None:
        arrays = make()
        if lasting(arrays):
            _save(path, arrays)
    return arrays


def cache_folder() -> Path:
    """Where decoded files are kept; it need not exist yet."""
    import platformdirs

    return Path(os.environ.get("VAELAB_CACHE") or platformdirs.user_cache_dir("vaelab")).expanduser()


def file_digests(paths: Sequence[Path]) -> list[str]:
    """Digest of each file's bytes, equal only for equal files; empty for one that is no file or cannot be opened."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(_digest, paths))


def _digest(path: Path) -> str:
    if not path.is_file():
        return ""  # a pipe or a device may have no end
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError:
        return ""  # its reader will meet the same error, and name it


def _load(path: Path) -> Arrays | None:
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except Exception as error:  # whatever became of it, the user's own files are still there
        log.warning("%s cannot be read (%s): reading the files themselves", path, error)
        return None


def _save(path: Path, arrays: Arrays) -> None:
    partial = path.with_name(f"{path.stem}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        partial.replace(path)
    except OSError as error:
        log.warning("%s cannot be written (%s): the next run will read the files again", path, error)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
