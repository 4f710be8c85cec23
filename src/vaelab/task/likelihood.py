"""How probable the model finds items it has not seen: the importance-weighted bound."""

import sys
import time
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from vaelab.data.batch import Batch
from vaelab.errors import UserError
from vaelab.objective.importance import importance_bounds, log_weights
from vaelab.run.checkpoint import Run
from vaelab.seeding import seeded, stream_seed
from vaelab.task.base import MOST_DRAWS, Output
from vaelab.variant.base import HasDensity

STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)


@dataclass
class Likelihood:
    """The bound on log p(x) with `k` draws for each of `n` items that are drawn from a split (None: all).

    Every item is encoded once; its draws are decoded `chunk` at a time.
    """

    needs: ClassVar[type] = HasDensity

    k: int = 1000
    chunk: int = 500
    n: int | None = None
    split: Literal["train", "val", "test"] = "test"
    seed: int = 0

    def __call__(self, run: Run, out: Output) -> None:
        """Write the k-curve (png), the means (`metrics.json`), and every item's bound and number in the split (npy)."""
        from vaelab.figures.likelihood import k_curve

        for name, value in {"k": self.k, "chunk": self.chunk, "n": 1 if self.n is None else self.n}.items():
            if value < 1:
                raise UserError(f"task.{name} must be at least 1, not {value}")
        if self.k > MOST_DRAWS:
            raise UserError(f"task.k must be at most {MOST_DRAWS:,}, not {self.k:,}: more would take days")
        items = run.data().batch(self.split, self.n)
        began = time.perf_counter()
        ks = [step for step in STEPS if step < self.k] + [self.k]
        bounds = self._bounds(run, items, ks)
        measures = summary(bounds, ks, time.perf_counter() - began)
        out.array("items", run.data().numbers(self.split, items.item))
        out.array("bounds", bounds[:, -1])
        out.figure("k_curve", k_curve(ks, bounds.mean(0), standard_errors(bounds)))
        out.numbers(measures)
        binarisation = getattr(run.variant.codec, "binarisation", "none")
        drawn = {"dynamic": "; each picture binarised by one fixed draw", "threshold": "; binarised at one half"}
        bound, error = measures["likelihood/bound"], measures["likelihood/standard_error"]
        print(f"log p(x) >= {bound:.2f} nats, standard error {error:.2f}, k = {self.k}, {len(bounds)} items", end="")
        print(drawn.get(binarisation, ""))

    @torch.inference_mode()
    def _bounds(self, run: Run, items: Batch, ks: list[int]) -> Tensor:
        """`(items, len(ks))` in nats."""
        variant, device = run.variant, run.variant.device
        assert isinstance(variant, HasDensity)
        rows = []
        pairs = list(zip(items.x.split(1), items.target.split(1), strict=True))
        console = Console(file=sys.stderr)
        with seeded(stream_seed("latent", self.seed), device):
            for x, target in track(pairs, "importance weights", console=console, disable=not console.is_terminal):
                posterior = variant.posterior(x.to(device))
                seen = target.to(device)
                weights = log_weights(
                    posterior,
                    variant.latent,
                    lambda codes, seen=seen: variant.likelihood.log_prob(seen, variant.params(codes)),  # type: ignore[misc]
                    self.k,
                    self.chunk,
                )
                rows.append(importance_bounds(weights, ks).cpu())
        return torch.stack(rows)


def standard_errors(bounds: Tensor) -> Tensor:
    """Of the means over items, `(items, …)` in, `(…)` out; zeros for a single item."""
    if len(bounds) < 2:
        return torch.zeros_like(bounds[0])
    return bounds.std(0) / len(bounds) ** 0.5


def summary(bounds: Tensor, ks: list[int], seconds: float) -> dict[str, float]:
    """The means of `(items, len(ks))` bounds, flat."""
    means, errors = bounds.mean(0).tolist(), standard_errors(bounds).tolist()
    curve = {f"likelihood/bound_at_{k}": mean for k, mean in zip(ks, means, strict=True)}
    return {
        "likelihood/bound": means[-1],
        "likelihood/standard_error": errors[-1],
        "likelihood/k": float(ks[-1]),
        "likelihood/items": float(len(bounds)),
        **curve,
        "likelihood/seconds": seconds,
    }
