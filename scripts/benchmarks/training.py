"""Training: what a whole fit costs, against a loop written by hand.

Held equal in all arms: the encoder, decoder, latent, likelihood and their first weights, made by vaelab from the
configuration; the data, in memory before the clock starts; batch size, epochs and so optimizer steps; Adam at one
learning rate; beta = 1; one validation pass an epoch with the mean loss; one thread of one process (pythae: of its own
process, which has the same torch). Held as its users have it, and so different:

- by hand: `index_select` by a permutation an epoch, fused Adam, no `.item()`. This is the reference.
- vaelab: its own trainer with progress bar, TensorBoard, pictures on it, metrics and checkpoints; `fit` whole.
- Lightning: its defaults, so a DataLoader over a TensorDataset, `self.log` in each step, progress bar, logger and
  checkpoints, Adam as torch gives it; `fit` whole.
- pythae: its BaseTrainer with progress bar around the same net and loss; `train` whole.

Bars are drawn as on a terminal, into nothing. The arms of a repetition follow one another in a random order; a ratio is
that of processor time (all threads) to the loop's in the same repetition. Figures are medians (smallest–largest).
"Without pictures" leaves out what vaelab draws for TensorBoard as it trains. Fits as short as these draw nothing, where
one of more than a minute spends two hundredths of its time on it: `vaelab` is so much too small for that.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from benchmarks._problem import Net, Problem, write_mnist, write_pictures
from benchmarks._pythae import Pythae, pythae_or_none
from benchmarks._table import Options, Record, Table, digits, ratios, spread
from benchmarks._timing import interleave, timed, unseen
from vaelab.data.module import EVALUATION_BATCH
from vaelab.trainer.frameworks import look_for_gpus_once, quieten_lightning

REFERENCE = "by hand"
# One optimizer without a schedule, no clipping, constant beta: what every arm can do.
EQUAL = [
    *("accelerator=cpu", "threads=1", "optimizer=adam", "beta_schedule=constant"),
    "trainer.gradient_clip_val=null",
]


class Workload(NamedTuple):
    """A configuration and its epochs; `files` writes the data that a user would have."""

    words: list[str]
    epochs: int
    quick_epochs: int = 1
    files: Callable[[Path], Path] | None = None


def mlp(batch_size: int, epochs: int) -> Workload:
    """784-256-128-16 on black and white pictures."""
    words = ["experiment=mnist", "architecture=mlp", "latent.dim=16", "dataset.codec.binarisation=none"]
    return Workload([*words, f"dataset.batch_size={batch_size}"], epochs, files=write_mnist)


WORKLOADS = {
    "mlp_128": mlp(128, 2),
    "mlp_512": mlp(512, 2),
    "mlp_1024": mlp(1024, 2),
    "sine_32": Workload(["experiment=sine", "dataset.batch_size=32"], 6, quick_epochs=2),
    "conv1d": Workload(["experiment=radio", "architecture=conv1d", "latent=point", "variant.peak_weight=0"], 1),
    "conv2d_64": Workload(["experiment=images", "architecture=conv2d", "dataset.flip=false"], 10, files=write_pictures),
}


class Fit(NamedTuple):
    """A training that is ready to start, and the model that it trains; `train` gives what it counted by the way."""

    train: Callable[[], Record]
    net: Any


def by_hand(problem: Problem, folder: Path) -> Fit:
    """A loop such as one would write for this net alone."""
    variant = problem.variant()
    net = Net(variant)
    train, val = problem.train, problem.val
    lr, batch_size = problem.config.optimizer.lr, problem.batch_size

    def fit() -> Record:
        optimizer, steps = torch.optim.Adam(net.parameters(), lr=lr, fused=True), 0
        for _ in range(problem.epochs):
            net.train()
            for index in torch.randperm(len(train.x)).split(batch_size):
                x = train.x.index_select(0, index)
                target = train.target.index_select(0, index) if problem.denoises else x
                optimizer.zero_grad()
                net.loss(x, target).backward()
                optimizer.step()
                steps += 1
            validation_loss(net, val.x, val.target)
        return {"steps": steps}

    return Fit(fit, variant)


@torch.inference_mode()
def validation_loss(net: Net, x: Tensor, target: Tensor) -> float:
    """The mean over a whole split."""
    net.eval()
    pairs = zip(x.split(EVALUATION_BATCH), target.split(EVALUATION_BATCH), strict=True)
    return float(torch.stack([net.loss(a, b) * len(a) for a, b in pairs]).sum()) / len(x)


def with_vaelab(problem: Problem, folder: Path) -> Fit:
    """The trainer of vaelab, with all that a user gets."""
    from vaelab.run.folder import Opened
    from vaelab.trainer.fit import fit
    from vaelab.trainer.make import make_trainer
    from vaelab.trainer.plan import plan

    run, variant = Opened(folder, problem.config, None), problem.variant()
    trainer = make_trainer(run, problem.data, variant)
    plan(trainer, variant, problem.data)
    pictures = count_pictures(trainer)

    def train() -> Record:
        fit(trainer, variant, problem.data, run)
        return {"steps": trainer.global_step, "pictures_cpu": sum(pictures)}

    return Fit(train, variant)


def count_pictures(trainer: L.Trainer) -> list[float]:
    """A list that will hold the processor seconds of every drawing for TensorBoard."""
    from vaelab.report.board import Board

    board: Any = next(callback for callback in trainer.callbacks if isinstance(callback, Board))  # type: ignore[attr-defined]
    draw, seconds = board.on_validation_end, []

    def counted(*args: Any) -> None:
        began = time.process_time()
        draw(*args)
        seconds.append(time.process_time() - began)

    board.on_validation_end = counted
    return seconds


class Plain(L.LightningModule):
    """The net as one would first write it for Lightning."""

    def __init__(self, net: Net, lr: float) -> None:
        super().__init__()
        self.net, self.lr = net, lr

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        """One tensor of inputs, or inputs and targets."""
        loss = self.net.loss(batch[0], batch[-1])
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        """The mean loss."""
        self.log("val_loss", self.net.loss(batch[0], batch[-1]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam as torch gives it."""
        return torch.optim.Adam(self.parameters(), lr=self.lr)


def with_lightning(problem: Problem, folder: Path) -> Fit:
    """Lightning with its defaults."""
    variant = problem.variant()
    model = Plain(Net(variant), problem.config.optimizer.lr)
    fields = 2 if problem.denoises else 1
    sets = [TensorDataset(*batch[:fields]) for batch in (problem.train, problem.val)]
    train = DataLoader(sets[0], problem.batch_size, shuffle=True)
    val = DataLoader(sets[1], EVALUATION_BATCH)
    trainer = L.Trainer(max_epochs=problem.epochs, accelerator="cpu", default_root_dir=folder)

    def fit() -> Record:
        with mock.patch.dict(os.environ, PYTORCH_NVML_BASED_CUDA_CHECK="1"):  # as importing Lightning leaves it
            trainer.fit(model, train, val)
        return {"steps": trainer.global_step}

    return Fit(fit, variant)


ARMS: dict[str, Callable[[Problem, Path], Fit]] = {
    REFERENCE: by_hand,
    "vaelab": with_vaelab,
    "Lightning": with_lightning,
}


def run_arm(prepare: Callable[[Problem, Path], Fit], problem: Problem) -> Record:
    """Make a model and train it, in a folder that is then thrown away; only the training is timed."""
    folder = Path(tempfile.mkdtemp(prefix="benchmark_"))
    extra: Record = {}
    try:
        with unseen(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ready = prepare(problem, folder)
            measured = timed(lambda: extra.update(ready.train()))
    finally:
        shutil.rmtree(folder)
    return measured | extra


def measure(options: Options) -> Table:
    """The ratio of each arm to the loop by hand, for each workload."""
    columns = ["workload", "steps", "an epoch", "by hand (ms)", "vaelab", "without pictures", "Lightning"]
    table = Table("Training: processor time of a whole fit, in units of a loop by hand", [*columns, "pythae"])
    names = [name for name in WORKLOADS if options.wants(name)]
    quieten_lightning()
    look_for_gpus_once()
    with tempfile.TemporaryDirectory() as files, pythae_or_none(table) as pythae:
        for name in names:
            measure_workload(table, name, options, pythae, Path(files))
    table.notes.append("by hand: processor milliseconds a step; ratios: median (smallest–largest) of the repetitions")
    return table


def measure_workload(table: Table, name: str, options: Options, pythae: Pythae | None, files: Path) -> None:
    """One row."""
    workload = WORKLOADS[name]
    words = [*workload.words, *EQUAL]
    if workload.files is not None:
        folder = files / workload.files.__name__
        words.append(f"dataset.root={folder if folder.exists() else workload.files(folder)}")
    problem = Problem(words, workload.quick_epochs if options.quick else workload.epochs)
    arms = {arm: partial(run_arm, prepare, problem) for arm, prepare in ARMS.items()}
    if pythae is not None and not problem.denoises:
        pythae.load(problem)
        arms["pythae"] = pythae.train
    records = [record | {"workload": name} for record in interleave(arms, options.repeats)]
    table.records += records
    table.rows.append(row(name, problem, records))


def row(name: str, problem: Problem, records: list[Record]) -> list[str]:
    """What a workload's repetitions come to."""
    steps = problem.epochs * problem.epoch_steps
    assert all(record["steps"] == steps for record in records), "the arms took different numbers of steps"
    without = [
        record | {"cpu": record["cpu"] - record["pictures_cpu"]} if record["arm"] == "vaelab" else record
        for record in records
    ]
    cells = [str(ratios(kind, "vaelab", REFERENCE, "cpu")) for kind in (records, without)]
    cells.append(str(ratios(records, "Lightning", REFERENCE, "cpu")))
    has_pythae = any(record["arm"] == "pythae" for record in records)
    cells.append(str(ratios(records, "pythae", REFERENCE, "cpu")) if has_pythae else "—")
    each = 1000 * spread(records, REFERENCE, "cpu").median / steps
    return [name, f"{steps:,}", f"{problem.epoch_steps:,}", digits(each), *cells]
