"""The folder that a run or a sweep lives in: whose it is just now, and how far a run in it came."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, read_write

from vaelab.cli import count_names, is_first_process
from vaelab.errors import TakenError, UserError
from vaelab.run.state import Left, has_same_words, last_checkpoint, left_at

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


# The file that is locked while a run is trained, and while a sweep goes through its jobs.
RUN_LOCK, SWEEP_LOCK = ".lock", ".sweep.lock"


# How a file system says that somebody else has the lock.
HELD = (errno.EAGAIN, errno.EACCES)


T = TypeVar("T")


class Opened(NamedTuple):
    """A run directory, the run's configuration (`resume` names the directory if it goes on), and how far it came."""

    directory: Path
    config: DictConfig
    left: Left


class Lock:
    """A file that one process at a time holds; the system frees it when that process ends, however it ends.

    Where there are no such locks (some network disks, Windows) it keeps nobody out.
    """

    def __init__(self, path: Path) -> None:
        """Raises `TakenError`, naming the process that holds it."""
        self.path, self.file = path, _locked(path)

    def release(self) -> None:
        """Let others have it, and take the file away."""
        if fcntl is None:
            # An open file cannot be taken away on Windows.
            self.file.close()
        with suppress(OSError):
            self.path.unlink()
        self.file.close()


def _locked(path: Path) -> IO[str]:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in HELD:
                with file:
                    file.seek(0)
                    raise _in_use(path.parent, file.read()) from None
        # Who held it before may have taken the file away meanwhile.
        if _is_there(path, file):
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()
            return file
        file.close()


def _in_use(folder: Path, holder: str) -> TakenError:
    who = " ".join(holder.split())[:100] or "another process"
    other = "choose another folder (hydra.run.dir, a sweep's hydra.sweep.dir)"
    return TakenError(f"{folder} is being written by {who}: wait until that has ended, or {other}")


def _is_there(path: Path, file: IO[str]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


@contextmanager
def own_folder(name: Callable[[], Path], enter: Callable[[Path], T], lock: str) -> Iterator[tuple[Path, T]]:
    """A folder that no other process has meanwhile, and what `enter` gives of it.

    Of a folder that is named after the time there may be several in a second: the next number is then tried.

    Raises:
        TakenError: if another process has it or `enter` says so, and it has no other name.
    """
    while True:
        folder = name()
        if not is_first_process():
            yield folder, enter(folder)
            return
        try:
            held = Lock(folder / lock)
            try:
                entered = enter(folder)
            except BaseException:
                held.release()
                raise
            break
        except TakenError:
            count_names(1)
            if name() == folder:
                count_names(-1)
                raise
    try:
        yield folder, entered
    finally:
        held.release()


def output_dir() -> Path:
    """Where Hydra has this job write."""
    return Path(HydraConfig.get().runtime.output_dir)


def is_swept() -> bool:
    """Whether this is a job of a sweep."""
    return HydraConfig.get().mode == RunMode.MULTIRUN


def is_done(config: DictConfig) -> bool:
    """Whether this job of a sweep was done before. One that was killed in its figures has left its lock behind."""
    directory = output_dir()
    if not is_swept() or (directory / RUN_LOCK).exists():
        return False
    return left_at(directory) == "done" and has_same_words(directory, config)


@contextmanager
def open_run(config: DictConfig) -> Iterator[Opened]:
    """The run directory, which no other process has meanwhile: a new one, one to be resumed, one to begin anew.

    Raises:
        TakenError: if another process trains there, or another run lives there.
        UserError: if the run to be resumed is not there or damaged, or was to become another one.
    """

    def name() -> Path:
        return output_dir() if is_swept() else Path(HydraConfig.get().run.dir).absolute()

    def enter(directory: Path) -> Opened:
        runtime: Any = HydraConfig.get().runtime
        with read_write(runtime):
            runtime.output_dir = str(directory)
        return _enter(directory, config)

    with own_folder(name, enter, RUN_LOCK) as (_, opened):
        yield opened


def _enter(directory: Path, config: DictConfig) -> Opened:
    left = left_at(directory)
    config = _resumed(directory, config, left) if config.resume else _begun(directory, config, left)
    if config.resume:
        from vaelab.run.directory import check_whole

        check_whole(directory)
    (directory / "failed.json").unlink(missing_ok=True)
    return Opened(directory, config, left)


def _resumed(directory: Path, config: DictConfig, left: Left) -> DictConfig:
    """The configuration of a run that `resume=` names."""
    from vaelab.run.directory import reopen

    config = reopen(directory, config, list(HydraConfig.get().overrides.task))
    if last_checkpoint(directory) is None:
        if left == "done":
            raise UserError(f"{directory} has no checkpoints/last.ckpt to resume from: start a new run")
        _tell(f"{directory} has no checkpoint yet: it begins anew, as it was configured")
        config.resume = None
    return config


def _begun(directory: Path, config: DictConfig, left: Left) -> DictConfig:
    """The configuration of a run that is new, or that the same words have begun before."""
    from vaelab.config import foreign_modules
    from vaelab.run.directory import refuse_taken, stored_config

    OmegaConf.resolve(config)
    if left is None:
        return config
    goes_on = left == "begun" or (is_swept() and last_checkpoint(directory) is not None)
    if not goes_on or not has_same_words(directory, config):
        refuse_taken(directory)
    if left == "begun":
        _tell(f"{directory} has no checkpoint yet: it begins anew")
        return config
    # What the same words name is the user's own.
    config = stored_config(directory, foreign_modules(config))
    config.resume = str(directory)
    return config


def _tell(line: str) -> None:
    if is_first_process():
        print(line)
