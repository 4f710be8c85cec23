"""What a sweep leaves behind: why a job failed, and how those compare that did not, as tables and as a figure."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from vaelab.cli import as_mistake, is_first_process
from vaelab.errors import DivergedError, TakenError
from vaelab.overrides import typed
from vaelab.run.state import read_record

# What a job leaves in its directory, each at another time.
TRACES = ("config.yaml", "provenance.json", "failed.json", "metrics.json")
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
        from vaelab.report.outcome import job_of, tell_comparison, write_csv

        folder = Path(config.hydra.sweep.dir).absolute()
        jobs = self._jobs(folder)
        records = {name: read_record(job / "metrics.json") for name, job in jobs.items()}
        judged = [job_of(name, job, records[name]) for name, job in jobs.items()]
        lost = any(job.lost for job in judged)
        if judged:
            write_csv(folder / "sweep.csv", judged, records)
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


def _drawn(job: Path) -> bool:
    return (job / "figures").is_dir()


def _numbers(name: str) -> list[tuple[int, str]]:
    """To sort names by: those of folders, the numbers among them by their value and before the words."""
    return [(int(part), "") if part.isdecimal() else (10**9, part) for part in Path(name).parts]
