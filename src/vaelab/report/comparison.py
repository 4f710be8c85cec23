"""The jobs of a sweep held against each other: one row for all seeds of what else was swept, the best first."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

from vaelab.metrics.direction import aim, aim_in_words, miss
from vaelab.report.tables import beside, is_beside, number

SHOWN = 4
SPREAD = "mean ± standard deviation over seeds (n − 1)"
ARROWS = {math.inf: " ↑", -math.inf: " ↓"}
# What a training costs, and new items: in the table beside the measures.
COSTS = ("fit_seconds", "sample/per_second")
# How a job may end without measures.
LOST = ("failed", "diverged", "cut off")


class Job(NamedTuple):
    """A job of a sweep.

    Attributes:
        name: of its directory below the sweep's.
        changes: what its command line changed, setting → value.
        measures: what is a number of its `metrics.json`.
        lost: how it ended without measures, one of `LOST`; None: it did not.
        why: it has no measures.
    """

    name: str
    changes: Mapping[str, str]
    measures: Mapping[str, float]
    lost: str | None = None
    why: str = ""


class Group(NamedTuple):
    """The jobs that differ in their seed alone, and the values of what was swept beside it; or one job."""

    swept: tuple[str, ...]
    jobs: list[Job]

    def values(self, measure: str) -> list[float]:
        """Those of the jobs that have the measure."""
        return [job.measures[measure] for job in self.jobs if measure in job.measures]

    def mean(self, measure: str) -> float:
        """Of the jobs that have the measure, at least one."""
        return statistics.fmean(self.values(measure))

    def cell(self, measure: str) -> str:
        """The mean and its spread; nothing where no job has the measure."""
        values = self.values(measure)
        spread = statistics.stdev(values) if len(values) > 1 else None
        return with_spread(self.mean(measure), spread) if values else ""

    def lost(self, how: str) -> int:
        """How many jobs ended so."""
        return sum(job.lost == how for job in self.jobs)


class Comparison(NamedTuple):
    """A sweep's groups in the order in which they are told.

    Attributes:
        keys: what was swept, the seed excepted where groups are over seeds.
        groups: the best first, if there is a `rank`; those that lack it last.
        measures: every measure that a job has, in order of appearance.
        by_seed: whether groups are over seeds; else each is one job.
        rank: the measure that they are sorted by.
    """

    keys: list[str]
    groups: list[Group]
    measures: list[str]
    by_seed: bool
    rank: str | None

    @property
    def lost(self) -> list[str]:
        """The ways in which some jobs ended without measures."""
        return [how for how in LOST if any(group.lost(how) for group in self.groups)]

    def title(self, group: Group) -> str:
        """What tells a group from the others."""
        if not self.by_seed:
            return " ".join([group.jobs[0].name, *filter(None, group.swept)])
        if len(self.keys) == 1:
            return group.swept[0]
        return ", ".join(f"{key}={value}" for key, value in zip(self.keys, group.swept, strict=True)) or "all seeds"


class Cells(NamedTuple):
    """A table: its head, rows of words, and which columns hold numbers."""

    head: list[str]
    rows: list[list[str]]
    numbers: list[bool]


def compare(jobs: Sequence[Job], rank: str | None = None) -> Comparison:
    """Group the jobs over seeds, where several were swept, and sort the groups by a measure, if any job has it."""
    varied = varied_keys(jobs)
    by_seed = "seed" in varied
    keys = [key for key in varied if key != "seed"] if by_seed else varied
    found: dict[Any, Group] = {}
    for job in jobs:
        swept = tuple(job.changes.get(key, "") for key in keys)
        found.setdefault(swept if by_seed else job.name, Group(swept, [])).jobs.append(job)
    measures = list(dict.fromkeys(name for job in jobs for name in job.measures))
    rank = rank if rank in measures else None
    groups = sorted(found.values(), key=lambda group: _place(group, rank))
    return Comparison(keys, groups, measures, by_seed, rank)


def varied_keys(jobs: Iterable[Job]) -> list[str]:
    """The settings in which jobs differ, in order of appearance."""
    changes = [job.changes for job in jobs]
    keys = dict.fromkeys(key for change in changes for key in change)
    return [key for key in keys if len({change.get(key) for change in changes}) > 1]


def _place(group: Group, rank: str | None) -> float:
    """What is the less, the earlier a group comes."""
    return miss(rank, group.mean(rank)) if rank and group.values(rank) else math.inf


def with_spread(mean: float, spread: float | None) -> str:
    """Both with as many digits as tell two of the spread, which are those that mean something."""
    if not spread:
        return number(mean) + ("" if spread is None else " ± 0")
    digits = max(1 - math.floor(math.log10(spread)), 0)
    if digits > 6 or spread >= 1e6:
        return f"{mean:.4g} ± {spread:.1e}"
    return f"{mean:,.{digits}f} ± {spread:,.{digits}f}"


# Tables -----------------------------------------------------------------------------------------------------------


def shown_measures(compared: Comparison) -> list[str]:
    """The measure that ranks, and the first of those that all groups have; where there is none, the first of any."""
    measured = [group for group in compared.groups if any(job.measures for job in group.jobs)]
    # What has no kind before its name tells how a training went.
    own = [name for name in compared.measures if "/" in name and name not in COSTS and not is_beside(name)]
    shared = [name for name in own if all(group.values(name) for group in measured)]
    first = [compared.rank] if compared.rank else []
    return list(dict.fromkeys([*first, *shared] or compared.measures))[:SHOWN]


def costs(compared: Comparison) -> list[str]:
    """The measures of what a training costs, and new items, as far as jobs have them."""
    return [cost for cost in COSTS if cost in compared.measures]


def head(compared: Comparison, name: str) -> str:
    """A measure's name, and where it ranks, which way it is better."""
    return name + (ARROWS.get(aim(name), "") if name == compared.rank else "")


def overview(compared: Comparison, measures: Sequence[str]) -> Cells:
    """One row a group: what was swept, these measures, and how many jobs it has and lost."""
    if not compared.by_seed:
        return _of_jobs(compared, measures)
    told = [*measures, *(name for name in costs(compared) if name not in measures)]
    names = [*compared.keys, *(head(compared, name) for name in told), "runs", *compared.lost]
    rows = []
    for group in compared.groups:
        counts = [len(group.jobs), *map(group.lost, compared.lost)]
        rows.append([*group.swept, *map(group.cell, told), *map(str, counts)])
    return Cells(names, rows, [k >= len(compared.keys) for k in range(len(names))])


def _of_jobs(compared: Comparison, measures: Sequence[str]) -> Cells:
    """One row a job, and why it failed if any has."""
    lost = ["failed"] if compared.lost else []
    names = ["job", *compared.keys, *(head(compared, name) for name in measures), *lost]
    rows = []
    for group in compared.groups:
        (job,) = group.jobs
        rows.append([job.name, *group.swept, *map(group.cell, measures), *([job.why] if lost else [])])
    return Cells(names, rows, [False] * (1 + len(compared.keys)) + [True] * len(measures) + [False] * len(lost))


def everything(compared: Comparison) -> Cells:
    """One row a measure, one column a group."""
    names = ["measure", *map(compared.title, compared.groups)]
    rows = [[name, *(group.cell(name) for group in compared.groups)] for name in compared.measures]
    return Cells(names, rows, [False] + [True] * len(compared.groups))


def markdown(cells: Cells, *, best: bool) -> str:
    """A table in markdown; if `best`, its first row stands out."""

    def line(words: Iterable[str]) -> str:
        return f"| {' | '.join(word.replace('|', chr(92) + '|') for word in words)} |\n"

    rows = [[f"**{word}**" if best and k == 0 and word else word for word in row] for k, row in enumerate(cells.rows)]
    ruler = ["---:" if is_number else "---" for is_number in cells.numbers]
    return line(cells.head) + line(ruler) + "".join(map(line, rows))


def document(compared: Comparison, trained: str) -> str:
    """All that a comparison tells, in markdown: how long was trained, the table, what it says, and every measure."""
    short = markdown(overview(compared, shown_measures(compared)), best=compared.rank is not None)
    parts = [trained, short, *notes(compared), *lost_jobs(compared)]
    whole = markdown(everything(compared), best=False) if compared.measures else ""
    return "\n\n".join(part.strip() for part in [*parts, whole] if part) + "\n"


# Words ------------------------------------------------------------------------------------------------------------


def notes(compared: Comparison) -> list[str]:
    """What the numbers of a table are, how it is sorted, and what the measure that ranks stands beside."""
    told = [SPREAD] if compared.by_seed else []
    if compared.rank is None:
        return told
    told.append(f"best first by {compared.rank}: {aim_in_words(compared.rank)}")
    found = {name: [group.mean(name) for group in compared.groups if group.values(name)] for name in compared.measures}
    floors = [f"{label} {_range(found[name])}" for label, name in beside(compared.rank, found).items()]
    return [*told, f"beside it: {', '.join(floors)}"] if floors else told


def _range(values: Sequence[float]) -> str:
    """The least and the greatest, or the one that all are."""
    return " to ".join(dict.fromkeys(map(number, (min(values), max(values)))))


def budget(jobs: Iterable[Job], limits: Iterable[str | None]) -> str:
    """What the jobs were trained for: steps, or a time; nothing where fewer than two were.

    Args:
        jobs: of the sweep.
        limits: `trainer.max_time` of each.
    """
    trained = {
        job.name: (round(job.measures["steps_per_second"] * job.measures["fit_seconds"]), limit)
        for job, limit in zip(jobs, limits, strict=True)
        if {"steps_per_second", "fit_seconds"} <= set(job.measures)
    }
    if len(trained) < 2:
        return ""
    counts, times = {count for count, _ in trained.values()}, {limit for _, limit in trained.values()}
    steps = " to ".join(f"{count:,}" for count in sorted({min(counts), max(counts)})) + " steps"
    if len(times) > 1:
        return f"budget: not the same, jobs differ in trainer.max_time; {steps}"
    if times != {None}:
        return f"budget: trainer.max_time={times.pop()} for each job; {steps}"
    return f"budget: {steps} for each job" if len(counts) == 1 else f"budget: not the same, {steps}"


def lost_jobs(compared: Comparison) -> list[str]:
    """The jobs without measures by how and why, one line for each reason; none where each job has its own row."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for job in (job for group in compared.groups if compared.by_seed for job in group.jobs if job.lost):
        reasons.setdefault((str(job.lost), job.why), []).append(job.name)
    return [
        f"{how:<14}{', '.join(names)}" + (f": {why}" if why != how else "") for (how, why), names in reasons.items()
    ]


def unknown_rank(asked: str, measures: Sequence[str]) -> str:
    """One line for a measure that no job has, with the nearest names."""
    near = get_close_matches(asked, measures, n=3, cutoff=0.4)
    remedy = f"did you mean {', '.join(near)}?" if near else "sweep.csv has them all"
    return f"report.rank={asked} is no measure of these jobs: {remedy}"


def fitting(measures: Sequence[str], fits: Callable[[Sequence[str]], bool]) -> Sequence[str]:
    """As many of the first measures as fit, and at least one."""
    return next((measures[:n] for n in range(len(measures), 1, -1) if fits(measures[:n])), measures[:1])
