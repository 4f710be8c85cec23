"""What came of a sweep's jobs: `sweep.csv`, `sweep.md`, `sweep.png`, and the table in the terminal."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from vaelab.report.comparison import (
    Comparison,
    Job,
    budget,
    compare,
    document,
    fitting,
    head,
    lost_jobs,
    notes,
    overview,
    shown_measures,
    unknown_rank,
    varied_keys,
)
from vaelab.run.state import overrides_of, read_record

if TYPE_CHECKING:
    from rich.table import Table

# Of new items, how true they are and how much of the truth they cover (Naeem et al. 2020).
QUALITY, DIVERSITY = "sample/density", "sample/coverage"
# Measures are below it, or no numbers: the square of a greater one is infinite.
LARGEST = 1e150


def job_of(name: str, directory: Path, record: Mapping[str, Any]) -> Job:
    """A job as its directory tells of it; without measures it has failed, or was cut off."""
    if not record:
        failed = read_record(directory / "failed.json")
        why = str(failed.get("error", "cut off"))
        lost = "cut off" if "error" not in failed else "diverged" if failed.get("diverged") is True else "failed"
        return Job(name, _changes(directory), {}, lost, why)
    numbers = {key: value for key, value in record.items() if isinstance(value, int | float) and abs(value) < LARGEST}
    return Job(name, _changes(directory), numbers)


def _changes(job: Path) -> dict[str, str]:
    """What a job's command line changed: setting → value."""
    overrides = overrides_of(job) or read_record(job / "failed.json").get("overrides", [])
    return dict(override.split("=", 1) for override in overrides if "=" in override)


def write_csv(file: Path, jobs: Sequence[Job], records: Mapping[str, Mapping[str, Any]]) -> None:
    """Every measure of every job, as its record has it, or why it has none."""
    varied = varied_keys(jobs)
    names = dict.fromkeys(name for record in records.values() for name in record)
    failed = ["failed"] if any(job.lost for job in jobs) else []
    with file.open("w", newline="", encoding="utf-8", errors="surrogateescape") as opened:
        writer = csv.DictWriter(opened, ["job", *varied, *names, *failed])
        writer.writeheader()
        for job in jobs:
            changed = {key: job.changes.get(key, "") for key in varied}
            why = {"failed": job.why} if job.lost else {}
            writer.writerow({"job": job.name, **changed, **records[job.name], **why})


def tell_comparison(jobs: Sequence[Job], folder: Path, config: DictConfig) -> None:
    """Tell how the jobs compare, in the terminal, in `sweep.md` and in a figure, and where all of it is."""
    asked = config.report.get("rank")
    compared = compare(jobs, asked)
    trained = budget(jobs, [_max_time(job, config) for job in jobs])
    with (folder / "sweep.md").open("w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(document(compared, trained))
    _tell(compared, trained)
    print("\n".join(["", *lost_jobs(compared)]))
    print(f"all measures  {folder / 'sweep.csv'}")
    print(f"to be pasted  {folder / 'sweep.md'}")
    if config.report.figures is not False and _draw(compared, folder / "sweep.png"):
        print(f"figure        {folder / 'sweep.png'}")
    if asked is not None and compared.rank is None and compared.measures:
        print(unknown_rank(str(asked), compared.measures))


def _max_time(job: Job, config: DictConfig) -> str | None:
    """`trainer.max_time`, as the job's own words have it, or the configuration that jobs share."""
    own = {key.lstrip("+"): value for key, value in job.changes.items()}
    time = own.get("trainer.max_time", config.get("trainer", {}).get("max_time"))
    # Hydra writes `:` as `\\:` in a job's words.
    return None if time in (None, "null") else str(time).replace("\\", "")


def _tell(compared: Comparison, trained: str) -> None:
    from vaelab.report.console import Terminal

    console = Terminal()

    def fits(measures: Sequence[str]) -> bool:
        table = _table(compared, measures)
        free = console.options.update(max_width=10**4)
        return table.__rich_measure__(console, free).maximum <= console.width

    measures = shown_measures(compared)
    # Where each job has a row, why it failed has a column, and that wraps.
    told = fitting(measures, fits) if compared.by_seed else measures
    if trained:
        console.print(trained)
    console.print(_table(compared, told))
    for line in notes(compared):
        console.print(line)


def _table(compared: Comparison, measures: Sequence[str]) -> Table:
    from rich.table import Column, Table
    from rich.text import Text

    cells = overview(compared, measures)
    columns = [
        Column(Text(_broken(name)), justify="right" if is_number else "left", overflow="fold")
        for name, is_number in zip(cells.head, cells.numbers, strict=True)
    ]
    table = Table(*columns, show_edge=False)
    for k, row in enumerate(cells.rows):
        # As it is: what stands in brackets is no markup.
        table.add_row(*map(Text, row), style="bold" if compared.rank and k == 0 else None)
    return table


def _broken(name: str) -> str:
    """A name on several lines, so that its column is no wider than it must be."""
    return name.replace("/", "/\n").replace(".", ".\n")


def _draw(compared: Comparison, file: Path) -> bool:
    """Draw the groups where there are several, over seeds or ranked; whether there was something to draw."""
    if not (compared.by_seed or compared.rank):
        return False
    from vaelab.figures.style import png
    from vaelab.figures.sweep import quality_over_diversity, ranked_groups

    shown = shown_measures(compared)[:1]
    plane = [QUALITY, DIVERSITY, "fit_seconds"]
    measured = [group for group in compared.groups if any(job.measures for job in group.jobs)]
    has_plane = all(group.values(name) for group in measured for name in plane)
    axes = plane if has_plane else shown
    drawn = {compared.title(group): [group.values(name) for name in axes] for group in measured}
    values = {name: lists for name, lists in drawn.items() if all(lists)}
    if len(values) < 2:
        return False
    if has_plane:
        figure = quality_over_diversity(values, QUALITY, DIVERSITY)
    else:
        figure = ranked_groups({name: lists[0] for name, lists in values.items()}, head(compared, axes[0]))
    file.write_bytes(png(figure))
    return True
