"""pythae, in a virtual environment and a process of its own.

It shares this environment's torch and numpy, so that only pythae differs; the environment is made once, below the
user's cache folder.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from benchmarks._problem import Problem
from benchmarks._table import Record, Table
from vaelab.data.cache import cache_folder

VERSION = "0.1.2"


class PythaeMissing(Exception):
    """It cannot be installed or started here; the message is one line that says why."""


def environment() -> Path:
    """The Python of an environment that has pythae.

    Raises:
        PythaeMissing: if it cannot be installed.
    """
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = cache_folder() / "benchmark" / f"pythae-{VERSION}-python-{python}-torch-{torch.__version__}"
    interpreter, ready = folder / "bin" / "python", folder / "ready"
    if ready.exists() and ready.read_text() == sys.prefix:
        return interpreter
    try:
        _call([sys.executable, "-m", "venv", "--clear", str(folder)])
        # What is installed here is seen there, too, and only what is missing is fetched.
        site = folder / "lib" / f"python{python}" / "site-packages"
        (site / "parent.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
        _call([str(interpreter), "-m", "pip", "install", "--quiet", f"pythae=={VERSION}"])
    except (OSError, subprocess.SubprocessError) as error:
        raise PythaeMissing(f"pythae could not be installed ({type(error).__name__}): its column is empty") from None
    ready.write_text(sys.prefix)
    return interpreter


def _call(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=600)


class Pythae:
    """The process: orders go in and answers come out as lines of JSON."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    @classmethod
    @contextmanager
    def started(cls) -> Iterator[Pythae]:
        """Install it if need be, start it, and end it at the end. Raises `PythaeMissing`."""
        scripts = str(Path(__file__).parents[1])
        process = subprocess.Popen(
            [str(environment()), "-m", "benchmarks._pythae_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": scripts, "OMP_NUM_THREADS": "1"},
        )
        try:
            pythae = cls(process)
            pythae.ask({"do": "greet"})
            yield pythae
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(timeout=60)

    def ask(self, order: dict[str, Any]) -> Record:
        """The answer to an order.

        Raises:
            PythaeMissing: if the process has ended instead.
        """
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())
        except (OSError, json.JSONDecodeError):
            raise PythaeMissing(f"pythae {VERSION} does not run beside these versions: its column is empty") from None

    def load(self, problem: Problem) -> None:
        """Let it make the same problem."""
        self.ask({"do": "load", "words": problem.words, "epochs": problem.epochs})

    def train(self) -> Record:
        """Train once, from the first weights: what it took."""
        return self.ask({"do": "train"})


@contextmanager
def pythae_or_none(table: Table) -> Iterator[Pythae | None]:
    """A process with pythae; where it cannot be had, a note says so."""
    with ExitStack() as stack:
        try:
            pythae = stack.enter_context(Pythae.started())
        except PythaeMissing as missing:
            table.notes.append(str(missing))
            yield None
        else:
            table.notes.append(f"pythae {VERSION}, with the same torch")
            yield pythae
