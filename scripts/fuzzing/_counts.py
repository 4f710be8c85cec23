"""How often which outcome came, and every distinct failure once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks._table import Table

from fuzzing._forks import Told

GOOD = ("read", "left out", "refused")
BAD = ("traceback", "hang", "memory", "changed")


@dataclass
class Counts:
    """What became of one kind's inputs.

    `first` holds the first failure of each distinct sort, `times` how often that sort came.
    """

    kind: str
    seed: int
    outcomes: Counter[str] = field(default_factory=Counter)
    first: dict[str, tuple[int, Told]] = field(default_factory=dict)
    times: Counter[str] = field(default_factory=Counter)

    def add(self, index: int, told: Told) -> None:
        """Count one."""
        self.outcomes[told.outcome] += 1
        if told.outcome in BAD:
            sort = self._sort(told)
            self.first.setdefault(sort, (index, told))
            self.times[sort] += 1

    def _sort(self, told: Told) -> str:
        """Failures are alike if they are of one outcome and at one place, or say the same but for numbers."""
        return f"{told.outcome} {told.where}" if told.where else re.sub(r"\d+", "#", f"{told.outcome} {told.why}")

    @property
    def total(self) -> int:
        """How many inputs there were."""
        return self.outcomes.total()

    @property
    def failures(self) -> int:
        """How many of them failed."""
        return sum(self.outcomes[name] for name in BAD)

    def reproducers(self) -> list[str]:
        """One line for each distinct failure, the commonest first."""
        lines = []
        for sort, times in self.times.most_common():
            index, told = self.first[sort]
            place = f" at {told.where}" if told.where else ""
            lines.append(
                f"{told.outcome} ({times}): {told.why}{place} | {told.words} | "
                f"python scripts/fuzz.py {self.kind} --seed {self.seed} --from {index} --n 1"
            )
        return lines


def table(all_counts: Sequence[Counts]) -> Table:
    """A row a kind."""
    made = Table("Inputs", ["kind", "inputs", *GOOD, "tracebacks", "hangs", "memory", "changed"])
    made.rows = [
        [counts.kind, str(counts.total), *(str(counts.outcomes[name]) for name in (*GOOD, *BAD))]
        for counts in all_counts
    ]
    return made
