import math
from types import SimpleNamespace

import pytest
import torch

from vaelab.kind.pictures import Pictures
from vaelab.report import judge
from vaelab.report.judge import distance_measures

FLOORS = ("energy_distance", "frechet", "density", "coverage")


def made(run, sample):
    """A method of the run's kind whose new items are what `sample` gives."""
    variant = run.variant
    return SimpleNamespace(has_samples=True, shape=variant.shape, seed=0, kind=variant.kind, sample=sample)


def of_train(run, n):
    """The last training items of a draw: not those that are the ceiling."""
    return run.data().batch("train").target[-n:]


@pytest.fixture
def digits(tiny):
    return tiny("digits", "dataset.split=[0.6,0.1,0.3]")


@pytest.mark.parametrize("experiment", ["sine", "digits", "audio", "channel", "mixture"])
def test_samples_of_every_kind_have_all_measures_beside_both_floors(tiny, experiment):
    run = tiny(experiment, *(["dataset.clips=40"] if experiment == "audio" else []))
    told = distance_measures(run.variant, run.data())
    for name in FLOORS:
        assert {f"sample/{name}", f"sample/baseline/gaussian_{name}", f"sample/ceiling/train_{name}"} <= set(told)
    classes = {"digits", "audio", "mixture"}
    for name in ("class_entropy", "classes_found", "least_class_share", "classifier_accuracy"):
        assert (f"sample/{name}" in told) == (experiment in classes)
    assert told["sample/nearest_ratio"] > 0 and told["sample/per_second"] > 0
    assert all(math.isfinite(value) for value in told.values())


def test_what_cannot_make_samples_has_none_of_these_measures(tiny):
    run = tiny("radio")
    assert not run.variant.has_samples and distance_measures(run.variant, run.data()) == {}


def test_as_many_items_stand_on_every_side(digits, monkeypatch):
    sides = []
    monkeypatch.setattr(judge, "Reference", watched(sides))
    told = distance_measures(digits.variant, digits.data())
    test = len(digits.data().index["test"])
    assert told["sample/items"] == test == 539 and sides == [test] * 4


def watched(sides):
    """A `Reference` that notes how many true items it is made of, and how many are held against them."""
    from vaelab.metrics.samples import Reference

    class Watched(Reference):
        def __init__(self, true, *rest):
            sides.append(len(true))
            super().__init__(true, *rest)

        def lot_measures(self, x):
            sides.append(len(x))
            return super().lot_measures(x)

    return Watched


def test_true_items_are_as_good_as_the_ceiling_and_the_gaussian_is_worse(digits):
    told = distance_measures(made(digits, lambda n, seed: of_train(digits, n)), digits.data())
    assert told["sample/frechet"] == pytest.approx(told["sample/ceiling/train_frechet"], rel=0.5)
    for name in ("density", "coverage", "class_entropy"):
        assert told[f"sample/{name}"] == pytest.approx(told[f"sample/ceiling/train_{name}"], rel=0.1)
    assert told["sample/baseline/gaussian_frechet"] > 1.5 * told["sample/ceiling/train_frechet"]
    assert told["sample/baseline/gaussian_density"] < 0.5 < 0.8 < told["sample/ceiling/train_density"]
    assert told["sample/classifier_accuracy"] > 0.95


def test_copies_are_told_and_a_mode_that_is_all_there_is_too(digits):
    copies = distance_measures(made(digits, lambda n, seed: of_train(digits, n)), digits.data())
    assert copies["sample/nearest_ratio"] < 0.02 < 1 < copies["sample/baseline/gaussian_nearest_ratio"]
    train = digits.data().batch("train")
    ones = train.target[train.label == 1]
    collapsed = distance_measures(made(digits, lambda n, seed: ones[torch.arange(n) % len(ones)]), digits.data())
    assert collapsed["sample/classes_found"] <= 0.3 and collapsed["sample/class_entropy"] < 0.3
    assert collapsed["sample/coverage"] < 0.3 < 0.9 < collapsed["sample/ceiling/train_coverage"]
    assert collapsed["sample/frechet"] > 5 * collapsed["sample/ceiling/train_frechet"]


def test_noise_is_told_by_density(digits):
    chance = torch.Generator().manual_seed(0)
    noisy = of_train(digits, 539) + 0.5 * torch.randn(539, 1, 8, 8, generator=chance)
    told = distance_measures(made(digits, lambda n, seed: noisy), digits.data())
    assert told["sample/density"] < 0.5 * told["sample/ceiling/train_density"]
    assert told["sample/nearest_ratio"] > 1.5


@pytest.mark.parametrize("experiment", ["digits", "sine"])
def test_no_test_item_is_seen_by_what_items_are_compared_in(tiny, experiment):
    honest, spoilt = tiny(experiment), tiny(experiment)
    data, test = spoilt.data(), spoilt.data().index["test"]
    for values in (data.items.raw, data.stores["train"].x):
        values[test] = values[test].roll(1, 0)
    data.stores["train"].label[test] = 0
    features = [run.variant.kind.features(run.data()) for run in (honest, spoilt)]
    x = honest.data().batch("val").target
    assert torch.equal(features[0](x), features[1](x))


def test_runs_that_share_their_data_share_what_is_dear(digits, monkeypatch):
    fits, fit = [], Pictures._fitted_features
    monkeypatch.setattr(Pictures, "_fitted_features", lambda kind, data: fits.append(1) or fit(kind, data))
    first = distance_measures(digits.variant, digits.data())
    other = distance_measures(made(digits, lambda n, seed: of_train(digits, n)), digits.data())
    beside = {name for name in first if judge_beside(name)}
    assert len(fits) == 1 and beside and all(first[name] == other[name] for name in beside)
    assert first["sample/frechet"] != other["sample/frechet"]


def judge_beside(name):
    return "/baseline/" in name or "/ceiling/" in name


def test_three_items_are_enough_for_what_can_be_told_of_them(given, tiny):
    run = tiny("digits")
    data = run.data()
    for name in data.index:
        data.stores[name] = data.stores[name].part(data.index[name][:1])
        data.index[name] = data.index[name][:1]
    told = distance_measures(run.variant, data)
    assert told["sample/items"] == 1 and "sample/frechet" not in told
    assert all(math.isfinite(value) for value in told.values())


def test_what_makes_items_of_a_class_is_held_against_a_classifier_and_the_width_of_true_classes(digits, tiny):
    conditional = tiny("digits", "variant=acgan", "dataset.split=[0.6,0.1,0.3]")
    data = conditional.data()
    conditional.variant.look_at(data)
    train = data.batch("train")
    places = [torch.nonzero(train.label == one).flatten() for one in range(10)]

    def measured(make):
        conditional.variant.sample_of = make
        return distance_measures(conditional.variant, data)

    def of_class(label):
        return torch.stack([train.target[places[one][k % len(places[one])]] for k, one in enumerate(label.tolist())])

    def middles(label):
        return torch.stack([train.target[places[one]].mean(0) for one in label.tolist()])

    right = measured(lambda label, seed: of_class(label))
    assert right["sample/class_agreement"] > 0.97 and right["sample/within_class_variance"] == pytest.approx(1, abs=0.1)
    assert right["sample/ceiling/test_class_agreement"] == right["sample/classifier_accuracy"]
    assert right["sample/ceiling/train_within_class_variance"] == pytest.approx(1, abs=0.1)
    collapsed = measured(lambda label, seed: middles(label))
    assert collapsed["sample/class_agreement"] > 0.97 and collapsed["sample/within_class_variance"] < 1e-6
    swapped = measured(lambda label, seed: of_class((label + 1) % 10))
    assert swapped["sample/class_agreement"] < 0.03
    assert not {name for name in distance_measures(digits.variant, data) if "class_agreement" in name}


def test_classes_are_asked_for_all_as_often_whatever_their_share(tiny):
    run = tiny("digits", "variant=acgan")
    run.variant.look_at(run.data())
    asked, make = [], run.variant.sample_of
    run.variant.sample_of = lambda label, seed: asked.append(label) or make(label, seed)
    distance_measures(run.variant, run.data())
    counts = asked[0].bincount(minlength=10)
    assert len(asked) == 1 and len(asked[0]) == 1024 and counts.max() - counts.min() <= 1
