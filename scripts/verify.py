"""Run what vaelab claims to reach, and hold what comes out against it: `python scripts/verify.py [RECIPE ...]`.

The table goes to `DIR/verify.md` and `DIR/verify.json`, the runs to `DIR/runs`. A run that is there already is not run
again, so that what was interrupted goes on. Exit status 1 where something falls short or fails.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
import time
from pathlib import Path

import evidence
from benchmarks._table import Table, machine, show, write
from benchmarks._timing import one_thread
from evidence._bench import Bench, CommandError
from evidence._claims import short, table


def recipes() -> list[str]:
    """The names of all recipes."""
    return [found.name for found in pkgutil.iter_modules(evidence.__path__) if not found.name.startswith("_")]


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description="Run what vaelab claims to reach, and hold what comes out against it.")
    # argparse would check an empty list of choices, too.
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help=f"{', '.join(recipes())}; none: all of them")
    parser.add_argument("--quick", action="store_true", help="short trainings and wide ranges: to see that it works")
    parser.add_argument("--out", type=Path, default=Path("outputs/verify"), metavar="DIR", help="(outputs/verify)")
    parser.add_argument("--seeds", type=seeds, default=None, metavar="0,1,2", help="one run each (0,1,2; quick: 0)")
    parser.add_argument("--data", action="append", default=[], type=named_folder, metavar="NAME=FOLDER")
    parser.add_argument("--fresh", action="store_true", help="run anew what is there already")
    found = parser.parse_args(words)
    for name in found.recipes:
        if name not in recipes():
            parser.error(f"there is no recipe {name}: there are {', '.join(recipes())}")
    found.seeds = ([0] if found.quick else [0, 1, 2]) if found.seeds is None else found.seeds
    found.data = dict(found.data)
    return found


def seeds(word: str) -> list[int]:
    """Different whole numbers between commas, none of them negative."""
    found = list(dict.fromkeys(int(part) for part in word.split(",")))
    if min(found) < 0:
        raise argparse.ArgumentTypeError(f"seeds must not be negative: {word}")
    return found


def named_folder(word: str) -> tuple[str, Path]:
    """`NAME=FOLDER`, of a folder that is there."""
    name, _, folder = word.partition("=")
    if not name or not Path(folder).expanduser().is_dir() or not folder:
        raise argparse.ArgumentTypeError(f"{word} is not NAME=FOLDER with a folder that exists")
    return name, Path(folder).expanduser().resolve()


def verify(name: str, asked: argparse.Namespace) -> Table:
    """One recipe's table; if a command failed, a table that says so and counts as falling short."""
    recipe = importlib.import_module(f"evidence.{name}")
    bench = Bench(name, asked.out.resolve(), asked.seeds, asked.quick, asked.fresh, asked.data)
    needs = getattr(recipe, "NEEDS", "")
    if needs and needs not in asked.data:
        return Table(name, ["skipped"], rows=[[f"it needs data of your own: --data {needs}=FOLDER"]])
    try:
        made = table(name, recipe.claims(bench))
    except CommandError as error:
        record = {"recipe": name, "failed": str(error), "held": False}
        return Table(name, ["failed"], rows=[[str(error)]], records=[record])
    if bench.reused:
        made.notes.append(f"{bench.reused} runs were there already")
    return made


def whole(tables: list[Table], asked: argparse.Namespace) -> Table:
    """All recipes under one title."""
    what = "quick: short trainings, wide ranges" if asked.quick else "the full recipes"
    title = f"Evidence, {what}; mean ± standard deviation over seeds {', '.join(map(str, asked.seeds))}"
    head = Table(title, ["recipe", "rows", "fall short"], further=tables)
    head.rows = [[one.title, str(len(one.records)), str(short(one))] for one in tables]
    return head


def main(words: list[str] | None = None) -> int:
    """Verify the recipes that are asked for, one after the other, and write the table after each; the exit status."""
    asked, tables = arguments(words), []
    with one_thread():
        facts = machine()
    for name in asked.recipes or recipes():
        print(f"{name}", flush=True)
        began = time.perf_counter()
        tables.append(verify(name, asked))
        show(tables[-1])
        print(f"  {time.perf_counter() - began:.0f} seconds\n", flush=True)
        write(whole(tables, asked), "verify", asked.out, facts)
    missed = sum(map(short, tables))
    print(f"{asked.out / 'verify.md'}\n{asked.out / 'verify.json'}")
    print(f"{missed} of {sum(len(one.records) for one in tables)} rows fall short" if missed else "everything holds")
    return int(missed > 0)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here", file=sys.stderr)
        sys.exit(130)
