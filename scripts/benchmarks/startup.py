"""Start: how long until a command answers, until training takes its first step, and what is imported on the way.

Every figure is of a fresh process with warm files, the commands of a repetition in a random order. The commands stand
beside the smallest Hydra program, which has one setting. The first step of `vaelab-train` (the sine VAE: data, model,
trainer, run directory, TensorBoard) stands beside the floor: importing Lightning and taking one step of the same net
with a trainer that writes nothing; both clocks stop at the end of the first batch. Processor seconds and, in brackets,
smallest–largest; the imports are those of one run up to the first step, slowed down by the tracing itself.
"""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks._table import Options, Record, Table, digits, ratios, spread
from benchmarks._timing import SCRIPTS, Finished, fresh, interleave, succeeded

HYDRA, FLOOR = "smallest Hydra program", "floor: Lightning, one step"
SMALLEST = """import hydra

@hydra.main(version_base="1.3", config_path=".", config_name="app")
def main(config):
    pass

main()
"""
TRAIN = str(SCRIPTS / "train.py")
WORDS = {
    "--help": ["--help"],
    "--cfg job": ["--cfg", "job"],
    "a mistyped setting": ["trainer.max_epoch=3"],
}
SHOWN = 10


def measure(options: Options) -> Table:
    """A row a command, then the first step, then the heaviest imports."""
    columns = ["what", "processor s", "clock s", "in units of the floor", "torch imported"]
    table = Table("Start: until a command answers, and until the first step", columns)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "app.py").write_text(SMALLEST)
        (folder / "app.yaml").write_text("seed: 0\n")
        answers = {HYDRA: [str(folder / "app.py"), "--help"]}
        answers |= {command: [TRAIN, *words] for command, words in WORDS.items()}
        steps = {FLOOR: "floor", "vaelab-train, one step": "vaelab"}
        arms = {arm: partial(answer, words, folder) for arm, words in answers.items() if options.wants(arm)}
        arms |= {arm: partial(first_step, which, folder) for arm, which in steps.items() if options.wants(arm)}
        table.records = interleave(arms, options.repeats)
        for arm in arms:
            traced = trace(["-m", "benchmarks._first_step", steps[arm]] if arm in steps else answers[arm], folder)
            table.rows.append(row(arm, table.records, FLOOR if arm in steps else HYDRA, traced))
            if arm == "vaelab-train, one step":
                table.further.append(heaviest(traced))
    return table


def answer(words: list[str], folder: Path) -> Record:
    """What a command takes from start to end."""
    finished = fresh(words, folder)
    return {"cpu": finished.cpu, "wall": finished.wall}


def first_step(which: str, folder: Path) -> Record:
    """What a training takes from the start of its process to the end of its first batch."""
    began = time.time()
    told = json.loads(last_line(succeeded(["-m", "benchmarks._first_step", which], folder)))
    return {"cpu": told["cpu"], "wall": told["at"] - began}


def last_line(finished: Finished) -> str:
    """What it said last."""
    return finished.out.strip().splitlines()[-1]


def row(arm: str, records: list[Record], floor: str, traced: list[Imported]) -> list[str]:
    """One command."""
    has_floor = any(record["arm"] == floor for record in records)
    ratio = str(ratios(records, arm, floor, "cpu")) if has_floor else "—"
    torch = "yes" if any(module.name == "torch" for module in traced) else "no"
    return [arm, str(spread(records, arm, "cpu")), str(spread(records, arm, "wall")), ratio, torch]


# Imports ----------------------------------------------------------------------------------------------------------


class Imported(NamedTuple):
    """A module: its own seconds, without what it imported in turn, and the modules that led to it, nearest first."""

    name: str
    seconds: float
    asked_by: tuple[str, ...]

    @property
    def package(self) -> str:
        """Its topmost package."""
        return self.name.partition(".")[0]


def trace(words: list[str], folder: Path) -> list[Imported]:
    """Every module that a command imports, in the order in which the imports ended."""
    return imports(fresh(["-X", "importtime", *words], folder).err)


def imports(told: str) -> list[Imported]:
    """What `-X importtime` says: own and cumulative microseconds, and a name indented more than its importer's.

    The importer's line follows, since an import ends after those that it asked for.
    """
    lines = re.findall(r"^import time: +(\d+) \| +\d+ \| ( *)(\S+)$", told, re.MULTILINE)
    found, above = [], []
    for own, indent, name in reversed(lines):
        del above[len(indent) // 2 :]
        found.append(Imported(name, int(own) / 1e6, tuple(reversed(above))))
        above.append(name)
    return found[::-1]


def heaviest(modules: list[Imported]) -> Table:
    """The packages that cost most, each with the module of another package that asked for it first."""
    own: dict[str, float] = defaultdict(float)
    first: dict[str, str] = {}
    for module in modules:
        own[module.package] += module.seconds
        others = [name for name in module.asked_by if name.partition(".")[0] != module.package]
        first.setdefault(module.package, others[0] if others else "the command itself")
    top = sorted(own, key=lambda package: -own[package])[:SHOWN]
    title = f"The heaviest of {len(modules):,} modules imported before the first step of vaelab-train"
    table = Table(title, ["package", "seconds of its own, traced", "first asked for by"])
    table.rows = [[package, digits(own[package]), first[package]] for package in top]
    table.rows.append(["all", digits(sum(own.values())), ""])
    return table
