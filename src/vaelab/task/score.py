"""How strange items are to the model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor

from vaelab.data.batch import Batch
from vaelab.data.loader import IndexLoader, Store
from vaelab.data.module import EVALUATION_BATCH, class_numbers
from vaelab.errors import UserError
from vaelab.figures.style import literal
from vaelab.kind.base import BASELINE_ITEMS
from vaelab.metrics.anomaly import auroc, pca_error, share_above, threshold_at
from vaelab.objective.importance import code_log_weight, importance_bounds
from vaelab.run.checkpoint import Run
from vaelab.seeding import seeded, stream_seed
from vaelab.task.base import MOST_DRAWS, Output, encode, read_own
from vaelab.task.embed import class_name
from vaelab.variant.base import HasDensity, Method

STRANGEST = 16  # items that are drawn
NAME = 13  # letters of a name over a picture


@dataclass
class Score:
    """Anomaly scores of a split, or of the items in `file` (a folder: in all files below): the higher, the stranger.

    `negative_elbo` and `kl` in nats, the ELBO's first term averaged over `draws` codes of each item;
    `reconstruction_error`, the mean squared one, in the codec's units; with `k` > 0 also `negative_iw_bound`, a
    tighter bound from `k` codes, in nats.

    `normal` names the classes that are no anomalies; without it, those that the run was trained on by `dataset.keep`.
    Thresholds on the negative ELBO are those that a share of the validation split's normal items exceeds, the
    `false_positive_rates`.
    """

    needs: ClassVar[type] = HasDensity

    split: Literal["train", "val", "test"] = "test"
    file: str = ""
    normal: list[str | int] | None = None
    draws: int = 8
    k: int = 0
    false_positive_rates: list[float] = field(default_factory=lambda: [0.01, 0.05, 0.1])
    seed: int = 0

    def __call__(self, run: Run, out: Output) -> None:
        """Write `scores.csv`, the strangest items as png, and thresholds and areas (`metrics.json`)."""
        self._check(run)
        normal = self._normal(run)
        usual = self._usual(run, normal) if self.false_positive_rates else None
        own = read_own(run, self.file) if self.file else None
        batches = run.data().loader(self.split) if own is None else raw_batches(run, own.raw)
        names = split_names(run, self.split) if own is None else own.names
        scores = self._scores(run.variant, batches)
        labels = split_labels(run, self.split) if own is None else None
        self._table(run, out, scores, labels, names)
        if own is not None and own.left_out:
            out.left_out(own.left_out)
        self._strangest(run, out, batches, scores["negative_elbo"], names)
        anomaly = None if labels is None or normal is None else ~torch.isin(labels, normal)
        measures = {} if usual is None else self._thresholds(run, usual, scores["negative_elbo"], anomaly)
        if anomaly is not None:
            measures |= self._areas(run, scores, anomaly)
        out.numbers({f"score/{name}": value for name, value in measures.items()})

    def _check(self, run: Run) -> None:
        for name, least in (("draws", 1), ("k", 0)):
            if getattr(self, name) < least:
                raise UserError(f"task.{name} must be at least {least}, not {getattr(self, name)}")
            if getattr(self, name) > MOST_DRAWS:
                raise UserError(f"task.{name} must be at most {MOST_DRAWS:,}, not {getattr(self, name):,}")
        if not all(0 < rate < 1 for rate in self.false_positive_rates):
            raise UserError(f"task.false_positive_rates must lie between 0 and 1, not {self.false_positive_rates}")
        if run.variant.kind.has_clean:
            raise UserError("task=score judges items by their own likelihood, and a denoiser has none of its input")
        if self.k and not run.variant.latent.has_prior:
            raise UserError("task.k needs a posterior with a density, and this run has none: leave it 0")

    def _normal(self, run: Run) -> Tensor | None:
        """The numbers of the normal classes, or None where nothing says which they are."""
        chosen = self.normal if self.normal is not None else run.config.dataset.get("keep")
        if chosen is None:
            return None
        names = run.signature.label_names
        if not names:
            raise UserError("task.normal names classes, and this run's data have none: leave it null")
        return torch.tensor(class_numbers("task.normal", list(chosen), names))

    def _usual(self, run: Run, normal: Tensor | None) -> Tensor:
        """`(items,)` bool: which of the validation items are normal: all of them, where no class is named."""
        labels = split_labels(run, "val")
        usual = torch.ones(len(run.data().index["val"]), dtype=torch.bool)
        if labels is not None and normal is not None:
            usual = torch.isin(labels, normal)
        if not usual.any():
            raise UserError("the validation split has no item of task.normal to set thresholds by: name other classes")
        return usual

    def _scores(self, variant: Method, batches: Iterable[Batch]) -> dict[str, Tensor]:
        return item_scores(variant, batches, draws=self.draws, k=self.k, seed=self.seed)

    def _table(
        self, run: Run, out: Output, scores: dict[str, Tensor], labels: Tensor | None, names: list[str] | None
    ) -> None:
        columns = [values.tolist() for values in scores.values()]
        with out.table("scores") as rows:
            rows.writerow(["item", "name", "label", *scores])
            for item, values in enumerate(zip(*columns, strict=True)):
                label = "" if labels is None else class_name(int(labels[item]), run.signature.label_names)
                name = "" if names is None else names[item]
                rows.writerow([item, name, label, *(f"{value:.7g}" for value in values)])

    def _strangest(self, run: Run, out: Output, batches: IndexLoader, scores: Tensor, names: list[str] | None) -> None:
        """Draw the items with the highest negative ELBO, the highest first, each below its name and score."""
        from vaelab.figures.pictures import picture_grid
        from vaelab.figures.waves import wave_grid

        order = scores.argsort(descending=True, stable=True)[:STRANGEST]
        part = batches.store.part(batches.store.index[order])
        batch = IndexLoader(part, batches.codec, EVALUATION_BATCH, seed=batches.seed).joined()
        drawn = run.variant.kind.drawable(batch.x, batch.level)
        called = [f"item {k}" if names is None else names[k] for k in order.tolist()]
        titles = [
            f"{_short(name)}\n{score:.4g} nats" for name, score in zip(called, scores[order].tolist(), strict=True)
        ]
        if drawn.ndim == 4:
            out.figure("strangest", picture_grid(drawn, titles=titles))
        else:
            out.figure("strangest", wave_grid(drawn, titles, run.signature.sample_rate))

    def _thresholds(self, run: Run, usual: Tensor, scores: Tensor, anomaly: Tensor | None) -> dict[str, float]:
        """Each threshold, and the share of the scored items above it: of anomalies and others, where that is known."""
        held_out = self._scores(run.variant, run.data().loader("val"))["negative_elbo"][usual]
        measures = {}
        for rate in self.false_positive_rates:
            threshold = measures[f"threshold_at_{rate:g}"] = threshold_at(held_out, rate)
            groups = {"share_above": scores}
            if anomaly is not None:
                groups = {"true_positive_rate": scores[anomaly], "false_positive_rate": scores[~anomaly]}
            measures |= {f"{name}_at_{rate:g}": share_above(s, threshold) for name, s in groups.items() if len(s)}
        return measures

    def _areas(self, run: Run, scores: dict[str, Tensor], anomaly: Tensor) -> dict[str, float]:
        if anomaly.all() or not anomaly.any():
            print(f"the split {self.split} holds {'only' if anomaly.all() else 'no'} anomalies: no AUROC")
            return {}
        data = run.data()
        train, scored = data.batch("train", BASELINE_ITEMS).x, data.batch(self.split).x
        linear = pca_error(train, scored, run.variant.latent.code_size)
        areas = {f"auroc_{name}": auroc(values, anomaly) for name, values in scores.items()}
        return areas | {"baseline/auroc_pca_error": auroc(linear, anomaly)}


def split_labels(run: Run, split: str) -> Tensor | None:
    """`(items,)` classes of a split's items; None where the data have none."""
    data = run.data()
    return None if data.items.label is None else data.items.label[data.index[split]]


def split_names(run: Run, split: str) -> list[str] | None:
    """What the user calls each of a split's items; None where nothing is known."""
    data = run.data()
    return None if data.items.names is None else [data.items.names[k] for k in data.index[split].tolist()]


def _short(name: str) -> str:
    """The end of a name, as a figure can show it."""
    return literal(name if len(name) <= NAME else f"…{name[1 - NAME :]}")


def raw_batches(run: Run, raw: Tensor) -> IndexLoader:
    """Raw items of the user's own, served as those of the run's own splits are."""
    codec = run.variant.codec
    x, level = encode(run, raw)
    unknown = torch.full((len(raw),), -1)
    store = Store(raw if codec.on_the_fly else x, None, unknown, level, torch.arange(len(raw)))
    return IndexLoader(store, codec, EVALUATION_BATCH, seed=run.config.seed)


@torch.inference_mode()
def item_scores(variant: Method, batches: Iterable[Batch], *, draws: int, k: int, seed: int) -> dict[str, Tensor]:
    """Name to `(items,)` scores on the CPU; the codes are drawn from `seed`, whatever was drawn before."""
    with seeded(stream_seed("latent", seed), variant.device):
        rows = [_batch_scores(variant, batch.x.to(variant.device), draws, k) for batch in batches]
    return {name: torch.cat([row[name] for row in rows]).cpu() for name in rows[0]}


def _batch_scores(variant: Method, x: Tensor, draws: int, k: int) -> dict[str, Tensor]:
    assert isinstance(variant, HasDensity)
    posterior, latent, likelihood = variant.posterior(x), variant.latent, variant.likelihood

    def log_likelihood(code: Tensor) -> Tensor:
        return likelihood.log_prob(x, variant.params(code))

    kl = posterior.kl().sum(1)
    reconstruction = likelihood.mean(variant.params(posterior.mean))
    expected = torch.stack([log_likelihood(posterior.sample()) for _ in range(draws)]).mean(0)
    scores = {
        "negative_elbo": kl - expected,
        "reconstruction_error": (reconstruction - x).flatten(1).square().mean(1),
        "kl": kl,
    }
    if k:
        codes = (posterior.sample() for _ in range(k))
        weights = [log_likelihood(z) + code_log_weight(posterior, latent, z) for z in codes]
        scores["negative_iw_bound"] = -importance_bounds(torch.stack(weights, dim=-1), [k])[..., 0]
    return scores
