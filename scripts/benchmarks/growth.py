"""Growth: time and memory against the size of things, each with the exponent of a power law.

Every size has fresh processes, one thread, in a random order. Seconds are of the processor, memory is the largest that
the process held beyond what it held with everything imported. `signals`: reading (simulating), encoding and one epoch
of the sine VAE, batch 512. `pixels`: 60 steps of a convolutional VAE on sprites, 32 a batch, against the number of
pixels. `latent`: 200 steps of the 784-256-128 MLP against the latent's dimensions, of which little depends. `draws`:
the bound of 5 pictures against k. An exponent of 1 is linear, of 0 constant; `at the end` is that of the two largest
sizes, where fixed costs matter least. Medians over the repetitions.
"""

from __future__ import annotations

import json
import math
from functools import partial
from typing import Any, NamedTuple

from benchmarks._table import Options, Record, Table, digits, exponent, spread
from benchmarks._timing import interleave, succeeded

EQUAL = ["accelerator=cpu", "threads=1", "optimizer=adam", "beta_schedule=constant"]
# Each repetition is a fresh process at every size: more of them cost more than they teach.
MOST_REPEATS = 3


class Case(NamedTuple):
    """Sizes to try, fewer of them if quick; a size enters the law as `of(size)`."""

    sizes: list[int]
    quick: list[int]
    power: int = 1


CASES = {
    "signals": Case([1_000, 10_000, 100_000, 1_000_000], [1_000, 10_000]),
    "pixels": Case([16, 32, 64, 128], [16, 32], power=2),
    "latent": Case([2, 8, 32, 128, 512], [2, 32]),
    "draws": Case([10, 100, 1_000, 10_000], [10, 1_000]),
}


def measure(options: Options) -> Table:
    """A row a size, and each law's exponents."""
    columns = ["what grows", "size", "seconds", "MB beyond the start"]
    table = Table("Growth: time and memory against size", columns)
    laws = Table("Exponents", ["what grows", "seconds", "at the end", "MB", "at the end"])
    for name in filter(options.wants, CASES):
        case = CASES[name]
        sizes = case.quick if options.quick else case.sizes
        arms = {str(size): partial(one, name, size) for size in sizes}
        records = interleave(arms, min(options.repeats, MOST_REPEATS), warm_up=False)
        table.records += [record | {"case": name} for record in records]
        medians = {key: [spread(records, str(size), key).median for size in sizes] for key in ("cpu", "peak_mb")}
        for size, cpu, peak in zip(sizes, *medians.values(), strict=True):
            table.rows.append([name, f"{size:,}" if case.power == 1 else f"{size} x {size}", digits(cpu), digits(peak)])
        laws.rows.append([name, *exponents([size**case.power for size in sizes], medians)])
    table.further.append(laws)
    return table


def exponents(sizes: list[int], medians: dict[str, list[float]]) -> list[str]:
    """Of all sizes and of the two largest, for time and for memory."""
    found = [exponent(sizes[-few:], values[-few:]) for values in medians.values() for few in (len(sizes), 2)]
    return [f"{value:.2f}" if math.isfinite(value) else "—" for value in found]


def one(name: str, size: int) -> Record:
    """One size in a fresh process."""
    finished = succeeded(["-m", "benchmarks._growth_case", name, str(size)])
    told: dict[str, Any] = json.loads(finished.out.strip().splitlines()[-1])
    return {"size": size, **told}
