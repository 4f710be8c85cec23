"""MNIST, binarised anew at every step: the importance-weighted bound of three nets.

The bound on log p(x) with 5,000 draws (Burda et al. 2016, eq. 8) over all 10,000 test pictures, each binarised by one
fixed draw. Published for the 784-200-200-50 net: −86.76 after 3,280 epochs; these have 60. The baseline of an untrained
kind is a Bernoulli of each pixel's mean: −206 nats. Needs `--data mnist=FOLDER`, with `MNIST/raw` in it or to be
downloaded into; each seed takes some 20 processor minutes of training and 30 of the bound.
"""

from __future__ import annotations

from evidence._bench import Bench, Case
from evidence._claims import Claim, at_least

NEEDS = "mnist"
NETS = {
    "784-512-512-32": [],
    "784-256-128-16": ["architecture=mlp", "architecture.activation=relu", "latent.dim=16"],
    "784-200-200-50, tanh": [
        "architecture=mlp",
        "architecture.widths=[200,200]",
        "architecture.activation=tanh",
        "latent.dim=50",
    ],
}
# In 10 and in 30 processor minutes, with whatever net: 94 and 90 nats.
BOUNDS = {"784-512-512-32": -90.0, "784-256-128-16": -94.0, "784-200-200-50, tanh": -94.0}


def claims(bench: Bench) -> list[Claim]:
    """The bound, and the ELBO and the living units beside it."""
    rows = []
    short = bench.pick([], ["trainer.max_epochs=1"])
    for net, words in NETS.items():
        settings = ["experiment=mnist", f"dataset.root={bench.data[NEEDS]}", *words, *short]
        trained = bench.case(*settings)
        asked = ["task=likelihood", *bench.pick(["task.k=5000"], ["task.k=20", "task.n=200"])]
        sampled = [bench.sample(run, *asked) for run in trained.runs]
        bound = Case(sampled, f"{trained.command}; of each: {bench.command('sample.py', 'run=RUN_DIR', *asked)}")
        published = "-86.76" if "200" in net else "—"
        least = at_least(bench.pick(BOUNDS[net], -300.0))
        rows.append(bound.row(f"{net}: bound (nats)", "likelihood/bound", least, published=published, digits=2))
        rows.append(trained.row(f"{net}: ELBO (nats)", "test/elbo", digits=2))
        rows.append(trained.row(f"{net}: active units", "test/active_units", digits=0))
    return rows
