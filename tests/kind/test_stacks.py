import math

import pytest
import torch

from vaelab.kind.stacks import Stacks
from vaelab.report import judge

WORDS = ("dataset=stacked_digits", "dataset.items=4000", "latent.dim=3", "architecture.widths=[16]")


@pytest.fixture(scope="module")
def stacked():
    """Data, their kind, and what they know, made once: a classifier is trained."""
    from vaelab.codec.picture import PictureCodec
    from vaelab.data.module import DataModule
    from vaelab.dataset.stacked_digits import StackedDigits

    data = DataModule(StackedDigits(items=30_000), PictureCodec())
    found = data.prepare()
    return data, Stacks(data.codec, found.signature)


def test_pictures_of_stacked_classes_are_their_own_kind(tiny):
    assert tiny("digits", "variant=gan", *WORDS).variant.kind.name == "stacks"
    assert tiny("digits", "variant=vae").variant.kind.name == "pictures"


def test_training_pictures_have_all_thousand_modes_and_the_classifier_knows_digits(stacked):
    data, kind = stacked
    beside = kind.sample_baselines(data.index["test"], data)
    assert beside["ceiling/train_modes"] >= 999
    # So many even draws have (1,000 − 1) / 2n nats; the digits themselves are not quite even.
    assert beside["ceiling/train_reverse_kl"] == pytest.approx(999 / (2 * 24_000), rel=0.3)
    assert kind.features(data).accuracy > 0.9


def test_each_channel_is_told_by_itself(stacked):
    data, kind = stacked
    batch = data.batch("test", 500)
    red, green, blue = data.factors(batch.item).values()
    told = kind.features(data).told(batch.target)
    assert (told == 100 * red + 10 * green + blue).double().mean() > 0.75
    assert (kind.features(data).told(batch.target.flip(1)) == 100 * blue + 10 * green + red).double().mean() > 0.75


def test_pictures_that_lack_a_digit_in_a_channel_lack_its_modes(stacked):
    data, kind = stacked
    batch = data.batch("train")
    red, green = (data.factors(batch.item)[name] for name in ("red", "green"))
    some = batch.target[(red < 3) & (green < 5)]
    told = kind.sample_measures(some, batch.item, data)
    assert 150 <= told["modes"] < 300 and told["reverse_kl"] == pytest.approx(math.log(1000 / 150), rel=0.15)


def test_the_classifier_sees_no_digit_of_the_test(stacked):
    data, kind = stacked
    before = kind.features(data)
    kept = data.items.raw.clone()
    for fold in (1, 2):
        data.items.raw[data.items.fold == fold] = 0
    again = kind._fitted_features(data)
    data.items.raw.copy_(kept)
    x = data.batch("val", 50).target
    assert torch.equal(before(x), again(x)) and again.accuracy < before.accuracy


def test_every_method_is_measured_on_them(tiny):
    for method in ("vae", "gan"):
        run = tiny("digits", f"variant={method}", *WORDS)
        seen = judge.look(run.variant, run.data().loader("test", 60))
        run.variant.kl = torch.zeros(3)
        told = judge.measures(run.variant, seen, run.data()) | judge.distance_measures(run.variant, run.data())
        assert {"modes", "baseline/gaussian_modes", "ceiling/train_modes", "sample/classes_found"} <= set(told)
        assert all(math.isfinite(value) for value in told.values())
