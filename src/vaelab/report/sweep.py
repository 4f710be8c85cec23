"""What a sweep leaves behind: why a job failed, and a table of what each changed and how good it became."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from vaelab.cli import as_mistake, is_first_process
from vaelab.errors import TakenError
from vaelab.overrides import typed
from vaelab.run.state import overrides_of, read_record

SHOWN = 4
# What a job leaves in its directory, each at another time.
TRACES = ("config.yaml", "provenance.json", "failed.json", "metrics.json")
# Seconds of training within which a job has no figures by itself: to draw them takes half a second or more.
SOON = 5.0


class SweepTable(Callback):
    """Hydra's callback: at the end of a multirun, `sweep.csv` with every measure, and a table of the first ones."""

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
            note = {"error": str(why), "overrides": job_return.overrides}
            write_json(Path(config.hydra.runtime.output_dir) / "failed.json", note)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Gather the jobs of the folder, earlier ones, too; what has no `metrics.json` has failed, or was cut off."""
        if not is_first_process():
            return
        folder = Path(config.hydra.sweep.dir).absolute()
        jobs = self._jobs(folder)
        changes, measures = {}, {}
        for name, job in jobs.items():
            changes[name], measures[name] = _changes(job), read_record(job / "metrics.json")
        varied = [key for key in _names(changes) if len({change.get(key) for change in changes.values()}) > 1]
        rows = [
            {"job": name, **{key: changes[name].get(key, "") for key in varied}, **(measures[name] or _failure(job))}
            for name, job in jobs.items()
        ]
        failed = ["failed"] if not all(measures.values()) else []
        if rows:
            with (folder / "sweep.csv").open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
                writer = csv.DictWriter(file, ["job", *varied, *_names(measures), *failed])
                writer.writeheader()
                writer.writerows(rows)
            _tell(rows, ["job", *varied, *_names(measures)[:SHOWN], *failed])
            print(f"\nall measures  {folder / 'sweep.csv'}")
        if failed:
            print(f"go on         with the same words and {typed('hydra.sweep.dir', folder)}")
        undrawn = [job for name, job in jobs.items() if measures[name] and not _drawn(job)]
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


def _failure(job: Path) -> dict[str, str]:
    """Why a job has no measures."""
    return {"failed": str(read_record(job / "failed.json").get("error", "cut off"))}


def _drawn(job: Path) -> bool:
    return (job / "figures").is_dir()


def _numbers(name: str) -> list[tuple[int, str]]:
    """To sort names by: those of folders, the numbers among them by their value and before the words."""
    return [(int(part), "") if part.isdecimal() else (10**9, part) for part in Path(name).parts]


def _names(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Every key of the rows, in order of appearance."""
    return list(dict.fromkeys(key for row in rows.values() for key in row))


def _changes(job: Path) -> dict[str, str]:
    """What a job's command line changed: setting → value."""
    overrides = overrides_of(job) or read_record(job / "failed.json").get("overrides", [])
    return dict(override.split("=", 1) for override in overrides if "=" in override)


def _tell(rows: list[dict[str, Any]], columns: list[str]) -> None:
    from rich.table import Column, Table
    from rich.text import Text

    from vaelab.report.console import Terminal
    from vaelab.report.tables import number

    table = Table(*[Column(Text(name)) for name in columns], show_edge=False)
    for row in rows:
        values = ["" if (value := row.get(name)) is None else value for name in columns]
        # As it is: what stands in brackets is no markup.
        table.add_row(*[Text(value if isinstance(value, str) else number(value)) for value in values])
    Terminal().print(table)
