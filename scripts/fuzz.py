"""Read what nobody should have written: `python scripts/fuzz.py [KIND ...] --n 3000`.

Each kind of input is made from valid ones by seeded mutations, in a temporary folder, and goes through the functions
that the doors use. An input may be read, left out, or refused in one line. Exit status 1 where one ended in a
traceback, hung, took too much memory, or gave other numbers without a word; each distinct failure is told once, with
the command that shows it again.
"""

from __future__ import annotations

import argparse
import os
import pkgutil
import sys
import tempfile
import time
from pathlib import Path

import fuzzing
from benchmarks._table import show
from fuzzing._counts import Counts, table
from fuzzing._forks import Limits, Server, import_heavy

# Read by numpy, torch and matplotlib when they are imported, and by vaelab.
SETTINGS = {"OMP_NUM_THREADS": "1", "MPLBACKEND": "agg", "COLUMNS": "160", "HYDRA_FULL_ERROR": "1"}


def kinds() -> list[str]:
    """The names of all kinds."""
    return sorted(found.name for found in pkgutil.iter_modules(fuzzing.__path__) if not found.name.startswith("_"))


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description="Read what nobody should have written.")
    # argparse would check an empty list of choices, too.
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"{', '.join(kinds())}; none: all of them")
    parser.add_argument("--n", type=int, default=None, help="inputs of each kind (3000; with --seconds: no end)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed, the same inputs (0)")
    parser.add_argument("--from", dest="first", type=int, default=0, metavar="K", help="begin with input K (0)")
    parser.add_argument(
        "--seconds", type=float, default=None, metavar="S", help="stop after so long, spread over kinds"
    )
    parser.add_argument("--keep", type=Path, default=None, metavar="FOLDER", help="keep there what failed")
    parser.add_argument("--hang", type=float, default=10.0, metavar="S", help="what takes longer hangs (10)")
    parser.add_argument("--memory", type=float, default=4.0, metavar="GIB", help="what takes more fails (4)")
    found = parser.parse_args(words)
    for name in found.kinds:
        if name not in kinds():
            parser.error(f"there is no kind {name}: there are {', '.join(kinds())}")
    if found.seed < 0 or found.first < 0 or (found.n is not None and found.n < 1):
        parser.error("--seed and --from must not be negative, --n at least 1")
    found.kinds = found.kinds or kinds()
    return found


def fuzz(name: str, asked: argparse.Namespace, folder: Path, until: float) -> Counts:
    """Play one kind's inputs until there were enough or the time is over; at least one."""
    counts = Counts(name, asked.seed)
    n = asked.n or (3000 if asked.seconds is None else sys.maxsize)
    with Server(name, asked.seed, folder, Limits(asked.hang, asked.memory), asked.keep) as server:
        for index in range(asked.first, asked.first + n):
            counts.add(index, server.play(index))
            if time.monotonic() > until:
                break
    return counts


def main(words: list[str] | None = None) -> int:
    """Play all kinds that are asked for, one after the other; the exit status."""
    asked, done = arguments(words), []
    os.environ.update(SETTINGS)
    end = time.monotonic() + (float("inf") if asked.seconds is None else asked.seconds)
    with tempfile.TemporaryDirectory(prefix="fuzz-", ignore_cleanup_errors=True) as folder:
        # Before the time is spread, or the first kind alone would pay for all.
        import_heavy(asked.kinds)
        for left, name in zip(range(len(asked.kinds), 0, -1), asked.kinds, strict=True):
            began = time.monotonic()
            counts = fuzz(name, asked, Path(folder), began + (end - began) / left)
            print(f"{name}: {counts.total} inputs, {time.monotonic() - began:.0f} seconds", flush=True)
            for line in counts.reproducers():
                print(f"  {line}", flush=True)
            done.append(counts)
    show(table(done))
    return int(any(counts.failures for counts in done))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        sys.exit(130)
