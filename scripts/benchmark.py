"""Measure vaelab's speed against what else there is: `python scripts/benchmark.py [PART ...]`.

Each part prints a table and writes it, with every repetition, below `outputs/benchmark`.
"""

import argparse
import importlib
import pkgutil
from pathlib import Path

import benchmarks
from benchmarks._table import Options, machine, show, write
from benchmarks._timing import one_thread


def parts() -> list[str]:
    """The names of all parts."""
    return [found.name for found in pkgutil.iter_modules(benchmarks.__path__) if not found.name.startswith("_")]


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description="Measure vaelab's speed against what else there is.")
    # argparse would check an empty list of choices, too.
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(parts())}; none: all of them")
    parser.add_argument("--repeats", type=int, default=None, help="repetitions beside the warm-up (5; quick: 2)")
    parser.add_argument("--out", type=Path, default=Path("outputs/benchmark"), help="where the tables go")
    parser.add_argument("--quick", action="store_true", help="small sizes: to see that it works, not to quote")
    parser.add_argument("--only", default="", metavar="TEXT", help="only the cases whose name contains it")
    found = parser.parse_args(words)
    for name in found.parts:
        if name not in parts():
            parser.error(f"there is no part {name}: there are {', '.join(parts())}")
    found.repeats = (2 if found.quick else 5) if found.repeats is None else found.repeats
    if found.repeats < 1:
        parser.error(f"--repeats must be at least 1, not {found.repeats}")
    return found


def main(words: list[str] | None = None) -> None:
    """Measure the parts that are asked for, one after the other."""
    asked = arguments(words)
    options = Options(asked.repeats, asked.quick, asked.only)
    with one_thread():
        for name in asked.parts or parts():
            table = importlib.import_module(f"benchmarks.{name}").measure(options)
            if not table.rows:
                table.notes.append(f"no case has {asked.only} in its name")
            show(table)
            write(table, name, asked.out, machine())
            print(f"\n{asked.out / name}.json\n{asked.out / name}.md\n")


if __name__ == "__main__":
    main()
