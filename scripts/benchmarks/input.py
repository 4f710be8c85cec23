"""Input: what share of a training's time the batches take, from the second epoch on.

vaelab's own trainer and configurations, with binarisation, mirroring and all; one thread. A batch's time is that of
`IndexLoader` making it, in processor seconds; the training's is from an epoch's start to the end of its last batch,
without validation and pictures. Every epoch from the second one is a repetition; median (smallest–largest).
"""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L

from benchmarks._problem import Problem, write_mnist, write_pictures
from benchmarks._table import Options, Record, Spread, Table, digits, measured
from benchmarks._timing import unseen
from vaelab.data.loader import IndexLoader


class Case(NamedTuple):
    """A configuration, the data that a user would have, and the steps of an epoch (quick: a quarter of them)."""

    words: list[str]
    files: Callable[[Path], Path] | None = None
    steps: int = 100


CASES = {
    "black and white 28 x 28": Case(["experiment=mnist"], lambda root: write_mnist(root, test=100)),
    "colour 64 x 64": Case(["experiment=images"], lambda root: write_pictures(root, 600), steps=25),
    "sound": Case(["experiment=audio"]),
}


def measure(options: Options) -> Table:
    """A row a kind of data."""
    columns = ["data", "batch", "a batch, ms", "a step, ms", "share of the step"]
    table = Table("Input: share of training time that making batches takes, from epoch 2", columns)
    with tempfile.TemporaryDirectory() as files:
        for name in filter(options.wants, CASES):
            case = CASES[name]
            words = [*case.words, "accelerator=cpu", "threads=1"]
            words.append(f"+trainer.limit_train_batches={case.steps // 4 if options.quick else case.steps}")
            words += [] if case.files is None else [f"dataset.root={case.files(Path(files) / name.replace(' ', '_'))}"]
            problem = Problem(words, options.repeats + 1)
            records = [record | {"case": name} for record in epochs(problem)]
            table.records += records
            table.rows.append(row(name, problem.batch_size, records))
    return table


class Epochs(L.Callback):
    """Keeps what each epoch took, and how much of it the loader took."""

    def __init__(self, loading: list[float]) -> None:
        self.loading = loading
        self.records: list[Record] = []
        self.began = self.ended = 0.0
        self.first = 0

    def on_train_epoch_start(self, trainer: L.Trainer, *_: Any) -> None:
        """Begin."""
        self.loading.clear()
        self.began, self.first = time.process_time(), trainer.global_step

    def on_train_batch_end(self, *_: Any) -> None:
        """Perhaps the last batch."""
        self.ended = time.process_time()

    def on_train_epoch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Keep it; the first epoch is a warm-up."""
        number, cpu = len(self.records), self.ended - self.began
        record = {"repetition": number, "warm_up": number == 0, "steps": trainer.global_step - self.first}
        self.records.append(record | {"cpu": cpu, "batches_cpu": sum(self.loading)})


def epochs(problem: Problem) -> list[Record]:
    """Train, and tell of each epoch."""
    from vaelab.run.folder import Opened
    from vaelab.trainer.fit import fit
    from vaelab.trainer.frameworks import quieten_lightning
    from vaelab.trainer.make import make_trainer
    from vaelab.trainer.plan import plan

    quieten_lightning()
    data, loading = problem.data, []
    make = data.train_dataloader
    data.train_dataloader = lambda: timing(make(), loading)  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder, unseen(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run, variant = Opened(Path(folder), problem.config, None), problem.variant()
        trainer = make_trainer(run, data, variant)
        plan(trainer, variant, data)
        kept = Epochs(loading)
        trainer.callbacks.append(kept)  # type: ignore[attr-defined]
        fit(trainer, variant, data, run)
    return kept.records


def timing(loader: IndexLoader, seconds: list[float]) -> IndexLoader:
    """The loader, noting what each order of an epoch and each batch takes."""

    def noted(work: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any) -> Any:
            began = time.process_time()
            made = work(*arguments)
            seconds.append(time.process_time() - began)
            return made

        return timed

    loader._order, loader._batch = noted(loader._order), noted(loader._batch)  # type: ignore[method-assign]
    return loader


def row(name: str, batch_size: int, records: list[Record]) -> list[str]:
    """What a case's epochs come to."""
    counted = measured(records)
    batch, step = (Spread.of([1000 * r[key] / r["steps"] for r in counted]) for key in ("batches_cpu", "cpu"))
    share = Spread.of([100 * r["batches_cpu"] / r["cpu"] for r in counted])
    return [name, str(batch_size), digits(batch.median), digits(step.median), f"{share} %"]
