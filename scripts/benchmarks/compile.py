"""Compiling: what torch.compile costs before the first step, and what a step then gains.

`accelerator.compile=inductor` against none: the net, its loss, backward and fused Adam on batches in memory, one thread
of the processor. The cost is the clock's time of the first two steps with an empty cache, less that of two later ones;
the compiler uses processes of its own. The gain is the ratio of processor time of a block of later steps, compiled to
plain, of the same repetition. "Pays after" is the number of steps that win back the cost.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from benchmarks._problem import Net, Problem, write_mnist, write_pictures
from benchmarks._table import Options, Record, Spread, Table, digits, measured, ratios, spread
from benchmarks._timing import interleave, timed
from benchmarks.training import EQUAL
from vaelab.accelerator.base import Acceleration

CPU = torch.device("cpu")
STEPS, QUICK_STEPS = 40, 4

CASES: dict[str, tuple[list[str], Callable[[Path], Path] | None]] = {
    "mlp_128": (["experiment=mnist", "dataset.codec.binarisation=none"], lambda root: write_mnist(root, train=6_000)),
    "conv2d_64": (["experiment=images", "architecture=conv2d"], lambda root: write_pictures(root, 200)),
    "resnet2d_64": (["experiment=images", "architecture=resnet2d"], lambda root: write_pictures(root, 200)),
    "unet1d_500": (["experiment=radio", "dataset.traces=1000"], None),
}


def measure(options: Options) -> Table:
    """A row a net."""
    columns = ["net", "batch", "a step plain, ms", "compiling, s", "a step compiled / plain", "pays after, steps"]
    table = Table("Compiling: what accelerator.compile=inductor costs and gains", columns)
    with tempfile.TemporaryDirectory() as files:
        for name in filter(options.wants, CASES):
            words, write = CASES[name]
            root = [] if write is None else [f"dataset.root={write(Path(files) / name)}"]
            problem = Problem([*words, *EQUAL, *root], epochs=1)
            steps = QUICK_STEPS if options.quick else STEPS
            arms = {
                "plain": partial(train, problem, None, steps),
                "compiled": partial(train, problem, "inductor", steps),
            }
            records = [record | {"case": name} for record in interleave(arms, options.repeats, warm_up=False)]
            table.records += records
            table.rows.append(row(name, problem.batch_size, steps, records))
    return table


def train(problem: Problem, backend: str | None, steps: int) -> Record:
    """The first two steps, then a block of them; the loss at the end shows that both arms do the same."""
    from torch._inductor.utils import fresh_cache

    torch._dynamo.reset()
    variant = problem.variant().train()
    net, optimizer = Net(variant), torch.optim.Adam(variant.parameters(), lr=1e-4, fused=True)
    size = problem.batch_size
    x, target = problem.train.x[:size], problem.train.target[:size]
    loss = torch.zeros(())

    def work(count: int) -> None:
        nonlocal loss
        for _ in range(count):
            optimizer.zero_grad()
            loss = net.loss(x, target)
            loss.backward()
            optimizer.step()

    with fresh_cache(), Acceleration(compile=backend).of(variant, CPU):
        torch.manual_seed(0)
        first, then = timed(lambda: work(2)), timed(lambda: work(steps))
    cost = first["wall"] - 2 * then["wall"] / steps
    return {"cpu": then["cpu"] / steps, "wall": then["wall"] / steps, "cost": cost, "loss": loss.item()}


def row(name: str, batch_size: int, steps: int, records: list[Record]) -> list[str]:
    """What a net's repetitions come to."""
    by_round = {(r["repetition"], r["arm"]): r for r in measured(records)}
    for number in {repetition for repetition, _ in by_round}:
        plain, compiled = (by_round[number, arm]["loss"] for arm in ("plain", "compiled"))
        assert abs(plain - compiled) <= 1e-2 * abs(plain), f"the losses part: {plain} and {compiled}"
    cost = Spread.of([r["cost"] for r in records if r["arm"] == "compiled"])
    step, gain = spread(records, "plain", "cpu").median, ratios(records, "compiled", "plain", "cpu")
    pays = f"{cost.median / (step * (1 - gain.median)):,.0f}" if gain.median < 1 else "never"
    return [name, str(batch_size), digits(1000 * step), str(cost), str(gain), pays]
