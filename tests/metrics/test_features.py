import math

import pytest
import torch

from vaelab.metrics.features import Classifier, Components, Stacked, fitted_features, parted


def blobs(n, seed=0, classes=3, channels=1):
    """Items `(n, channels, 6)` of classes that are easy to tell, and their labels `(n, channels)`."""
    chance = torch.Generator().manual_seed(seed)
    label = torch.randint(classes, (n, channels), generator=chance)
    x = 4.0 * torch.eye(6)[label] + torch.randn(n, channels, 6, generator=chance)
    return x, label


def test_components_are_leading_ones_on_one_scale_with_a_mean_variance_of_one():
    chance = torch.Generator().manual_seed(0)
    widths = torch.linspace(20, 1, 100)
    x = (widths * torch.randn(400, 100, generator=chance) + 7).unflatten(1, (1, 100))
    features = Components(x, 0)
    seen = features(x)
    assert seen.shape == (400, 64) and seen.dtype == torch.float64 and features.size == 64
    assert seen.var(0).mean().item() == pytest.approx(1, rel=1e-3)
    # Distances are kept but for the scale and what lies outside.
    kept = (seen[0] - seen[1]).norm() / features.scale
    assert 0.9 < kept / (x[0] - x[1]).norm() <= 1


def test_a_classifier_tells_the_classes_of_items_that_it_did_not_see():
    features = fitted_features(*(part for seed in (0, 1) for part in flat(blobs(600, seed))), seed=0)
    assert isinstance(features, Classifier) and features.classes == 3 and features.accuracy > 0.95
    x, label = flat(blobs(300, 2))
    assert (features.told(x) == label).double().mean() > 0.95
    assert features(x).shape == (300, features.size) and features(x).var(0).mean().item() == pytest.approx(1, rel=0.2)


def flat(drawn):
    x, label = drawn
    return x, label[:, 0]


def test_the_same_items_and_seed_give_the_same_features_whatever_was_drawn_before():
    x, label = flat(blobs(100))
    first = Classifier(x, label, 3, 0)(x)
    torch.rand(5)
    state = torch.get_rng_state()
    assert torch.equal(Classifier(x, label, 3, 0)(x), first)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(Classifier(x, label, 3, 1)(x), first)


def test_held_out_items_decide_the_accuracy_and_nothing_else():
    x, label = flat(blobs(200))
    honest = fitted_features(x, label, *flat(blobs(200, 1)), seed=0)
    other = fitted_features(x, label, torch.full((200, 1, 6), 1e3), torch.zeros(200, dtype=torch.int64), seed=0)
    assert honest.accuracy != other.accuracy and torch.equal(honest(x), other(x))


@pytest.mark.parametrize(
    "label",
    [torch.full((40,), -1), torch.zeros(40, dtype=torch.int64), torch.arange(40), torch.arange(40) % 10],
    ids=["unknown", "one", "all different", "four of each"],
)
def test_without_classes_or_enough_items_of_each_there_are_components(label):
    x = blobs(40)[0]
    features = fitted_features(x, label, x, label, seed=0)
    assert isinstance(features, Components) and features.classes == 0 and features.accuracy is None


def test_items_of_no_known_class_are_left_out_of_the_classifier():
    x, label = flat(blobs(300))
    wrong = torch.where(torch.arange(300) < 60, -1, label)
    x = torch.where((wrong < 0)[:, None, None], 50.0, x)
    features = fitted_features(x, wrong, x, wrong, seed=0)
    assert features.accuracy > 0.95


@pytest.mark.parametrize("n", [1, 2])
def test_of_one_item_or_equal_ones_there_are_numbers_still(n):
    seen = Components(torch.ones(n, 2, 3), 0)(torch.ones(4, 2, 3))
    assert len(seen) == 4 and seen.isfinite().all()


def test_stacked_features_are_those_of_each_channel_and_their_class_counts_all_channels():
    x, label = blobs(400, channels=3)
    one = Classifier(parted(x), label.flatten(), 3, 0)
    features = Stacked(one, 3)
    assert features.classes == 27 and features.size == 3 * one.size
    seen = features(x)
    for k in range(3):
        assert torch.allclose(seen[:, k * one.size : (k + 1) * one.size], one(x[:, k : k + 1]))
    expected = 9 * label[:, 0] + 3 * label[:, 1] + label[:, 2]
    assert (features.told(x) == expected).double().mean() > 0.9
    assert math.isclose(features.accuracy or 0, one.accuracy or 0)
