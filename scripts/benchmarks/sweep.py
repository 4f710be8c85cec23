"""Sweeps: what one more job costs beyond its training.

`vaelab-train -m` runs 1, 5 and 9 jobs of the sine VAE for 20 steps each, in fresh processes, in a random order. One
more job costs the slope of the clock's seconds against the number of jobs; what its training takes (`fit_seconds` in
its metrics) is taken off. What is left is composing, making the model and the trainer, the test, its measures and
figures; where the jobs differ in their seed, simulating the data and measuring the baselines, too, which jobs that
differ in their learning rate share. The slope of processor seconds, training included, is less disturbed by other
programs. So short a job has no figures; `with figures` adds `report.figures=true`. `Hydra alone` composes the same
configurations for jobs that do nothing.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks._table import Options, Record, Spread, Table, measured
from benchmarks._timing import SCRIPTS, interleave, succeeded

JOBS, QUICK_JOBS = (1, 5, 9), (1, 3)
WORDS = ["experiment=sine", "accelerator=cpu", "threads=1", "trainer.max_steps=20"]
SEEDS, RATES = "seed={}", "optimizer.lr=0.00{}"
CASES = {
    "another learning rate": (RATES, []),
    "another learning rate, with figures": (RATES, ["report.figures=true"]),
    "another seed": (SEEDS, []),
    "another seed, with figures": (SEEDS, ["report.figures=true"]),
}
HYDRA, IDLE = "Hydra alone", "from vaelab.cli import compose_and_do; compose_and_do(lambda config: 0.0, 'train')"


def measure(options: Options) -> Table:
    """Rows of jobs with and without figures, and one of jobs that do nothing."""
    columns = ["one more job", "clock s", "of that its training", "beyond its training", "processor s"]
    table = Table("Sweep: what one more job costs", columns)
    sizes = QUICK_JOBS if options.quick else JOBS
    for case in filter(options.wants, CASES):
        with tempfile.TemporaryDirectory() as folder:
            arms = {str(jobs): partial(multirun, jobs, *CASES[case], Path(folder)) for jobs in sizes}
            records = [record | {"case": case} for record in interleave(arms, options.repeats)]
        wall, cpu, fits = slopes(records, "wall"), slopes(records, "cpu"), fit_means(records)
        beyond = [a - b for a, b in zip(wall, fits, strict=True)]
        table.rows.append([case, *(str(Spread.of(values)) for values in (wall, fits, beyond, cpu))])
        table.records += records
    if options.wants(HYDRA):
        records = [record | {"case": HYDRA} for record in idle(sizes, options.repeats)]
        wall, cpu = (str(Spread.of(slopes(records, key))) for key in ("wall", "cpu"))
        table.rows.append([HYDRA, wall, "—", wall, cpu])
        table.records += records
    table.notes.append(f"slopes over {', '.join(map(str, sizes))} jobs: {' '.join(WORDS)}")
    return table


def multirun(jobs: int, swept: str, more: list[str], folder: Path) -> Record:
    """A sweep over so many values of one setting, with others."""
    where = Path(tempfile.mkdtemp(dir=folder))
    words = [*WORDS, *more, values(swept, jobs), f"hydra.sweep.dir={where}"]
    finished = succeeded([str(SCRIPTS / "train.py"), "-m", *words], folder)
    files = sorted(where.glob("*/metrics.json"))
    assert len(files) == jobs, f"{len(files)} of {jobs} jobs ended well"
    fits = [json.loads(file.read_text())["fit_seconds"] for file in files]
    return {"jobs": jobs, "cpu": finished.cpu, "wall": finished.wall, "fit_seconds": fits}


def idle(sizes: Sequence[int], repeats: int) -> list[Record]:
    """Sweeps of jobs that do nothing."""
    with tempfile.TemporaryDirectory() as folder:
        arms = {str(jobs): partial(composed, jobs, Path(folder)) for jobs in sizes}
        return interleave(arms, repeats)


def composed(jobs: int, folder: Path) -> Record:
    """A sweep over so many seeds that trains nothing."""
    finished = succeeded(["-c", IDLE, "-m", *WORDS, values(SEEDS, jobs), f"hydra.sweep.dir={folder}"], folder)
    return {"jobs": jobs, "cpu": finished.cpu, "wall": finished.wall}


def values(swept: str, jobs: int) -> str:
    """The setting with values 1, 2, … in its place, which makes so many jobs."""
    name, _, value = swept.partition("=")
    return f"{name}={','.join(value.format(k + 1) for k in range(jobs))}"


def slopes(records: list[Record], key: str) -> list[float]:
    """Seconds a job, of each repetition."""
    return [
        statistics.linear_regression([r["jobs"] for r in some], [r[key] for r in some]).slope
        for some in by_repetition(records)
    ]


def fit_means(records: list[Record]) -> list[float]:
    """Mean seconds of training of the jobs behind the first, of each repetition.

    A sweep's first job also pays for what is imported once.
    """
    return [statistics.mean(x for r in some for x in r["fit_seconds"][1:]) for some in by_repetition(records)]


def by_repetition(records: list[Record]) -> list[list[Record]]:
    """The records that count, repetition by repetition."""
    numbers = sorted({record["repetition"] for record in measured(records)})
    return [[record for record in measured(records) if record["repetition"] == number] for number in numbers]
