"""An endless stream of waves through circular buffers: what it loses, what it costs, and that its memory is flat.

`ratio` is the factory's pace, without those who take its waves, in units of plain decoding of the same chunks, measured
turn beside turn. Memory is the most that the process held; ten times as many waves must not take more of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from evidence._bench import Bench, Case, Made
from evidence._claims import Claim, Range, at_least, at_most, exactly


def claims(bench: Bench) -> list[Claim]:
    """Without loss first, then with it, then pace and memory."""
    waves = bench.pick(1_000_000, 20_000)
    trained = [bench.train("experiment=sine", *bench.pick([], ["trainer.max_epochs=3"]), seed=k) for k in bench.seeds]

    def case(n: int, *words: str) -> Case:
        words = ("task=stream", "task.to=npy", f"task.n={n}", *words)
        return Case([bench.sample(run, *words) for run in trained], bench.command("sample.py", "run=RUN_DIR", *words))

    def row(told: str, of: Case, values: Sequence[float], expected: Range | None, digits: int = 0) -> Claim:
        return Claim(told, values, expected, command=of.command, seconds=of.seconds, digits=digits)

    block, few, small = case(waves), case(waves // 10), case(waves // 10, "task.size=256")
    lossy = case(waves, "task.overflow=overwrite", "task.consume=0.5")
    same = [same_waves(a, b) for a, b in zip(few.runs, small.runs, strict=True)]
    growth = [a.peak_mb - b.peak_mb for a, b in zip(block.runs, few.runs, strict=True)]
    return [
        row(f"block: lost of {waves:,} waves", block, [lost(run) for run in block.runs], exactly(0)),
        row("block: share that is the same, in order, from smaller buffers", small, same, exactly(1), digits=3),
        row("overwrite, taken half as fast: share overwritten", lossy, shares(lossy), Range(0.4, 0.6), digits=3),
        row("overwrite: neither taken nor counted as overwritten", lossy, uncounted(lossy), exactly(0)),
        block.row("pace, in units of plain decoding", "stream/ratio", at_least(bench.pick(0.9, 0.3))),
        block.row(
            "waves a second", "stream/waves_per_second", None, {"plain": "stream/plain_waves_per_second"}, digits=0
        ),
        row("memory for ten times as many waves (MB more)", block, growth, at_most(bench.pick(32, 256)), digits=1),
    ]


def lost(run: Made) -> float:
    """Waves that were made and are not in the file."""
    return run.metrics["stream/made"] - len(waves_of(run))


def uncounted(case: Case) -> list[float]:
    """Waves that were made, but are neither in the file nor counted."""
    return [lost(run) - run.metrics["stream/overwritten"] for run in case.runs]


def shares(case: Case) -> list[float]:
    """What was overwritten of all that was made."""
    return [run.metrics["stream/overwritten"] / run.metrics["stream/made"] for run in case.runs]


def same_waves(a: Made, b: Made) -> float:
    """The share of places where two streams have the same wave, to rounding; not a number for unequal lengths."""
    one, other = waves_of(a), waves_of(b)
    if one.shape != other.shape:
        return math.nan
    return float(np.isclose(one, other, atol=1e-5).all(axis=(1, 2)).mean())


def waves_of(run: Made) -> np.ndarray:
    """The file's `(waves, 1, samples)`, read as it is looked at."""
    return np.load(run.folder / "stream.npy", mmap_mode="r")
