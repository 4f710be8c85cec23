import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from vaelab.errors import UserError
from vaelab.report import judge
from vaelab.variant.base import Decodes, HasCode

KINDS = {
    "digits": [],
    "sine": ["likelihood=gaussian"],
    "audio": ["likelihood=gaussian", "dataset.clips=12"],
    "radio": ["latent=gaussian", "latent.dim=4", "architecture=mlp"],
}
METHODS = ["gan", "wgan_gp"]


def tensors(module):
    return [weights.detach().clone() for weights in module.parameters()]


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("experiment", KINDS)
def test_every_kind_is_trained_sampled_measured_and_drawn(tiny, trainer_of, method, experiment):
    run = tiny(experiment, f"variant={method}", *KINDS[experiment])
    variant, data = run.variant.train(), run.data()
    before = tensors(variant.generator), tensors(variant.critic)
    trainer_of(max_steps=8, max_epochs=-1).fit(variant, datamodule=data)
    assert not same(before[0], tensors(variant.generator)) and not same(before[1], tensors(variant.critic))
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


@pytest.mark.parametrize(("method", "critic_steps"), [("gan", 1), ("gan", 3), ("wgan_gp", 5)])
def test_a_step_trains_one_net_and_leaves_the_other_alone(tiny, trainer_of, method, critic_steps):
    run = tiny("digits", f"variant={method}", f"variant.critic_steps={critic_steps}", "dataset.batch_size=100")
    variant, changed = run.variant.train(), []
    known = {"critic": tensors(variant.critic), "generator": tensors(variant.generator)}

    def look(*_):
        now = {name: tensors(getattr(variant, name)) for name in known}
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


def test_the_penalty_is_of_each_items_own_gradient(tiny):
    variant = tiny("digits", "variant=wgan_gp").variant

    class Slopes(nn.Module):
        """Items that begin below zero have a slope of 3, others of 1."""

        def forward(self, x):
            x = x.flatten(1)
            return x[:, :1] * torch.where(x[:, 1:2] < 0, 3.0, 1.0)

    variant.critic = Slopes()
    x = torch.ones(4, 1, 8, 8)
    x[:2] = -1
    assert variant.gradient_penalty(x, x).item() == pytest.approx((2 * 2**2 + 2 * 0) / 4)
    made, true = x.flip(1), x
    expected = variant.critic(made).mean() - variant.critic(true).mean() + 10 * variant.gradient_penalty(true, made)
    torch.manual_seed(0)
    assert torch.allclose(variant.critic_terms(true, made)["critic_loss"], expected)
    assert torch.allclose(variant.generator_loss(made), -variant.critic(made).mean())


def test_penalised_points_lie_between_a_true_and_a_made_item(tiny):
    variant = tiny("digits", "variant=wgan_gp").variant
    seen = []
    variant.critic = nn.Sequential(nn.Flatten(), nn.Linear(64, 1))
    variant.critic.register_forward_pre_hook(lambda net, given: seen.append(given[0].detach()))
    variant.gradient_penalty(torch.zeros(500, 1, 8, 8), torch.ones(500, 1, 8, 8))
    share = seen[0].flatten(1)
    assert (share.std(1) < 1e-6).all()
    assert share.min() > 0 and share.max() < 1 and abs(share.mean() - 0.5) < 0.05


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
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_line(tiny, words, line):
    variant = [] if words[0].startswith("variant=") else ["variant=gan"]
    with pytest.raises(UserError, match=f"^[^\n]*{line}[^\n]*$"):
        tiny("digits", *variant, *words)
