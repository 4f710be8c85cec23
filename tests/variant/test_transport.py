import math

import pytest
import torch
from torch import nn

from vaelab.errors import UserError
from vaelab.report import judge
from vaelab.variant.base import Decodes, HasCode
from vaelab.variant.transport import even_times

METHODS = ["ddpm", "flow_matching"]
KINDS = {
    "digits": [],
    "sine": [],
    "audio": ["dataset.clips=12"],
    "radio": ["architecture=unet1d"],
    "channel": [],
}


def tensors(module):
    return [weights.detach().clone() for weights in module.parameters()]


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("experiment", KINDS)
def test_every_kind_is_trained_sampled_measured_and_drawn(tiny, trainer_of, method, experiment):
    run = tiny(experiment, f"variant={method}", "variant.steps=3", *KINDS[experiment])
    variant, data = run.variant.train(), run.data()
    before = tensors(variant.field)
    trainer_of(max_steps=4, max_epochs=-1).fit(variant, datamodule=data)
    assert not same(before, tensors(variant.field))
    assert variant.sample(3, 0).shape == (3, *variant.shape)
    seen = judge.look(variant, data.loader("test", 6))
    told = judge.measures(variant, seen, data) | judge.distance_measures(variant, data)
    assert "sample/ceiling/train_energy_distance" in told and told["sample/energy_distance"] < 10
    assert all(math.isfinite(value) for value in told.values())
    assert "prior_samples" in judge.all_figures(variant, seen)


@pytest.mark.parametrize("method", METHODS)
def test_it_learns_to_make_items_from_noise(tiny, trainer_of, method):
    run = tiny("digits", f"variant={method}", "variant.ema=0.9", "architecture.widths=[64]")
    before = judge.distance_measures(run.variant, run.data())["sample/energy_distance"]
    trainer_of(max_epochs=10).fit(run.variant.train(), datamodule=run.data())
    assert judge.distance_measures(run.variant, run.data())["sample/energy_distance"] < 0.1 * before


@pytest.mark.parametrize("method", METHODS)
def test_the_net_sees_training_items_with_mean_zero_and_variance_one_and_what_it_makes_is_put_back(
    tiny, trainer_of, method
):
    run = tiny("digits", f"variant={method}", "variant.steps=2")
    variant = run.variant.train()
    trainer_of(max_steps=1, max_epochs=-1).fit(variant, datamodule=run.data())
    x = run.data().batch("train").target
    seen = variant.scaled(x)
    assert abs(seen.mean()) < 0.02 and abs(seen.std() - 1) < 0.02
    assert {"mean", "scale"} <= set(variant.state_dict())
    scaled = variant.carried(variant.averaged, torch.ones(1, 1, 8, 8))
    assert torch.allclose(variant.scaled(variant.decode(torch.ones(1, 64))), scaled, atol=1e-5)


def test_items_that_are_all_the_same_have_a_scale(tiny, trainer_of):
    run = tiny("digits", "variant=flow_matching")
    data = run.data()
    data.stores["train"].x.zero_()
    trainer_of(max_steps=1, max_epochs=-1).fit(run.variant.train(), datamodule=data)
    assert run.variant.scale == 1 and run.variant.mean == 0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("accumulated", [1, 2])
def test_samples_come_from_weights_averaged_once_after_each_step(tiny, trainer_of, method, accumulated):
    run = tiny("digits", f"variant={method}", "dataset.batch_size=100", "variant.steps=2")
    variant, fields = run.variant.train(), []
    variant.on_before_zero_grad = lambda *_: fields.append((variant.global_step, tensors(variant.field)))
    trainer = trainer_of(max_steps=4, max_epochs=-1, accumulate_grad_batches=accumulated)
    trainer.fit(variant, datamodule=run.data())
    known = dict(fields)
    averaged = known[1]  # after the first step
    for steps in (2, 3):
        kept = (steps - 1) / (steps + 9)
        averaged = [torch.lerp(a, b, 1 - kept) for a, b in zip(averaged, known[steps], strict=True)]
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(averaged, tensors(variant.averaged), strict=True))
    codes = torch.randn(4, 64)
    variant.field.register_forward_pre_hook(lambda *_: pytest.fail("the net of one step was asked"))
    variant.decode(codes)


@pytest.mark.parametrize("method", METHODS)
def test_samples_are_those_of_their_seed_and_leave_the_generator_alone(tiny, method):
    sampler = "ancestral" if method == "ddpm" else "heun"
    variant = tiny("digits", f"variant={method}", f"variant.sampler={sampler}", "variant.steps=3").variant
    state = torch.get_rng_state()
    assert torch.equal(variant.sample(5, 1), variant.sample(5, 1))
    assert not torch.equal(variant.sample(5, 1), variant.sample(5, 2))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("method", METHODS)
def test_the_code_of_an_item_is_the_noise_that_it_is_made_of_and_items_have_none(tiny, method):
    variant = tiny("digits", f"variant={method}", "variant.steps=3").variant
    assert isinstance(variant, Decodes) and not isinstance(variant, HasCode)
    codes = torch.randn(300, variant.latent.code_size)
    assert variant.latent.code_size == 64
    whole = variant.decode(codes)
    assert torch.equal(whole, variant.decode(codes)) and torch.equal(whole, variant.made(codes, 7))
    assert torch.allclose(variant.decode(codes[290:], 3), whole[290:], atol=1e-5)
    with pytest.raises(UserError, match=r"^task.noise draws from a likelihood[^\n]+$"):
        variant.made(codes, 0, noise=True)


@pytest.mark.parametrize("method", METHODS)
def test_neither_latent_nor_likelihood_matters(tiny, method):
    """An architecture without a code of its own, a likelihood that these data are outside of."""
    variant = tiny("sine", f"variant={method}", "latent=gaussian", "latent.dim=null", "likelihood=bernoulli").variant
    variant.check_data(-5.0, 1e9)
    assert variant.sample(2, 0).shape == (2, 1, 32)
    gan = tiny("sine", "variant=gan", "likelihood=bernoulli").variant
    with pytest.raises(UserError, match="outside what likelihood=bernoulli allows"):
        gan.check_data(-5.0, 1.0)


@pytest.mark.parametrize("method", METHODS)
def test_validation_has_the_same_noise_at_every_call_is_of_the_averaged_net_and_chooses_the_best(
    tiny, trainer_of, method
):
    run = tiny("digits", f"variant={method}")
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        run.variant.field.register_forward_pre_hook(lambda *_: pytest.fail("the net of one step was asked"))
        found.append(trainer_of().validate(run.variant, datamodule=run.data(), verbose=False)[0])
    assert found[0] == found[1] and set(found[0]) == {"val/loss"} == {f"val/{name}" for name in run.variant.told()}
    assert run.variant.monitored(None) == run.variant.monitored("val/loss") == ("val/loss", "min")


def test_the_validation_loss_is_the_mean_over_all_items_whatever_the_batches(tiny, trainer_of, monkeypatch):
    from vaelab.data import module

    monkeypatch.setattr(module, "EVALUATION_BATCH", 50)
    run = tiny("digits", "variant=ddpm")
    run.variant.errors = lambda field, x: x.flatten(1).square().mean(1)
    found = trainer_of().validate(run.variant, datamodule=run.data(), verbose=False)[0]
    assert found["val/loss"] == pytest.approx(run.data().batch("val").x.square().mean().item(), rel=1e-5)


def test_times_are_uniform_each_and_spread_evenly_together():
    torch.manual_seed(0)
    drawn = torch.stack([even_times(10, torch.device("cpu")) for _ in range(2000)])
    assert drawn.min() >= 0 and drawn.max() < 1
    gaps = drawn.sort(1).values.diff(dim=1)
    assert torch.allclose(gaps, torch.full_like(gaps, 0.1), atol=1e-5)
    share = (drawn[:, 0] * 4).long().bincount() / 2000
    assert torch.allclose(share, torch.full((4,), 0.25), atol=0.05)


class Diverged(nn.Module):
    def forward(self, x, time):
        return x * torch.inf


@pytest.mark.parametrize("method", METHODS)
def test_a_net_that_ran_away_is_told_in_one_line(tiny, trainer_of, method):
    run = tiny("digits", f"variant={method}")
    run.variant.averaged = Diverged()
    with pytest.raises(UserError, match=r"^val/loss became [^\n]+lower optimizer.lr[^\n]+$"):
        trainer_of().validate(run.variant, datamodule=run.data(), verbose=False)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["variant=ddpm", "variant.steps=0"], "variant.steps must be at least 1, not 0"),
        (["variant=flow_matching", "variant.steps=-3"], "variant.steps must be at least 1, not -3"),
        (["variant=ddpm", "variant.steps=1001"], "variant.steps=1001 is more than variant.timesteps=1000"),
        (["variant=ddpm", "variant.timesteps=20"], "variant.steps=50 is more than variant.timesteps=20"),
        (["variant=ddpm", "variant.timesteps=0"], "variant.timesteps must lie between 1 and"),
        (["variant=ddpm", "variant.timesteps=1000000000"], "variant.timesteps must lie between 1 and"),
        (["variant=ddpm", "variant.sampler=euler"], "variant.sampler=euler"),
        (["variant=flow_matching", "variant.sampler=ddim"], "variant.sampler=ddim"),
        (["variant=flow_matching", "variant.pairing=none"], "variant.pairing=none"),
        (["variant=ddpm", "variant.schedule=quick"], "variant.schedule=quick"),
        (["variant=ddpm", "variant.ema=1.0"], "variant.ema must lie in"),
    ],
)
def test_what_cannot_be_trained_or_sampled_is_refused_in_one_line(tiny, words, line):
    with pytest.raises(UserError, match=f"^[^\n]*{line}[^\n]*$"):
        tiny("digits", *words)
