"""A row of evidence: what was expected, what came out, and whether that holds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks._table import Table

COLUMNS = ("measure", "baseline", "published", "expected", "got", "held", "seconds")
NONE = "—"


@dataclass(frozen=True)
class Range:
    """What a measure is expected to lie in, both ends included."""

    low: float = -math.inf
    high: float = math.inf

    def holds(self, value: float) -> bool:
        """Whether it lies inside; what is not a number does not."""
        return self.low <= value <= self.high

    def __str__(self) -> str:
        if self.low == self.high:
            return f"= {self.low:.4g}"
        if math.isinf(self.high):
            return NONE if math.isinf(self.low) else f"≥ {self.low:.4g}"
        return f"≤ {self.high:.4g}" if math.isinf(self.low) else f"{self.low:.4g} … {self.high:.4g}"


def at_least(low: float) -> Range:
    """So much or more."""
    return Range(low=low)


def at_most(high: float) -> Range:
    """So much or less."""
    return Range(high=high)


def exactly(value: float) -> Range:
    """So much and nothing else."""
    return Range(value, value)


@dataclass(frozen=True)
class Claim:
    """One row.

    Attributes:
        measure: what was measured, with its unit.
        values: what came out, one number a seed.
        expected: what their mean must lie in; None for a row that is only told.
        baseline: the trivial or classical way's value, by name.
        published: the figure of whoever published one.
        command: what to type for it.
        seconds: of all its runs together.
        digits: decimals of the numbers that came out.
    """

    measure: str
    values: Sequence[float]
    expected: Range | None = None
    baseline: str = NONE
    published: str = NONE
    command: str = ""
    seconds: float = 0.0
    digits: int = 3

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return statistics.fmean(self.values)

    @property
    def spread(self) -> float | None:
        """The standard deviation over the seeds (n − 1); None of a single one."""
        if len(self.values) < 2:
            return None
        return statistics.stdev(self.values) if all(map(math.isfinite, self.values)) else math.nan

    @property
    def held(self) -> bool | None:
        """Whether the mean is as expected; None where nothing is."""
        return None if self.expected is None else self.expected.holds(self.mean)

    @property
    def got(self) -> str:
        """Mean ± spread."""
        spread = "" if self.spread is None else f" ± {self.spread:.{self.digits}f}"
        return f"{self.mean:.{self.digits}f}{spread}"

    def record(self) -> dict[str, Any]:
        """All of it, for machines; an end that a range does not have is null."""
        whole = asdict(self) | {"values": [finite(value) for value in self.values], "mean": finite(self.mean)}
        if self.expected is not None:
            whole["expected"] = {"low": finite(self.expected.low), "high": finite(self.expected.high)}
        spread = None if self.spread is None else finite(self.spread)
        return whole | {"spread": spread, "held": self.held}


def finite(value: float) -> float | None:
    """None for what JSON has no number for."""
    return value if math.isfinite(value) else None


def beside(metrics: Sequence[Mapping[str, float]], names: Mapping[str, str], digits: int = 3) -> str:
    """Baselines by label: the mean over seeds of each named measure."""
    return ", ".join(f"{label} {mean_of(metrics, name):.{digits}f}" for label, name in names.items()) or NONE


def mean_of(metrics: Sequence[Mapping[str, float]], name: str) -> float:
    """The mean over seeds of one measure."""
    return statistics.fmean(of_seeds(metrics, name))


def of_seeds(metrics: Sequence[Mapping[str, float]], name: str) -> list[float]:
    """One measure of every seed's run; not a number where a run lacks it, so that no range holds it."""
    return [run.get(name, math.nan) for run in metrics]


def table(recipe: str, claims: Sequence[Claim]) -> Table:
    """A recipe's rows, each with the number of its command, which stand below."""
    commands = list(dict.fromkeys(claim.command for claim in claims if claim.command))
    made = Table(recipe, COLUMNS)
    words = {True: "yes", False: "falls short", None: NONE}
    for claim in claims:
        mark = f" [{commands.index(claim.command) + 1}]" if claim.command else ""
        expected = NONE if claim.expected is None else str(claim.expected)
        made.rows.append(
            [
                claim.measure + mark,
                claim.baseline,
                claim.published,
                expected,
                claim.got,
                words[claim.held],
                f"{claim.seconds:.0f}",
            ]
        )
        made.records.append({"recipe": recipe, **claim.record()})
    made.notes = [f"[{k}] {command}" for k, command in enumerate(commands, start=1)]
    return made


def short(table: Table) -> int:
    """How many rows of a table, and of those below it, fall short."""
    own = sum(record.get("held") is False for record in table.records)
    return own + sum(short(further) for further in table.further)
