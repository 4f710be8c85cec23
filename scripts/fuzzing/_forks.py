"""Plays each input in a fork of a process that has the heavy imports behind it, and watches its time and memory."""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import hashlib
import importlib
import json
import os
import re
import select
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from fuzzing._kind import Kind, Reading

LOOK = 0.02  # seconds between two looks at a process
IDLE = 1.0  # seconds without work after which a process waits for something, and not for the processor
PAGE, TICK = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
GIB = 2**30
LONGEST = 300  # characters of a reason that is told


@dataclass(frozen=True)
class Limits:
    """Seconds and GiB of resident memory that an input may take.

    The seconds are the processor's, or the clock's where nothing is being done: on a busy machine nothing hangs of it.
    """

    seconds: float = 10.0
    gib: float = 4.0


@dataclass(frozen=True)
class Told:
    """What became of an input.

    Attributes:
        outcome: `read`, `left out`, `refused`, `traceback`, `hang`, `memory` or `changed`.
        words: what had been done to it.
        why: the reason, in one line.
        where: the place in vaelab, of an exception or a hang.
    """

    outcome: str
    words: str
    why: str = ""
    where: str = ""


def kind_of(name: str) -> Kind:
    """The kind of that name."""
    kind: Kind = importlib.import_module(f"fuzzing.{name}").KIND
    return kind


def import_heavy(names: Sequence[str]) -> None:
    """Import what kinds of these names need, once for all."""
    for name in names:
        for module in kind_of(name).heavy:
            importlib.import_module(module)


class Server:
    """Makes and plays the inputs of one kind."""

    def __init__(self, name: str, seed: int, folder: Path, limits: Limits, keep: Path | None = None) -> None:
        self.name, self.seed, self.limits = name, seed, limits
        self.keep = None if keep is None else keep.resolve()
        self.ready, self.work = folder / name / "ready", folder / name / "work"
        self.kind = kind_of(name)

    def __enter__(self) -> Self:
        for made in (self.ready, self.ready.parent / "home"):
            made.mkdir(parents=True)
        import_heavy([self.name])
        self.kind.warm()
        # What is there already need not be walked through, and so copied, in every fork.
        gc.freeze()
        told = self._watched(
            lambda: (self.kind.prepare(self.ready), Told("read", ""))[1], Limits(300.0, self.limits.gib)
        )
        if told.outcome != "read":
            raise RuntimeError(f"{self.name} cannot be prepared: {told.why} at {told.where}")
        return self

    def __exit__(self, *exception: object) -> None:
        gc.unfreeze()
        shutil.rmtree(self.ready.parent, ignore_errors=True)

    def play(self, index: int) -> Told:
        """Make this input and have it read."""
        told = self._watched(lambda: self._judged(index), self.limits)
        if told.outcome == "broken":
            raise RuntimeError(f"{self.name} {self.seed}/{index} cannot be made: {told.why} at {told.where}")
        if self.keep is not None and told.outcome not in ("read", "left out", "refused"):
            self._kept(self.keep / f"{self.name}-{self.seed}-{index}", told)
        return told

    def _kept(self, folder: Path, told: Told) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        # What is not a plain file (a pipe, a link to a device) cannot be copied; the command makes it again.
        with contextlib.suppress(shutil.Error):
            shutil.copytree(self.work, folder, symlinks=True, copy_function=_copied)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "what.json").write_text(json.dumps(asdict(told), indent=2) + "\n")

    def _judged(self, index: int) -> Told:
        """In the fork: make the input, have it read, say what came of it."""
        digest = hashlib.blake2b(self.name.encode(), digest_size=4).digest()
        rng = np.random.default_rng([self.seed, int.from_bytes(digest, "big"), index])
        try:
            made = self.kind.make(rng, self.work, self.ready)
        except Exception as error:
            return Told("broken", "", _last_line(error), _where(error))
        (self.work.parent / "words").write_text(made.words)
        try:
            return judged(made.read(), made.check, made.words)
        except BaseException as error:
            return refused(error, made.words)

    def _watched(self, act: Callable[[], Told], limits: Limits) -> Told:
        """What `act` says in a fork, or what became of the fork."""
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir()
        for name in ("words", "stack", "out", "err"):
            (self.work.parent / name).write_bytes(b"")
        reads, writes = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        process = os.fork()
        if process == 0:
            os.close(reads)
            self._forked(act, writes)
        os.close(writes)
        try:
            answer, outcome = watch(process, reads, limits)
        finally:
            os.close(reads)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process, signal.SIGKILL)
            _, status, usage = os.wait4(process, 0)
        if not outcome and answer:
            told = Told(**json.loads(answer))
            outcome = "memory" if usage.ru_maxrss * 1024 > limits.gib * GIB else ""
            return Told("memory", told.words, f"{usage.ru_maxrss / 2**20:.1f} GiB") if outcome else told
        words = (self.work.parent / "words").read_text()
        if not outcome:
            return Told("traceback", words, f"the process ended with status {os.waitstatus_to_exitcode(status)}")
        why = f"over {limits.seconds:g} s" if outcome == "hang" else f"over {limits.gib:g} GiB"
        return Told(outcome, words, why, innermost((self.work.parent / "stack").read_text()))

    def _forked(self, act: Callable[[], Told], writes: int) -> None:
        """Be the process that does it: in the work folder, with a home and a cache there, unheard."""
        status = 1
        try:
            os.setsid()
            os.chdir(self.work)
            for number, name in ((1, "out"), (2, "err")):
                os.dup2(os.open(self.work.parent / name, os.O_WRONLY | os.O_TRUNC), number)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            # Under a test they may be somebody else's.
            sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
            os.environ |= {"HOME": str(self.work.parent / "home"), "VAELAB_CACHE": str(self.work.parent / "cache")}
            shutil.rmtree(self.work.parent / "cache", ignore_errors=True)
            faulthandler.register(signal.SIGUSR1, (self.work.parent / "stack").open("w"), all_threads=True)
            os.write(writes, json.dumps(asdict(act())).encode() + b"\n")
            status = 0
        except BaseException as error:
            told = Told("broken", "", _last_line(error), _where(error))
            os.write(writes, json.dumps(asdict(told)).encode() + b"\n")
        finally:
            os._exit(status)


def watch(process: int, reads: int, limits: Limits) -> tuple[bytes, str]:
    """The line that a process writes, or `hang` or `memory`; it has then said where it stood."""
    answer, began, worked = b"", time.monotonic(), 0.0
    moved = began
    while not answer.endswith(b"\n"):
        if select.select([reads], [], [], LOOK)[0]:
            part = os.read(reads, 2**16)
            if not part:
                return b"", ""
            answer += part
        now, work = time.monotonic(), processor_seconds(process)
        if work > worked:
            moved, worked = now, work
        hangs = work > limits.seconds or (now - began > limits.seconds and now - moved > IDLE)
        over = "memory" if resident(process) > limits.gib * GIB else "hang" if hangs else ""
        if over and not answer.endswith(b"\n"):
            os.kill(process, signal.SIGUSR1)
            time.sleep(10 * LOOK)
            return b"", over
    return answer, ""


def resident(process: int) -> int:
    """Bytes of memory that a process has just now; 0 where the system has no such file, or it is gone."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0


def processor_seconds(process: int) -> float:
    """What a process has worked so far, in all its threads; 0 where the system has no such file, or it is gone."""
    try:
        # Behind the name, which may hold anything.
        words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / TICK
    except (OSError, IndexError):
        return 0.0


def judged(reading: Reading, check: Callable[[Reading], str], words: str) -> Told:
    """What a reading that was not refused counts as."""
    for name, reason in reading.left_out:
        if not reason.strip() or len(reason.splitlines()) != 1:
            return Told("traceback", words, f"{name!a} is left out with a reason of {len(reason.splitlines())} lines")
    wrong = check(reading)
    if wrong:
        return Told("changed", words, wrong)
    return Told("left out" if reading.left_out else "read", words)


def refused(error: BaseException, words: str) -> Told:
    """What an exception counts as: a mistake of the user's, told in one line, or a traceback."""
    from vaelab.cli import as_mistake

    mistake = as_mistake(error, "train") if isinstance(error, Exception) else None
    if mistake is None:
        return Told("traceback", words, _last_line(error), _where(error))
    if len(str(mistake).splitlines()) != 1:
        return Told("traceback", words, f"refused in {len(str(mistake).splitlines())} lines", _where(error))
    return Told("refused", words, str(mistake)[:LONGEST])


def _last_line(error: BaseException) -> str:
    return " ".join(traceback.format_exception_only(error)[-1].split())[:LONGEST].encode("ascii", "replace").decode()


def _where(error: BaseException) -> str:
    """The innermost place of vaelab that an exception went through, or the innermost of all."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _in_vaelab(frame.filename)] or frames
    return f"{short(own[-1].filename)}:{own[-1].lineno} in {own[-1].name}" if own else ""


def innermost(stack: str) -> str:
    """The innermost place of vaelab in what faulthandler wrote of all threads, or the innermost of all."""
    places = re.findall(r'File "([^"]+)", line (\d+) in (\S+)', stack)
    own = [place for place in places if _in_vaelab(place[0])] or places
    return "{}:{} in {}".format(short(own[0][0]), *own[0][1:]) if own else ""


def _in_vaelab(file: str) -> bool:
    return "/src/vaelab/" in file or "/site-packages/vaelab/" in file


def short(file: str) -> str:
    """A source file as one writes it: from `vaelab` or the library's own folder on."""
    return re.sub(r".*/(src|site-packages|scripts)/", "", file)


def _copied(source: Any, target: Any) -> None:
    if Path(source).is_file():
        shutil.copy2(source, target)
    else:
        raise shutil.Error([(source, target, "no plain file")])
