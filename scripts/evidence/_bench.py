"""Trains and samples as a user would, each command once."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from benchmarks._timing import peak_mb

from evidence._claims import NONE, Claim, Range, beside, of_seeds

SCRIPTS = Path(__file__).parents[1]
T = TypeVar("T")


class CommandError(Exception):
    """A command failed; the message is one line with what it said last."""


@dataclass(frozen=True)
class Made:
    """A command that is done: the folder that it filled, its measures, how long it took, the most memory it held."""

    folder: Path
    metrics: dict[str, float]
    seconds: float
    peak_mb: float = math.nan


@dataclass(frozen=True)
class Case:
    """The same command with several seeds."""

    runs: Sequence[Made]
    command: str

    @property
    def metrics(self) -> list[dict[str, float]]:
        """Of each run."""
        return [run.metrics for run in self.runs]

    @property
    def seconds(self) -> float:
        """Of all runs."""
        return sum(run.seconds for run in self.runs)

    def less(self, other: Case) -> Case:
        """What each run has more than the other case's with the same seed, measure by measure."""
        pairs = zip(self.runs, other.runs, strict=True)
        return Case([replace(a, metrics=difference(a.metrics, b.metrics)) for a, b in pairs], self.command)

    def row(
        self,
        told: str,
        measure: str,
        expected: Range | None = None,
        baselines: Mapping[str, str] | None = None,
        published: str = NONE,
        digits: int = 3,
    ) -> Claim:
        """A row of one measure of `metrics.json`; `baselines` go from what they are called to their measure."""
        values, below = of_seeds(self.metrics, measure), beside(self.metrics, baselines or {}, digits)
        return Claim(told, values, expected, below, published, self.command, self.seconds, digits)


@dataclass
class Bench:
    """Where a recipe's commands are run.

    Attributes:
        recipe: its name, that of the folder of its runs, too.
        out: where everything goes.
        seeds: one run each.
        quick: whether trainings are to be short.
        fresh: whether finished runs are run anew.
        data: folders of the user's, by name.
        reused: how many runs were there already.
    """

    recipe: str
    out: Path
    seeds: Sequence[int] = (0,)
    quick: bool = False
    fresh: bool = False
    data: dict[str, Path] = field(default_factory=dict)
    reused: int = 0

    def pick(self, full: T, quick: T) -> T:
        """The one for a full verification, or that for a quick one."""
        return quick if self.quick else full

    def train(self, *words: str, seed: int) -> Made:
        """One run of `train.py` with these settings."""
        return self._once([*words, "threads=1", f"seed={seed}"], "hydra.run.dir")

    def case(self, *words: str) -> Case:
        """One run a seed."""
        return Case([self.train(*words, seed=seed) for seed in self.seeds], self.command("train.py", *words))

    def sweep(self, *words: str, seed: int) -> list[Made]:
        """One multirun, its jobs in the order of the values that it sweeps; a job's seconds are its share."""
        whole = self._once(["-m", *words, "threads=1", f"seed={seed}"], "hydra.sweep.dir", "sweep.csv")
        jobs = sorted((path for path in whole.folder.glob("*") if path.name.isdigit()), key=lambda path: int(path.name))
        for job in jobs:
            if not (job / "metrics.json").is_file():
                raise CommandError(f"job {job.name} of a sweep failed: see {whole.folder.with_suffix('.log')}")
        return [Made(job, read(job / "metrics.json"), whole.seconds / len(jobs)) for job in jobs]

    def sample(self, run: Made, *words: str, result: str = "metrics.json") -> Made:
        """One run of `sample.py` on a trained run; `result` is the file that it leaves, which may be no measures."""
        return self._once([*words, "threads=1"], "out", result, of=run)

    def command(self, script: str, *words: str) -> str:
        """What to type for it; several seeds make a multirun of it."""
        if script == "train.py":
            many = len(self.seeds) > 1 and "-m" not in words
            words = (*["-m"] * many, *words, "threads=1", f"seed={','.join(map(str, self.seeds))}")
        else:
            words = (*words, "threads=1")
        shown = [f"'{word}'" if re.search(r"[\[\] ]", word) else word for word in words]
        return " ".join(["python", f"scripts/{script}", *shown])

    def _once(self, words: list[str], place: str, result: str = "metrics.json", of: Made | None = None) -> Made:
        """Run a command that fills the folder `place=`, or find it done; one that was cut off is begun again."""
        script = "train.py" if of is None else "sample.py"
        asked = {"script": script, "words": words, "of": "" if of is None else str(of.folder.relative_to(self.out))}
        folder = self.out / "runs" / self.recipe / slug(asked)
        done = folder.with_suffix(".json")
        if not self.fresh and done.is_file() and (folder / result).is_file():
            self.reused += 1
        else:
            shutil.rmtree(folder, ignore_errors=True)
            done.unlink(missing_ok=True)
            source = [] if of is None else [f"run={quoted(of.folder)}"]
            took = run(script, [*words, *source, f"{place}={quoted(folder)}"], folder.with_suffix(".log"))
            done.write_text(json.dumps(asked | took) + "\n")
        measured = read(folder / result) if result == "metrics.json" else {}
        known = read(done)
        return Made(folder, measured, known["seconds"], known.get("peak_mb", math.nan))


def run(script: str, words: list[str], log: Path) -> dict[str, float]:
    """Run one of the doors; its `seconds` and `peak_mb`. Raises `CommandError` if it failed."""
    print(f"  {script} {' '.join(words[:-1])}", end="", flush=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    with log.open("w") as file:
        command = [sys.executable, str(SCRIPTS / script), *words]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        with subprocess.Popen(command, env=environment, stdout=file, stderr=subprocess.STDOUT) as child:
            # This way of waiting tells how much memory it took.
            _, status, used = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    print(f"  {'failed' if status else f'{seconds:.0f} s'}", flush=True)
    if status:
        raise CommandError(f"{script} failed: {reason(log.read_text(errors='replace'))} (all of it in {log})")
    return {"seconds": seconds, "peak_mb": peak_mb(used)}


def reason(told: str) -> str:
    """The door's own line about what is wrong, behind which libraries may have said more; else the last line."""
    lines = told.strip().splitlines() or ["without a word"]
    return next((line for line in reversed(lines) if line.startswith("vaelab: ")), lines[-1])


def slug(asked: Mapping[str, Any]) -> str:
    """A folder's name for a command: what a person recognises, and a hash that no other command has."""
    digest = hashlib.blake2b(json.dumps(asked, sort_keys=True).encode(), digest_size=6).hexdigest()
    told = [word for word in asked["words"] if word != "threads=1" and not word.startswith("experiment=")]
    return f"{re.sub(r'[^A-Za-z0-9]+', '_', ' '.join(told)).strip('_')[:60]}-{digest}"


def quoted(folder: Path) -> str:
    """A path as a value of the command line's grammar, whatever is in it."""
    return "'" + str(folder.resolve()).replace("'", r"\'") + "'"


def difference(a: Mapping[str, float], b: Mapping[str, float]) -> dict[str, float]:
    """Of every measure that both have."""
    return {name: value - b[name] for name, value in a.items() if name in b}


def read(path: Path) -> dict[str, Any]:
    """A JSON file."""
    return json.loads(path.read_text())
