import pytest
import torch
from torch import nn

from vaelab.data.items import Items
from vaelab.data.module import DataModule
from vaelab.errors import UserError
from vaelab.latent.circle import CircleLatent
from vaelab.latent.gaussian import GaussianLatent
from vaelab.report import judge
from vaelab.run.build import build_codec
from vaelab.variant.acgan import ClassedLatent, class_error
from vaelab.variant.base import HasCode, HasLabels


@pytest.fixture
def acgan(tiny):
    return lambda *words: tiny("digits", "variant=acgan", *words)


def linear(variant, inputs=64):
    """A critic that is a plain product, so that logits can be worked out by hand."""
    variant.critic = nn.Sequential(nn.Flatten(), nn.Linear(inputs, 1 + variant.latent.classes))
    return variant.critic


def test_the_critic_has_a_logit_of_being_true_and_one_for_each_class_of_one_net(acgan):
    variant = acgan().variant
    assert variant.critic(torch.rand(4, 1, 8, 8)).shape == (4, 11)
    assert variant.net_names == ("generator", "critic")
    assert variant.generator(torch.zeros(1, 3 + 10)).shape == (1, 1, 8, 8)


def test_the_losses_are_those_of_a_wgan_gp_and_of_logits_with_the_softmax_taken_once(acgan):
    run = acgan("variant.class_weight=0.5")
    variant, batch = run.variant, run.data().batch("train", 20)
    critic = linear(variant)
    torch.manual_seed(3)
    codes = variant.new_codes(batch)
    made, label = variant.generated(codes), codes[:, -10:].argmax(1)
    true_out, made_out = critic(batch.x), critic(made)
    classes = -true_out[:, 1:].log_softmax(1)[range(20), batch.label].mean()
    of_made = -made_out[:, 1:].log_softmax(1)[range(20), label].mean()
    # Of a product the gradient is the same everywhere: the weights of the one output that is no class.
    penalty = 10 * (critic[1].weight[0].norm() - 1).square()
    torch.manual_seed(3)
    loss, terms = variant.critic_step(batch)
    assert torch.allclose(loss, made_out[:, 0].mean() - true_out[:, 0].mean() + penalty + classes, atol=1e-6)
    assert torch.allclose(terms["class_error"], classes)
    torch.manual_seed(3)
    loss, _ = variant.generator_step(batch)
    assert torch.allclose(loss, -made_out[:, 0].mean() + 0.5 * of_made, atol=1e-6)


def test_a_classifier_that_is_sure_has_no_error_as_one_behind_two_softmaxes_would():
    label = torch.arange(3)
    assert class_error(50 * torch.eye(3), label) < 1e-6
    assert class_error(50 * torch.eye(3).softmax(1), label) < 1e-6 < class_error(torch.eye(3).softmax(1), label)


def test_items_without_a_label_are_left_out_of_the_true_items_classes_and_of_nothing_else(acgan):
    run = acgan()
    variant, batch = run.variant, run.data().batch("train", 20)
    linear(variant)
    some = batch.label.clone()
    some[5:] = -1

    def terms(batch):
        torch.manual_seed(0)
        return variant.critic_step(batch)

    whole, partly, none = (terms(batch._replace(label=label)) for label in (batch.label, some, torch.full((20,), -1)))
    few = class_error(variant.critic(batch.x[:5])[:, 1:], batch.label[:5])
    assert torch.allclose(partly[1]["class_error"], few) and none[1]["class_error"] == 0
    # What is left of the loss is the same.
    rest = [loss - told["class_error"] for loss, told in (whole, partly, none)]
    assert torch.allclose(rest[0], rest[1]) and torch.allclose(rest[0], rest[2])
    none[0].backward()
    assert all(weights.grad.isfinite().all() for weights in variant.critic.parameters())


def of_labels(configure, label, names=(), keep=None):
    """Data of pictures with these labels, those of the first of them for training."""
    from types import SimpleNamespace

    torch.manual_seed(0)
    raw = torch.randint(256, (len(label), 1, 8, 8), dtype=torch.uint8)
    items = Items("picture", raw, label=label, label_names=names)
    source = SimpleNamespace(load=lambda: items)
    config = configure("digits", "variant=acgan")
    return config, DataModule(source, build_codec(config), keep=keep)


def built(configure, *given, **more):
    from vaelab.run.build import build_variant

    config, data = of_labels(configure, *given, **more)
    found = data.prepare()
    variant = build_variant(config, data.codec, found.signature, found.shape)
    variant.look_at(data)
    return variant, data


def test_new_items_have_classes_as_often_as_the_training_items(configure):
    label = torch.tensor([0] * 60 + [2] * 20 + [-1] * 20)
    variant, data = built(configure, label, ("ant", "bee", "cat"))
    known = data.batch("train").label
    share = float((known == 0).sum() / (known >= 0).sum())
    assert variant.shares.tolist() == pytest.approx([share, 0, 1 - share])
    codes = variant.latent.prior_sample(4000)
    assert codes[:, -3:].mean(0).tolist() == pytest.approx(variant.shares.tolist(), abs=0.03)
    assert codes[:, -3:].sum(1).eq(1).all() and codes.shape == (4000, variant.latent.code_size)
    assert variant.labels().tolist() == [0, 2]
    assert "shares" in variant.state_dict()


def test_classes_without_a_name_go_by_their_number(configure):
    variant, _ = built(configure, torch.arange(60) % 3)
    assert variant.signature.label_names == ("0", "1", "2")
    assert variant.latent.classes == 3


@pytest.mark.parametrize(
    ("label", "names", "keep", "line"),
    [
        (torch.full((60,), -1), (), None, "there is none"),
        (torch.zeros(60).long(), ("ant",), None, "there is only ant"),
        (torch.arange(60) % 2 - 1, ("ant", "bee"), None, "there is only ant"),
        (torch.arange(60) % 2, ("ant", "bee"), ["bee"], "there is only bee"),
        (None, (), None, "there is none"),
    ],
)
def test_without_two_classes_it_is_refused_in_one_line(configure, label, names, keep, line):
    if label is None:
        from vaelab.run.build import build_variant

        config, data = of_labels(configure, torch.zeros(60).long(), names)
        data.source.load().label = None
        found = data.prepare()
        with pytest.raises(UserError, match=f"^variant=acgan needs items of two classes[^\n]*{line}: use variant=gan$"):
            build_variant(config, data.codec, found.signature, found.shape)
        return
    with pytest.raises(UserError, match=f"^variant=acgan needs items of two classes[^\n]*{line}: use variant=gan$"):
        built(configure, label, names, keep=keep)


def test_items_of_a_class_are_those_of_their_seed_and_differ_from_those_of_another(acgan):
    variant = acgan().variant
    assert isinstance(variant, HasLabels) and not isinstance(variant, HasCode)
    label = torch.tensor([3, 3, 7])
    state = torch.get_rng_state()
    x = variant.sample_of(label, 1)
    assert x.shape == (3, 1, 8, 8) and torch.equal(x, variant.sample_of(label, 1))
    assert torch.equal(state, torch.get_rng_state())
    other = variant.sample_of(torch.tensor([3, 4, 7]), 1)
    assert torch.equal(x[[0, 2]], other[[0, 2]]) and not torch.equal(x[1], other[1])
    assert not torch.equal(x[0], x[1])


def test_after_some_training_items_are_of_the_class_that_was_asked_for(acgan, trainer_of):
    from sklearn.neighbors import KNeighborsClassifier

    fast = (
        "variant.class_weight=1.0",
        "variant.critic_steps=1",
        "variant.ema=0.9",
        "optimizer=adam_gan",
        "optimizer.lr=0.002",
    )
    run = acgan("architecture.widths=[64]", *fast)
    variant, data = run.variant.train(), run.data()
    variant.look_at(data)
    trainer_of(max_epochs=40, limit_val_batches=0).fit(variant, datamodule=data)
    train, label = data.batch("train"), torch.arange(10).repeat(20)
    judge_of_classes = KNeighborsClassifier(1).fit(train.x.flatten(1), train.label)
    told = torch.tensor(judge_of_classes.predict(variant.sample_of(label, 0).flatten(1)))
    assert (told == label).float().mean() > 0.6


def test_a_row_for_each_class_is_among_its_figures_and_no_others(acgan, tiny):
    run = acgan()
    seen = judge.look(run.variant, run.data().loader("test", 6))
    (panels,) = [judge.all_figures(run.variant, seen)["classes"].axes]
    assert [panel.get_title(loc="left") for panel in panels] == list("0123456789")
    gan = tiny("digits", "variant=gan")
    assert "classes" not in judge.all_figures(gan.variant, seen)


def test_of_many_classes_some_are_drawn(configure):
    variant, data = built(configure, torch.arange(300) % 30)
    figure = judge.all_figures(variant, judge.look(variant, data.loader("test", 6)))["classes"]
    names = [panel.get_title(loc="left") for panel in figure.axes]
    assert len(names) == 12 and names[0] == "0" and names[-1] == "29"


@pytest.mark.parametrize("family", [GaussianLatent(2), CircleLatent(2)])
def test_a_code_is_one_of_its_family_with_a_class_behind_it(family):
    latent = ClassedLatent(inner=family, classes=3, shares=lambda: torch.tensor([0.0, 0.5, 0.5]))
    codes = latent.prior_sample(50)
    own, label = latent.parted(codes)
    assert own.shape == (50, family.code_size) and set(label.tolist()) == {1, 2}
    assert torch.equal(latent.joined(own, label), codes) and latent.has_prior
    assert torch.allclose(latent.project(codes), codes, atol=1e-6)
    between = latent.project(torch.lerp(codes[:1], codes[1:2], 0.5))
    assert torch.allclose(between[:, : family.code_size], family.project(torch.lerp(own[:1], own[1:2], 0.5)))
