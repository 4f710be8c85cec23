"""What a sweep leaves behind: why a job failed, and how those compare that did not, as tables and as a figure."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from vaelab.cli import as_mistake, is_first_process
from vaelab.errors import DivergedError, TakenError
from vaelab.overrides import typed
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

# What a job leaves in its directory, each at another time.
TRACES = ("config.yaml", "provenance.json", "failed.json", "metrics.json")
# Of new items, how true they are and how much of the truth they cover (Naeem et al. 2020).
QUALITY, DIVERSITY = "sample/density", "sample/coverage"
# Seconds of training within which a job has no figures by itself: to draw them takes half a second or more.
SOON = 5.0


class SweepTable(Callback):
    """Hydra's callback: at the end of a multirun, a table of the first measures, in groups over seeds.

    `sweep.csv` has every measure of every job, `sweep.md` the groups, and `sweep.png` draws them.
    """

    def __init__(self) -> None:
        self.started: list[Path] = []

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Remember where a job writes: one that is cut off soon leaves no trace there."""
        if config.hydra.mode == RunMode.MULTIRUN:
            self.started.append(Path(config.hydra.runtime.output_dir))

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Leave a failed job's overrides and its error where its run would be, unless another run is there."""
        error = job_return._return_value
        swept = config.hydra.mode == RunMode.MULTIRUN and is_first_process()
        if swept and job_return.status == JobStatus.FAILED and not isinstance(error, TakenError):
            from vaelab.run.records import write_json

            why = as_mistake(error, config.hydra.job.config_name) or repr(error)
            diverged = isinstance(error, DivergedError)
            note = {"error": str(why), "diverged": diverged, "overrides": job_return.overrides}
            write_json(Path(config.hydra.runtime.output_dir) / "failed.json", note)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Gather the jobs of the folder, earlier ones, too; what has no `metrics.json` has failed, or was cut off."""
        if not is_first_process():
            return
        folder = Path(config.hydra.sweep.dir).absolute()
        jobs = self._jobs(folder)
        records = {name: read_record(job / "metrics.json") for name, job in jobs.items()}
        judged = [_job(name, job, records[name]) for name, job in jobs.items()]
        lost = any(job.lost for job in judged)
        if judged:
            _write_csv(folder / "sweep.csv", judged, records)
            tell_comparison(judged, folder, config)
        if lost:
            print(f"go on         with the same words and {typed('hydra.sweep.dir', folder)}")
        undrawn = [job for name, job in jobs.items() if records[name] and not _drawn(job)]
        if undrawn and config.report.figures is None:
            soon = f"not of jobs that were trained within {SOON:g} seconds"
            print(f"figures       {soon}: vaelab-train {typed('resume', undrawn[0])} draws them")

    def _jobs(self, folder: Path) -> dict[str, Path]:
        """The directories of jobs by their names below the sweep's folder: of this sweep, and of earlier ones there."""
        found = [job for job in (*_runs_below(folder), *self.started) if job.is_dir()]
        names = {os.path.relpath(job, folder): job for job in found}
        return {name: names[name] for name in sorted(names, key=_numbers)}


def _runs_below(folder: Path) -> Iterator[Path]:
    """The directories of runs, however deep; what lies in one is its own."""
    for path, below, files in os.walk(folder):
        if Path(path) != folder and not set(TRACES).isdisjoint(files):
            below.clear()
            yield Path(path)


def _job(name: str, directory: Path, record: Mapping[str, Any]) -> Job:
    """A job as its directory tells of it; without measures it has failed, or was cut off."""
    if not record:
        failed = read_record(directory / "failed.json")
        why = str(failed.get("error", "cut off"))
        lost = "cut off" if "error" not in failed else "diverged" if failed.get("diverged") is True else "failed"
        return Job(name, _changes(directory), {}, lost, why)
    numbers = {key: float(value) for key, value in record.items() if isinstance(value, int | float)}
    return Job(name, _changes(directory), {key: value for key, value in numbers.items() if math.isfinite(value)})


def _drawn(job: Path) -> bool:
    return (job / "figures").is_dir()


def _numbers(name: str) -> list[tuple[int, str]]:
    """To sort names by: those of folders, the numbers among them by their value and before the words."""
    return [(int(part), "") if part.isdecimal() else (10**9, part) for part in Path(name).parts]


def _changes(job: Path) -> dict[str, str]:
    """What a job's command line changed: setting → value."""
    overrides = overrides_of(job) or read_record(job / "failed.json").get("overrides", [])
    return dict(override.split("=", 1) for override in overrides if "=" in override)


def _write_csv(file: Path, jobs: Sequence[Job], records: Mapping[str, Mapping[str, Any]]) -> None:
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
    from vaelab.figures.style import png
    from vaelab.figures.sweep import quality_over_diversity, ranked_groups

    if not (compared.by_seed or compared.rank):
        return False
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
