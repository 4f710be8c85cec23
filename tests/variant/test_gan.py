import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from vaelab.data.module import DataModule
from vaelab.errors import UserError
from vaelab.report import judge
from vaelab.variant.base import Decodes, HasCode, Parts

KINDS = {
    "digits": [],
    "sine": ["likelihood=gaussian"],
    "audio": ["likelihood=gaussian", "dataset.clips=12"],
    "radio": ["latent=gaussian", "latent.dim=4", "architecture=mlp"],
}
METHODS = ["gan", "wgan_gp", "wgan_div", "acgan", "vae_gan"]


def tensors(module):
    return [weights.detach().clone() for weights in module.parameters()]


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.fixture
def labelled(monkeypatch):
    """Items of two classes, where they have none."""
    load = DataModule.prepare

    def prepare(self):
        read = self.source.load

        def with_labels():
            items = read()
            items.label = torch.arange(len(items)) % 2 if items.label is None else items.label
            return items

        self.source.load = with_labels
        return load(self)

    monkeypatch.setattr(DataModule, "prepare", prepare)


def sides(variant):
    """The weights of the critic, and those of the nets that it judges."""
    return {side: [weights for net in nets for weights in tensors(net)] for side, nets in opponents(variant).items()}


def opponents(variant):
    """The critic, and the nets that it judges."""
    nets = [getattr(variant, name) for name in variant.net_names]
    return {"critic": [variant.critic], "generator": [net for net in nets if net is not variant.critic]}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("experiment", KINDS)
def test_every_kind_is_trained_sampled_measured_and_drawn(tiny, trainer_of, labelled, method, experiment):
    run = tiny(experiment, f"variant={method}", *KINDS[experiment])
    variant, data = run.variant.train(), run.data()
    variant.look_at(data)
    before = sides(variant)
    trainer = trainer_of(max_steps=8, max_epochs=-1)
    trainer.fit(variant, datamodule=data)
    trainer.validate(variant, datamodule=data, verbose=False)
    assert not any(same(before[side], weights) for side, weights in sides(variant).items())
    assert variant.sample(3, 0).shape == (3, *variant.shape)
    seen = judge.look(variant, data.loader("test", 6))
    told = judge.measures(variant, seen, data) | judge.distance_measures(variant, data)
    assert told["sample/ceiling/train_energy_distance"] < told["sample/energy_distance"] < 10
    assert all(math.isfinite(value) for value in told.values())
    assert "prior_samples" in judge.all_figures(variant, seen)


def test_a_critic_learns_to_tell_and_a_generator_to_be_taken_for_true(tiny, trainer_of):
    run = tiny("digits", "variant=gan", "optimizer.lr=0.001")
    before = judge.distance_measures(run.variant, run.data())["sample/energy_distance"]
    trainer_of(max_epochs=50).fit(run.variant.train(), datamodule=run.data())
    assert judge.distance_measures(run.variant, run.data())["sample/energy_distance"] < 0.5 * before


@pytest.mark.parametrize(
    ("method", "critic_steps"), [("gan", 1), ("gan", 3), ("wgan_gp", 5), ("wgan_div", 2), ("acgan", 2), ("vae_gan", 2)]
)
def test_a_step_trains_one_net_and_leaves_the_other_alone(tiny, trainer_of, method, critic_steps):
    run = tiny("digits", f"variant={method}", f"variant.critic_steps={critic_steps}", "dataset.batch_size=100")
    variant, changed = run.variant.train(), []
    known = sides(variant)

    def look(*_):
        now = sides(variant)
        changed.append("+".join(name for name in known if not same(known[name], now[name])))
        known.update(now)

    variant.on_train_batch_end = look
    from vaelab.loop import BlockLoop

    trainer = trainer_of(max_steps=2 * critic_steps + 2, max_epochs=-1)
    BlockLoop.put_into(trainer)
    trainer.fit(variant, datamodule=run.data())
    assert changed == 2 * ([*["critic"] * critic_steps, "generator"])


def test_the_losses_are_cross_entropies_on_logits_and_the_generators_does_not_saturate(tiny):
    variant = tiny("digits", "variant=gan").variant
    variant.critic = nn.Flatten()
    true, made = torch.randn(5, 1), torch.randn(5, 1, requires_grad=True)
    ones, zeros = torch.ones(5, 1), torch.zeros(5, 1)
    by_hand = F.binary_cross_entropy_with_logits(true, ones) + F.binary_cross_entropy_with_logits(made, zeros)
    assert torch.allclose(variant.critic_terms(true, made)["critic_loss"], by_hand)
    assert torch.allclose(variant.generator_loss(made), F.binary_cross_entropy_with_logits(made, ones))
    # What the critic is sure of still has a gradient.
    sure = torch.full((1, 1), -20.0, requires_grad=True)
    assert torch.autograd.grad(variant.generator_loss(sure), sure)[0].abs() > 0.99


def test_samples_come_from_the_averaged_generator_whose_weights_are_the_mean_of_the_first_steps(tiny, trainer_of):
    run = tiny("digits", "variant=gan", "dataset.batch_size=100")
    variant, generators = run.variant.train(), []
    variant.on_train_batch_end = lambda *_: generators.append(tensors(variant.generator))
    trainer_of(max_steps=7, max_epochs=-1).fit(variant, datamodule=run.data())
    averaged = generators[1]  # after the first of its steps
    for steps, place in ((2, 3), (3, 5)):
        kept = (steps - 1) / (steps + 9)
        averaged = [torch.lerp(a, b, 1 - kept) for a, b in zip(averaged, generators[place], strict=True)]
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(averaged, tensors(variant.averaged), strict=True))
    codes = torch.randn(4, variant.latent.code_size)
    with torch.no_grad():
        assert torch.allclose(variant.decode(codes), variant.likelihood.mean(variant.averaged(codes)), atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_each_step_draws_codes_of_its_own(tiny, trainer_of, method):
    run = tiny("digits", f"variant={method}", "dataset.batch_size=100")
    variant, drawn = run.variant.train(), []
    prior_sample = variant.latent.prior_sample
    variant.latent.prior_sample = lambda n: drawn.append(prior_sample(n)) or drawn[-1]
    trainer_of(max_steps=6, max_epochs=-1, limit_val_batches=0).fit(variant, datamodule=run.data())
    assert len(drawn) == 6
    assert len({codes[0, 0].item() for codes in drawn}) == 6


@pytest.mark.parametrize("method", METHODS)
def test_the_critics_step_takes_no_gradient_of_what_made_the_items_nor_the_others_of_the_critic(
    tiny, trainer_of, method
):
    run = tiny("digits", f"variant={method}", "variant.critic_steps=1", "dataset.batch_size=100")
    variant, found = run.variant.train(), []

    def look(_):
        weights = {side: [w for net in nets for w in net.parameters()] for side, nets in opponents(variant).items()}
        found.append([side for side, some in weights.items() if any(w.grad is not None for w in some)])

    variant.on_before_optimizer_step = look
    trainer_of(max_steps=4, max_epochs=-1, limit_val_batches=0).fit(variant, datamodule=run.data())
    assert found == [["critic"], ["generator"]] * 2


@pytest.mark.parametrize("method", METHODS)
def test_weights_that_never_learn_stay_as_they_are(tiny, trainer_of, method):
    run = tiny("digits", f"variant={method}", "dataset.batch_size=100")
    nets = {name: net for name, net in run.variant.named_children() if name in run.variant.net_names}
    for net in nets.values():
        next(net.parameters()).requires_grad_(False)
    frozen = [next(net.parameters()).clone() for net in nets.values()]
    # As it would be made of such nets.
    variant = rebuilt(run, nets).train()
    trainer_of(max_steps=7, max_epochs=-1, limit_val_batches=0).fit(variant, datamodule=run.data())
    assert all(torch.equal(was, next(net.parameters())) for was, net in zip(frozen, nets.values(), strict=True))


def rebuilt(run, nets):
    """The method of a run, of these nets."""
    old = run.variant
    latent = getattr(old.latent, "inner", None) or old.latent
    parts = Parts(
        nets=nets,
        latent=type(old).latent_for(latent, old.signature),
        likelihood=old.likelihood,
        objective=getattr(old, "objective", None),
        codec=old.codec,
        signature=old.signature,
        kind=old.kind,
        shape=old.shape,
        schedule=getattr(old, "schedule", None),
        optimize=old.optimize,
        seed=old.seed,
    )
    return type(old)(parts)


def test_what_a_generator_counts_beside_its_weights_is_in_what_makes_the_samples(tiny, trainer_of):
    run = tiny("digits", "variant=gan", "dataset.batch_size=100")
    nets = {name: getattr(run.variant, name) for name in run.variant.net_names}
    nets["generator"] = nn.Sequential(nn.Linear(3, 64), nn.BatchNorm1d(64), nn.Unflatten(1, (1, 8, 8)))
    variant = rebuilt(run, nets).train()
    trainer_of(max_steps=5, max_epochs=-1, limit_val_batches=0).fit(variant, datamodule=run.data())
    norm = variant.averaged[1]
    # The last of its steps was the fourth; what is counted in the critic's is counted, too.
    assert norm.num_batches_tracked == 4 and norm.running_var.std() > 0
    several, alone = variant.sample(5, 0), variant.decode(torch.zeros(1, 3))
    assert torch.equal(several, variant.sample(5, 0)) and alone.isfinite().all()
    # Each is made for itself, whatever stands beside it.
    codes = torch.randn(6, 3)
    assert torch.allclose(variant.decode(codes)[:1], variant.decode(codes[:1]), atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_it_is_trained_in_mixed_precision(tiny, trainer_of, method):
    run = tiny("digits", f"variant={method}", "variant.critic_steps=1", "dataset.batch_size=100")
    variant = run.variant.train()
    before, losses = sides(variant), []
    on_before = variant.step
    variant.step = lambda *given: losses.append(on_before(*given)) or losses[-1]
    trainer_of(max_steps=4, max_epochs=-1, precision="bf16-mixed").fit(variant, datamodule=run.data())
    assert not any(same(before[side], weights) for side, weights in sides(variant).items())
    assert all(loss.isfinite() and loss.dtype == torch.float32 for loss, _ in losses)


def test_samples_are_those_of_their_seed_and_leave_the_generator_alone(tiny):
    variant = tiny("digits", "variant=gan").variant
    state = torch.get_rng_state()
    assert torch.equal(variant.sample(5, 1), variant.sample(5, 1))
    assert not torch.equal(variant.sample(5, 1), variant.sample(5, 2))
    assert torch.equal(state, torch.get_rng_state())


def test_it_makes_items_of_codes_and_has_none_of_an_item(tiny):
    variant = tiny("digits", "variant=gan").variant
    assert isinstance(variant, Decodes) and not isinstance(variant, HasCode)
    with pytest.raises(UserError, match=r"^task.noise draws from a likelihood[^\n]+$"):
        variant.made(torch.zeros(1, 3), 0, noise=True)


def test_validation_is_the_energy_distance_of_the_whole_split_and_chooses_the_best(tiny, trainer_of):
    run = tiny("digits", "variant=gan")
    found = trainer_of().validate(run.variant, datamodule=run.data(), verbose=False)[0]
    assert set(found) == {"val/energy_distance"} == {f"val/{name}" for name in run.variant.told()}
    assert run.variant.monitored(None) == run.variant.monitored("val/energy_distance") == ("val/energy_distance", "min")
    true = run.data().batch("val").x
    from vaelab.metrics.samples import energy_distance

    made = run.variant.sample(len(true), run.variant.seed)
    assert found["val/energy_distance"] == pytest.approx(energy_distance(made, true), rel=1e-6)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["variant.critic_steps=0"], "variant.critic_steps must be at least 1"),
        (["variant.ema=1.0"], "variant.ema must lie in"),
        (["latent=point", "latent.dim=2"], "draws codes from a prior, and latent=point has none"),
        (["likelihood=zero_mean_gaussian"], "use likelihood=gaussian"),
        (["variant=wgan_gp", "variant.penalty=-1.0"], "variant.penalty must not be negative"),
        (["variant=wgan_div", "variant.k=0"], "variant.k must be positive"),
        (["variant=wgan_div", "variant.p=1.0"], "variant.p must be above 1"),
        (["variant=acgan", "variant.class_weight=0.0"], "variant.class_weight must be positive"),
        (["variant=vae_gan", "variant.adversarial=-1.0"], "variant.adversarial must not be negative"),
        (["variant=vae_gan", "latent=point", "latent.dim=2"], "draws codes from a prior, and latent=point has none"),
        (["variant=vae_gan", "likelihood=zero_mean_gaussian"], "use likelihood=gaussian"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_line(tiny, words, line):
    variant = [] if words[0].startswith("variant=") else ["variant=gan"]
    with pytest.raises(UserError, match=f"^[^\n]*{line}[^\n]*$"):
        tiny("digits", *variant, *words)
