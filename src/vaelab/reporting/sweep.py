"""What a sweep leaves behind: why a job failed, and a table of what each changed and how good it became."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from vaelab.cli import as_mistake, is_first_process
from vaelab.errors import TakenError
from vaelab.overrides import typed
from vaelab.train import overrides_of

SHOWN = 4
# Seconds of training within which a job has no figures by itself: to draw them takes half a second or more.
SOON = 5.0


class SweepTable(Callback):
    """Hydra's callback: at the end of a multirun, `sweep.csv` with every measure, and a table of the first ones."""

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Leave a failed job's overrides and its error where its run would be, unless another run is there."""
        error = job_return._return_value
        swept = config.hydra.mode == RunMode.MULTIRUN and is_first_process()
        if swept and job_return.status == JobStatus.FAILED and not isinstance(error, TakenError):
            from vaelab.run import write_json

            why = as_mistake(error, config.hydra.job.config_name) or repr(error)
            note = {"error": str(why), "overrides": job_return.overrides}
            write_json(Path(config.hydra.runtime.output_dir) / "failed.json", note)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Gather the jobs' directories; what has no `metrics.json` has failed, or was cut off."""
        if not is_first_process():
            return
        folder = Path(config.hydra.sweep.dir)
        jobs = sorted((path for path in folder.glob("*") if path.is_dir()), key=lambda path: _number(path.name))
        changes, measures = [_changes(job) for job in jobs], [_read(job / "metrics.json") for job in jobs]
        varied = [name for name in _names(changes) if len({change.get(name) for change in changes}) > 1]
        rows = [
            {"job": job.name, **{name: change.get(name, "") for name in varied}, **(measured or {"failed": _why(job)})}
            for job, change, measured in zip(jobs, changes, measures, strict=True)
        ]
        failed = ["failed"] if not all(measures) else []
        if rows:
            with (folder / "sweep.csv").open("w", newline="") as file:
                writer = csv.DictWriter(file, ["job", *varied, *_names(measures), *failed])
                writer.writeheader()
                writer.writerows(rows)
            _tell(rows, ["job", *varied, *_names(measures)[:SHOWN], *failed])
            print(f"\nall measures  {folder / 'sweep.csv'}")
        if failed:
            print(f"go on         with the same words and {typed('hydra.sweep.dir', folder)}")
        undrawn = [job for job, measured in zip(jobs, measures, strict=True) if measured and not _drawn(job)]
        if undrawn and config.report.figures is None:
            soon = f"not of jobs that were trained within {SOON:g} seconds"
            print(f"figures       {soon}: vaelab-train {typed('resume', undrawn[0])} draws them")


def _why(job: Path) -> str:
    """Why a job has no measures."""
    return _read(job / "failed.json").get("error", "cut off")


def _drawn(job: Path) -> bool:
    return (job / "figures").is_dir()


def _number(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdigit() else (10**9, name)


def _names(rows: list[dict[str, Any]]) -> list[str]:
    """Every key of the rows, in order of appearance."""
    return list(dict.fromkeys(name for row in rows for name in row))


def _changes(job: Path) -> dict[str, str]:
    """What a job's command line changed: setting → value."""
    overrides = overrides_of(job) or _read(job / "failed.json").get("overrides", [])
    return dict(override.split("=", 1) for override in overrides if "=" in override)


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.is_file() else {}


def _tell(rows: list[dict[str, Any]], columns: list[str]) -> None:
    from rich.table import Table

    from vaelab.reporting.console import Terminal
    from vaelab.reporting.tables import number

    table = Table(*columns, show_edge=False)
    for row in rows:
        values = [row.get(name, "") for name in columns]
        table.add_row(*[value if isinstance(value, str) else number(value) for value in values])
    Terminal().print(table)
