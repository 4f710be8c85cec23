"""A model's measures and figures: what its kind of signal asks, put to whatever the model can do."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from vaelab.kind.base import BASELINE_ITEMS, Codes, Examined
from vaelab.latent.densities import sample_codes
from vaelab.metrics.baseline import gaussian_samples
from vaelab.metrics.inpainting import classical_fills
from vaelab.metrics.samples import Reference, affordable, compared, energy_distance, within_class_variance
from vaelab.variant.base import HasCode, HasLabels, Inpaints, Method

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vaelab.data.batch import Batch
    from vaelab.data.loader import IndexLoader
    from vaelab.data.module import DataModule
    from vaelab.latent.flow import Flow

STEPS = 11  # of a path, ends included
SAMPLES = 16  # new items in a figure
CLASSES, OF_EACH = 12, 10  # classes in a figure, and new items of each


def look(method: Method, items: IndexLoader) -> Batch | Examined:
    """Items, and what the model makes of them if it has a code; on the CPU."""
    return method.examine(items) if isinstance(method, HasCode) else items.joined()


# Measures ---------------------------------------------------------------------------------------------------------


def measures(method: Method, seen: Batch | Examined, data: DataModule) -> dict[str, float]:
    """The measures of a kind of signal beside their baselines, flat, without the kind's prefix."""
    filled = _fill_measures(method, seen, data) if isinstance(method, Inpaints) else {}
    if not (isinstance(method, HasCode) and isinstance(seen, Examined)):
        return filled | _sample_measures(method, seen.item, data, None)

    @cache
    def train() -> Codes:
        items = data.drawn("train", BASELINE_ITEMS)
        return Codes(method.codes(data.loader("train", BASELINE_ITEMS)), items)

    told = filled | method.kind.measures(seen, data) | method.own_measures(seen, data)
    told |= method.kind.code_measures(Codes(seen.code, seen.item), train, data)
    return told | _path_measures(method, seen, data) | _sample_measures(method, seen.item, data, train)


def quick_measures(method: Method, seen: Batch | Examined, data: DataModule) -> dict[str, float]:
    """Those that take no time."""
    kind = method.kind
    told = kind.quick_measures(seen, data) if isinstance(seen, Examined) else {}
    if isinstance(method, Inpaints):
        hidden = method.hidden(seen.item)
        told |= kind.fill_measures(method.fill(seen.x, hidden), seen.target, hidden)
    if kind.quick_samples and method.has_samples:
        told |= kind.quick_sample_measures(method.sample(kind.quick_samples, method.seed), seen.item, data)
    return told


def _fill_measures(method: Inpaints, seen: Batch | Examined, data: DataModule) -> dict[str, float]:
    """How near what is hidden of some items comes back, beside ways that need no net."""
    assert isinstance(method, Method)
    kind, n = method.kind, compared(method.shape)
    x, true, hidden = seen.x[:n], seen.target[:n], method.hidden(seen.item[:n])

    def beside() -> dict[str, float]:
        train = data.batch("train", min(BASELINE_ITEMS, affordable(method.shape))).target
        told = {way: kind.fill_measures(made, true, hidden) for way, made in classical_fills(x, hidden, train).items()}
        return {f"baseline/{way}_{name}": value for way, of in told.items() for name, value in of.items()}

    key = ("filled", kind.name, blake2b(hidden.numpy().tobytes()).digest())
    return kind.fill_measures(method.fill(x, hidden), true, hidden) | data.once(key, beside)


def _path_measures(method: HasCode, seen: Examined, data: DataModule) -> dict[str, float]:
    assert isinstance(method, Method)
    ends = method.kind.path_ends(seen.item, data)
    if ends is None:
        return {}
    start, end = ends
    x = path(method, seen.code[start], seen.code[end])
    return method.kind.path_measures(x, seen.item[start], seen.item[end], data)


def _sample_measures(
    method: Method, item: Tensor, data: DataModule, train: Callable[[], Codes] | None
) -> dict[str, float]:
    """Of new items, and of those from a mixture that is fitted to the codes of training items, if there are codes."""
    kind = method.kind
    ways = _samplers(method, train)
    if not (kind.samples and ways):
        return {}
    told: dict[str, float] = {}
    for prefix, draw in ways.items():
        made = kind.sample_measures(draw(kind.samples), item, data)
        told |= {f"{prefix}{name}": value for name, value in made.items()}
    return told | kind.sample_baselines(item, data)


def distance_measures(method: Method, data: DataModule) -> dict[str, float]:
    """How new items of any method and kind compare with as many test items, all encoded, and how fast they are made.

    Beside them are draws from the one Gaussian with the training items' mean and covariance, and training items.
    """
    if not method.has_samples:
        return {}
    reference, beside = data.once(("samples", method.kind.name, method.seed), lambda: _reference(method, data))
    began = time.perf_counter()
    made = method.sample(len(reference.true), method.seed)
    speed = len(made) / max(time.perf_counter() - began, 1e-9)
    told = reference.measures(made) | {"per_second": speed, "items": float(len(made))}
    if isinstance(method, HasLabels) and made.isfinite().all():
        told |= _class_measures(method, data)
    return {f"sample/{name}": value for name, value in told.items()} | beside


def _reference(method: Method, data: DataModule) -> tuple[Reference, dict[str, float]]:
    """What new items are held against, and what they stand beside."""
    n, features = compared(method.shape), method.kind.features(data)
    true, train = data.batch("test", n).target, data.batch("train", n).target
    copied = data.batch("train", affordable(method.shape)).target
    reference = Reference(true, copied, features, method.kind.distances)
    gaussian = reference.measures(gaussian_samples(train, len(true), method.seed))
    # The first so many of a draw are a fair draw, too.
    again = reference.lot_measures(train[: len(true)])
    beside = {f"sample/baseline/gaussian_{name}": value for name, value in gaussian.items()}
    beside |= {f"sample/ceiling/train_{name}": value for name, value in again.items()}
    beside["sample/features"] = float(features.size)
    if features.accuracy is not None:
        beside["sample/classifier_accuracy"] = features.accuracy
    return reference, beside


def _class_measures(method: HasLabels, data: DataModule) -> dict[str, float]:
    """Whether new items are of the class that was asked for, all as often, and how much those of one class differ.

    `class_agreement` is the share that a classifier, which has seen training items alone, tells to be of that class;
    its ceiling the share of test items that it tells right. `within_class_variance` is over that of test items; its
    ceiling that of training items.
    """
    assert isinstance(method, Method)
    n, known, features = compared(method.shape), method.labels(), method.kind.features(data)
    label = known[torch.arange(n) * len(known) // n]
    x, true = method.sample_of(label, method.seed), data.batch("test", affordable(method.shape))
    train = data.batch("train", n)
    widths = {
        "within_class_variance": within_class_variance(x, label, true.target, true.label),
        "ceiling/train_within_class_variance": within_class_variance(
            train.target, train.label, true.target, true.label
        ),
    }
    told = {name: width for name, width in widths.items() if width is not None}
    if features.accuracy is not None:
        agreement = float((features.told(x) == label).double().mean())
        told |= {"class_agreement": agreement, "ceiling/test_class_agreement": features.accuracy}
    return told


def flow_distance(method: Method, flow: Flow, data: DataModule) -> dict[str, float]:
    """As `distance_measures` of new items whose codes a flow draws."""
    assert isinstance(method, HasCode)
    true = data.batch("test", compared(method.shape)).target
    codes = sample_codes("flow", len(true), latent=method.latent, codes=None, seed=method.seed, flow=flow)
    return {"sample/flow_energy_distance": energy_distance(method.made(codes, method.seed), true)}


def _samplers(method: Method, train: Callable[[], Codes] | None) -> dict[str, Callable[[int], Tensor]]:
    """What makes so many new items, by the prefix of their measures."""
    ways: dict[str, Callable[[int], Tensor]] = {}
    if method.has_samples:
        ways[""] = lambda n: method.sample(n, method.seed)
    if train is not None and isinstance(method, HasCode):
        codes = train().code

        def of_mixture(n: int) -> Tensor:
            drawn = sample_codes("gmm", n, latent=method.latent, codes=codes, seed=method.seed)
            return method.made(drawn, method.seed)

        ways["gmm/" if ways else ""] = of_mixture
    return ways


def path(method: HasCode, start: Tensor, end: Tensor) -> Tensor:
    """Items decoded on the straight lines between codes `(n, code_size)`: `(n, steps, *shape)`, encoded."""
    way = torch.lerp(start[:, None], end[:, None], torch.linspace(0, 1, STEPS)[:, None])
    return method.decode(method.latent.project(way.flatten(0, 1))).unflatten(0, way.shape[:2])


# Figures ----------------------------------------------------------------------------------------------------------


def figures(method: Method, seen: Batch | Examined) -> dict[str, Figure]:
    """What became of some items, as their kind is drawn."""
    drawn: dict[str, Figure] = {}
    if isinstance(method, HasCode) and isinstance(seen, Examined):
        drawn = method.kind.figures(seen, method)
        drawn |= _path_figure(method, seen)
    if isinstance(method, Inpaints):
        drawn |= _fill_figure(method, seen)
    return drawn | _sample_figures(method, seen)


def _path_figure(method: HasCode, seen: Examined) -> dict[str, Figure]:
    assert isinstance(method, Method)
    ends = method.kind.path_shown(seen.x)
    if ends is None:
        return {}
    start, end = (seen.code[row][None] for row in ends)
    drawn = method.kind.path_figure(path(method, start, end)[0])
    return {} if drawn is None else {"path": drawn}


def _fill_figure(method: Inpaints, seen: Batch | Examined) -> dict[str, Figure]:
    assert isinstance(method, Method)
    x, level, hidden = seen.x[:SAMPLES], seen.level[:SAMPLES], method.hidden(seen.item[:SAMPLES])
    drawn = method.kind.fill_figure(x, hidden, method.fill(x, hidden), level)
    return {} if drawn is None else {"filled": drawn}


def _sample_figures(method: Method, seen: Batch | Examined) -> dict[str, Figure]:
    """Of new items as a whole; where nothing but codes of items makes any, of these."""
    kind = method.kind
    if not kind.samples:
        return {}
    if method.has_samples:
        return kind.sample_figures(method.sample(kind.samples, method.seed), seen.x)
    if isinstance(method, HasCode) and isinstance(seen, Examined):
        return kind.sample_figures(method.made(seen.code, method.seed), seen.x)
    return {}


def all_figures(method: Method, seen: Batch | Examined) -> dict[str, Figure]:
    """Those of `figures`, new items, and what the method alone has."""
    drawn = figures(method, seen)
    if method.has_samples:
        sampled = method.kind.sample_figure(method.sample(SAMPLES, method.seed))
        drawn |= {} if sampled is None else {"prior_samples": sampled}
    if isinstance(method, HasLabels) and len(method.labels()):
        drawn["classes"] = _class_figure(method)
    return drawn | method.own_figures()


def flow_figure(method: Method, flow: Flow) -> dict[str, Figure]:
    """Of new items whose codes a flow draws."""
    assert isinstance(method, HasCode)
    codes = sample_codes("flow", SAMPLES, latent=method.latent, codes=None, seed=method.seed, flow=flow)
    drawn = method.kind.sample_figure(method.made(codes, method.seed))
    return {} if drawn is None else {"flow_samples": drawn}


def _class_figure(method: HasLabels) -> Figure:
    """A row of new items of each class, of some classes if there are many."""
    from vaelab.figures.style import literal
    from vaelab.figures.traversal import traversal_rows

    assert isinstance(method, Method)
    known = method.labels()
    shown = known[torch.linspace(0, len(known) - 1, min(len(known), CLASSES)).round().long()]
    x = method.sample_of(shown.repeat_interleave(OF_EACH), method.seed)
    rows = method.kind.drawable(x, None).unflatten(0, (len(shown), OF_EACH))
    names = [literal(method.signature.label_names[k]) for k in shown.tolist()]
    return traversal_rows(rows, names, [""] * OF_EACH)
