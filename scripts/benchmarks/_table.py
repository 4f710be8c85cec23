"""What a part gives back, what is computed from its repetitions, and how both are told and written."""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

PACKAGES = ("torch", "lightning", "hydra-core", "omegaconf", "numpy", "librosa", "tensorboard", "rich", "vaelab")
Record = dict[str, Any]


@dataclass(frozen=True)
class Options:
    """What the command line asks of a part.

    `repeats` counts those that are measured, without the warm-up; `only` keeps the cases whose name contains it.
    """

    repeats: int = 5
    quick: bool = False
    only: str = ""

    def wants(self, case: str) -> bool:
        """Whether a case of this name is asked for."""
        return self.only in case


@dataclass
class Table:
    """A part's answer: rows of words for people, and every single repetition for machines.

    `further` tables, without records of their own, stand below it.
    """

    title: str
    columns: Sequence[str]
    rows: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    further: list[Table] = field(default_factory=list)


class Spread(NamedTuple):
    """The median of some repetitions, with the smallest and the largest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one value."""
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{digits(self.median)} ({digits(self.low)}–{digits(self.high)})"


def digits(value: float) -> str:
    """Three significant digits, without an exponent where people would not write one."""
    if not math.isfinite(value) or value == 0:
        return str(value)
    if not 1e-3 <= abs(value) < 1e6:
        return f"{value:.2e}"
    return f"{value:,.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def measured(records: Sequence[Record]) -> list[Record]:
    """The repetitions that count: all but the warm-up."""
    return [record for record in records if not record.get("warm_up")]


def spread(records: Sequence[Record], arm: str, key: str) -> Spread:
    """Of one arm's `key` over its repetitions."""
    return Spread.of([record[key] for record in measured(records) if record["arm"] == arm])


def ratios(records: Sequence[Record], arm: str, reference: str, key: str) -> Spread:
    """One arm's `key` over the reference's of the same repetition; their spread.

    A machine that slows down for a while slows both arms of a repetition, so that their ratio is steadier than they.
    """
    by_round: dict[tuple[int, str], float] = {(r["repetition"], r["arm"]): r[key] for r in measured(records)}
    rounds = sorted({number for number, name in by_round if name == arm})
    return Spread.of([by_round[number, arm] / by_round[number, reference] for number in rounds])


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The p of `value ∝ size^p`, the slope of a straight line through the logarithms by least squares."""
    x, y = [math.log(size) for size in sizes], [math.log(value) for value in values]
    return statistics.linear_regression(x, y).slope


def machine() -> dict[str, Any]:
    """What the numbers depend on: the processor, its cores, threads and load, and the versions of what is measured."""
    import torch

    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "load_average": list(os.getloadavg()),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "system": platform.system(),
        "packages": {name: found for name in PACKAGES if (found := package_version(name))},
    }


def processor() -> str:
    """The processor's name, where the system tells it."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def package_version(package: str) -> str | None:
    """As installed; None where it is not."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def show(table: Table) -> None:
    """Print a part's table and its notes."""
    from rich.console import Console
    from rich.table import Table as Rich

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 160
    shown = Rich(title=table.title, title_justify="left", show_edge=False)
    for k, name in enumerate(table.columns):
        shown.add_column(name, justify="right" if k else "left")
    for row in table.rows:
        shown.add_row(*row)
    console.print(shown)
    for note in table.notes:
        console.print(f"  {note}", markup=False)
    for further in table.further:
        console.print()
        show(further)


def write(table: Table, part: str, folder: Path, facts: dict[str, Any]) -> None:
    """Write `<part>.json` with every repetition and `<part>.md` with the table."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"part": part, "machine": facts, **asdict(table)}
    (folder / f"{part}.json").write_text(json.dumps(content, indent=2) + "\n")
    (folder / f"{part}.md").write_text(f"{markdown(table)}\n{told(facts)}\n")


def markdown(table: Table) -> str:
    """The table, its notes and the tables below it."""
    rows = [table.columns, ["---", *["---:"] * (len(table.columns) - 1)], *table.rows]
    lines = [f"**{table.title}**", "", *(f"| {' | '.join(word.replace('|', '/') for word in row)} |" for row in rows)]
    if table.notes:
        lines += ["", *(f"- {note}" for note in table.notes)]
    return "\n".join([*lines, "", *map(markdown, table.further)])


def told(facts: dict[str, Any]) -> str:
    """The machine in one line."""
    versions = ", ".join(f"{name} {number}" for name, number in facts["packages"].items())
    where = f"{facts['processor']}, {facts['threads']} thread(s) of {facts['cores']} cores"
    return f"{where}, load {facts['load_average'][0]:.1f}; Python {facts['python']}; {versions}"
