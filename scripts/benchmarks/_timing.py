"""How long something takes, when others use the machine too."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks._table import Record

Arm = Callable[[], Record]
SCRIPTS = Path(__file__).parents[1]


def timed(work: Callable[[], Any]) -> Record:
    """Do it; the seconds of processor time (all threads of this process) and of the clock."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}


def interleave(arms: Mapping[str, Arm], repeats: int, seed: int = 0, warm_up: bool = True) -> list[Record]:
    """Run every arm once a repetition, in a random order each time; repetition 0 is a warm-up and marked as such.

    Without `warm_up` there is no repetition 0. An arm gives what it measured; the record says with it which arm, which
    repetition and whether that counts.
    """
    order, shuffler, records = list(arms), random.Random(seed), []
    for repetition in range(0 if warm_up else 1, repeats + 1):
        shuffler.shuffle(order)
        for name in order:
            record = {"arm": name, "repetition": repetition, "warm_up": repetition == 0}
            records.append(record | arms[name]())
    return records


class Finished(NamedTuple):
    """A process that has ended: processor and clock seconds, what it wrote."""

    cpu: float
    wall: float
    status: int
    out: str
    err: str


def fresh(words: Sequence[str], cwd: Path | None = None) -> Finished:
    """Run Python with these words in a new process, with one thread."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(SCRIPTS)}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    ended = subprocess.run([sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Finished(cpu, wall, ended.returncode, ended.stdout, ended.stderr)


def succeeded(words: Sequence[str], cwd: Path | None = None) -> Finished:
    """As `fresh`. Raises `RuntimeError` with the end of what it said if it failed."""
    finished = fresh(words, cwd)
    if finished.status:
        raise RuntimeError(f"{' '.join(words)} failed: {finished.err[-2000:]}")
    return finished


def peak_mb(used: resource.struct_rusage) -> float:
    """The most memory that a process has held, in MB; Linux counts in KB, macOS in bytes."""
    return used.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def unseen() -> Iterator[None]:
    """Send what is printed to nowhere, but as to a terminal, so that progress bars are drawn as they are for a user."""
    before = {name: os.environ.get(name) for name in ("FORCE_COLOR", "TTY_COMPATIBLE")}
    os.environ.update(dict.fromkeys(before, "1"))
    try:
        with (
            Path(os.devnull).open("w") as nowhere,
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
        ):
            yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
