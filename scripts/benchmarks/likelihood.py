"""Likelihood: the importance-weighted bound of `task=likelihood`, against pythae's `get_nll`.

Held equal: the net (784-200-200-50 with tanh) and its weights, the pictures, the number of draws, one thread, no
gradients. pythae takes its default 100 draws at once, and 500 as vaelab does. The bounds of both are given, to see that
they are the same quantity (pythae's comes as +log p under the name nll). Ratios of processor time within a
repetition, median (smallest–largest). The projection scales the median to 10,000 pictures with 5,000 draws.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import torch

from benchmarks._problem import Problem, write_mnist
from benchmarks._pythae import Pythae, pythae_or_none
from benchmarks._table import Options, Record, Table, digits, ratios, spread
from benchmarks._timing import interleave, timed
from vaelab.data.batch import Batch
from vaelab.run.checkpoint import Run
from vaelab.task.likelihood import Likelihood

WORDS = [
    *("experiment=mnist", "architecture.widths=[200,200]", "architecture.activation=tanh", "latent.dim=50"),
    *("dataset.codec.binarisation=none", "accelerator=cpu", "threads=1"),
]
CHUNKS = {"pythae, 100 at once": 100, "pythae, 500 at once": 500}


def measure(options: Options) -> Table:
    """A row an arm."""
    pictures, draws = (5, 500) if options.quick else (20, 1000)
    columns = ["arm", "seconds", "in units of vaelab", "bound, nats", "10,000 x 5,000"]
    table = Table(f"Likelihood: {pictures} pictures, {draws:,} draws each, 784-200-200-50", columns)
    with tempfile.TemporaryDirectory() as files, pythae_or_none(table) as pythae:
        root = write_mnist(Path(files) / "mnist", train=5100, test=100)
        problem = Problem([*WORDS, f"dataset.root={root}"], 1)
        table.records = interleave(arms(problem, pythae, pictures, draws), options.repeats)
    for arm in dict.fromkeys(record["arm"] for record in table.records):
        table.rows.append(row(arm, table.records, 10_000 * 5_000 / (pictures * draws)))
    return table


def arms(problem: Problem, pythae: Pythae | None, pictures: int, draws: int) -> dict:
    """vaelab's, and pythae's where it is there."""
    run = Run(Path("nowhere"), Path("nowhere/best.ckpt"), problem.config, problem.variant().eval(), _data=problem.data)
    items = problem.data.batch("test", pictures)
    found = {"vaelab": partial(by_task, run, items, Likelihood(k=draws))}
    if pythae is not None:
        pythae.load(problem)
        for name, chunk in CHUNKS.items():
            order = {"do": "nll", "pictures": pictures, "draws": draws, "chunk": chunk}
            found[name] = partial(pythae.ask, order)
    return found


def by_task(run: Run, items: Batch, task: Likelihood) -> Record:
    """The bounds of some items, without the files and the figure."""
    found: list[torch.Tensor] = []
    took = timed(lambda: found.append(task._bounds(run, items, [task.k])))
    return took | {"bound": float(found[0].mean())}


def row(arm: str, records: list[Record], scale: float) -> list[str]:
    """One arm."""
    seconds = spread(records, arm, "cpu")
    minutes = f"{digits(scale * seconds.median / 60)} min"
    return [arm, str(seconds), str(ratios(records, arm, "vaelab", "cpu")), str(spread(records, arm, "bound")), minutes]
