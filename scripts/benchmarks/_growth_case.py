"""A process that does one thing at one size, and says what time and memory it took."""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks._problem import Problem, write_mnist
from benchmarks._timing import peak_mb, timed, unseen
from benchmarks.growth import EQUAL
from vaelab.report.board import Board
from vaelab.run.checkpoint import Run
from vaelab.run.folder import Opened
from vaelab.task.likelihood import Likelihood
from vaelab.trainer.fit import fit
from vaelab.trainer.frameworks import quieten_lightning
from vaelab.trainer.make import make_trainer
from vaelab.trainer.plan import plan

Work = Callable[[], object]


def signals(size: int, folder: Path) -> Work:
    """Make, encode and train once on so many waves."""
    words = ["experiment=sine", f"dataset.waves={size}", "dataset.batch_size=512", *EQUAL]
    return lambda: trained(Problem(words, 1), folder)


def pixels(size: int, folder: Path) -> Work:
    """Train on square pictures of this side."""
    words = ["experiment=digits", "dataset=sprites", "dataset.items=2400", f"dataset.size={size}", "latent.dim=32"]
    words += ["architecture=conv2d", "dataset.batch_size=32"]
    return lambda: trained(Problem([*words, *EQUAL], 1), folder)


def latent(size: int, folder: Path) -> Work:
    """Train a code of so many dimensions."""
    problem = Problem([*mnist(folder, 5000 + 200 * 128), f"latent.dim={size}"], 1)
    problem.data.prepare()
    return lambda: trained(problem, folder)


def draws(size: int, folder: Path) -> Work:
    """Bound five pictures with so many draws each."""
    problem = Problem([*mnist(folder, 5100), "latent.dim=50"], 1)
    run = Run(folder, folder / "best.ckpt", problem.config, problem.variant().eval(), _data=problem.data)
    items = problem.data.batch("test", 5)
    return lambda: Likelihood(k=size)._bounds(run, items, [size])


def mnist(folder: Path, train: int) -> list[str]:
    """The MLP on random pictures."""
    root = write_mnist(folder / "mnist", train=train, test=100)
    return ["experiment=mnist", "architecture=mlp", "dataset.codec.binarisation=none", f"dataset.root={root}", *EQUAL]


def trained(problem: Problem, folder: Path) -> None:
    """Vaelab's own training, from its data on, without pictures."""
    run, variant = Opened(folder, problem.config, None), problem.variant()
    trainer = make_trainer(run, problem.data, variant)
    plan(trainer, variant, problem.data)
    trainer.callbacks = [callback for callback in trainer.callbacks if not isinstance(callback, Board)]
    fit(trainer, variant, problem.data, run)


def own_peak() -> float:
    """The most that this process has held, in MB."""
    return peak_mb(resource.getrusage(resource.RUSAGE_SELF))


def main(name: str, size: int) -> None:
    """Do it and tell."""
    quieten_lightning()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder, unseen(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        work = {"signals": signals, "pixels": pixels, "latent": latent, "draws": draws}[name](size, Path(folder))
        before = own_peak()
        took = timed(work)
    print(json.dumps(took | {"peak_mb": max(own_peak() - before, 0.1)}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
