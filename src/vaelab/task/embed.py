"""Where items lie in the latent space, and how much of their classes it tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from vaelab.errors import UserError
from vaelab.kind.base import BASELINE_ITEMS
from vaelab.run.checkpoint import Run
from vaelab.task.base import Output, code_means
from vaelab.variant.base import HasCode

if TYPE_CHECKING:
    from torch import Tensor

    from vaelab.data.batch import Batch


@dataclass
class Embed:
    """Posterior means of `n` items that are drawn from a split, or of all."""

    needs: ClassVar[type] = HasCode

    split: Literal["train", "val", "test"] = "test"
    n: int | None = None

    def __call__(self, run: Run, out: Output) -> None:
        """Write the codes as npy and csv, two pictures of them and, of items with classes, how much they tell."""
        from vaelab.figures.latent import latent_histograms, latent_scatter

        if self.n is not None and self.n < 1:
            raise UserError(f"task.n must be at least 1, not {self.n}")
        data = run.data()
        batch = data.batch(self.split, self.n)
        codes = code_means(run, batch.x)
        labels = None if data.items.label is None else batch.label
        out.array("codes", codes)
        self._table(out, data.numbers(self.split, batch.item), codes, labels, data.items.label_names)
        out.figure("embedding", latent_scatter(codes, labels, data.items.label_names))
        out.figure("latent_histograms", latent_histograms(codes))
        if labels is None:
            print("the items have no classes: codes and pictures only, no probe")
        else:
            self._measure(run, out, batch, codes)

    def _table(
        self, out: Output, numbers: Tensor, codes: Tensor, labels: Tensor | None, names: tuple[str, ...]
    ) -> None:
        """Item (its number in the split), class, and the code's numbers."""
        with out.table("codes") as rows:
            rows.writerow(["item", "label", *(f"z{k + 1}" for k in range(codes.shape[1]))])
            for k, (number, code) in enumerate(zip(numbers.tolist(), codes.tolist(), strict=True)):
                label = "" if labels is None else class_name(int(labels[k]), names)
                rows.writerow([number, label, *(f"{value:.6g}" for value in code)])

    def _measure(self, run: Run, out: Output, batch: Batch, codes: Tensor) -> None:
        from vaelab.metrics.probe import probe_accuracy, probe_baselines, silhouette

        train = run.data().batch("train", BASELINE_ITEMS)
        classes = len(train.label.unique())
        if classes < 2:
            print("the training split holds one class: codes and pictures only, no probe")
            return
        measures = {
            "probe_accuracy": probe_accuracy(code_means(run, train.x), train.label, codes, batch.label),
            "silhouette": silhouette(codes, batch.label),
        }
        baselines = probe_baselines(train.x, train.label, batch.x, batch.label, codes.shape[1])
        measures |= {f"baseline/{name}": value for name, value in baselines.items()}
        out.numbers({f"embed/{name}": value for name, value in measures.items()})


def class_name(number: int, names: tuple[str, ...]) -> str:
    """The name of a class; where it has none, its number; nothing where it is unknown (−1)."""
    if number < 0:
        return ""
    return names[number] if number < len(names) else str(number)
