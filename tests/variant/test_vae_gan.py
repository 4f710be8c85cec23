import pytest
import torch
import torch.nn.functional as F

from vaelab.errors import UserError
from vaelab.report import judge
from vaelab.variant.base import HasCode, HasDensity, HasLabels
from vaelab.variant.vae import VAE


@pytest.fixture
def vae_gan(tiny):
    return lambda *words: tiny("digits", "variant=vae_gan", "likelihood=gaussian", *words)


def terms_by_hand(variant, batch, seed):
    """What each part comes to, with the draws of a step that begins with this seed."""
    torch.manual_seed(seed)
    posterior = variant.posterior(batch.x)
    code = posterior.sample()
    rebuilt = variant.likelihood.mean(variant.params(code))
    bound = variant.likelihood.log_prob(batch.target, variant.params(code)).mean() - posterior.kl().sum(1).mean()
    new = variant.likelihood.mean(variant.params(variant.latent.prior_sample(len(code))))
    features = variant.critic.features
    unlike = F.mse_loss(features(rebuilt), features(batch.target), reduction="sum") / 2 / len(code)
    judged = torch.cat([variant.critic(rebuilt), variant.critic(new)])
    return bound, unlike, judged, variant.critic(batch.target)


def test_the_losses_are_those_that_the_method_says(vae_gan):
    run = vae_gan("variant.similarity=0.3", "variant.adversarial=7")
    variant, batch = run.variant, run.data().batch("train", 20)
    variant.total_steps = 10
    trainer = type("Trainer", (), {"global_step": 0, "accumulate_grad_batches": 1})()
    variant._trainer = trainer
    bound, unlike, made, true = terms_by_hand(variant, batch, 4)
    ones = torch.ones_like(made)
    torch.manual_seed(4)
    loss, terms = variant.generator_step(batch)
    fooled = F.binary_cross_entropy_with_logits(made, ones)
    assert torch.allclose(loss, -bound + 0.3 * unlike + 7 * fooled, rtol=1e-4)
    assert torch.allclose(terms["unlikeness"], unlike, rtol=1e-4)
    torch.manual_seed(4)
    loss, _ = variant.critic_step(batch)
    told = F.binary_cross_entropy_with_logits(made, 0 * ones)
    told = told + F.binary_cross_entropy_with_logits(true, torch.ones_like(true))
    assert torch.allclose(loss, told, rtol=1e-4)


def test_being_taken_for_true_is_the_decoders_business_and_not_the_encoders(vae_gan):
    run = vae_gan()
    variant, batch = run.variant, run.data().batch("train", 20)
    variant.total_steps = 10
    variant._trainer = type("Trainer", (), {"global_step": 0})()

    def gradients(adversarial):
        variant.adversarial = adversarial
        variant.zero_grad()
        torch.manual_seed(0)
        variant.generator_step(batch)[0].backward()
        return {
            name: [weights.grad.clone() for weights in getattr(variant, name).parameters()]
            for name in ("encoder", "decoder")
        }

    without, with_it = gradients(0.0), gradients(1000.0)
    for one, other in zip(without["encoder"], with_it["encoder"], strict=True):
        assert torch.equal(one, other)
    assert any(not torch.allclose(a, b) for a, b in zip(without["decoder"], with_it["decoder"], strict=True))


def test_it_is_a_vae_with_a_code_and_a_density(vae_gan):
    variant = vae_gan().variant
    assert isinstance(variant, VAE) and isinstance(variant, HasCode) and isinstance(variant, HasDensity)
    assert not isinstance(variant, HasLabels)
    assert variant.net_names == ("encoder", "decoder", "critic")


def test_validation_tells_what_a_vaes_tells_and_the_energy_distance_which_chooses(vae_gan, tiny, trainer_of):
    run = vae_gan()
    found = trainer_of().validate(run.variant, datamodule=run.data(), verbose=False)[0]
    assert set(found) == {f"val/{name}" for name in run.variant.told()}
    assert run.variant.monitored(None) == ("val/energy_distance", "min")
    assert run.variant.monitored("val/elbo") == ("val/elbo", "max")
    plain = tiny("digits", "likelihood=gaussian")
    for name in ("encoder", "decoder"):
        getattr(plain.variant, name).load_state_dict(getattr(run.variant, name).state_dict())
    of_vae = trainer_of().validate(plain.variant, datamodule=plain.data(), verbose=False)[0]
    assert {name: found[name] for name in of_vae} == pytest.approx(of_vae)


def test_every_step_that_is_logged_alone_is_logged(vae_gan, trainer_of, notes_of):
    run = vae_gan("dataset.batch_size=100", "variant.critic_steps=2")
    notes = notes_of()
    trainer_of(max_steps=6, max_epochs=-1, logger=notes, limit_val_batches=0).fit(
        run.variant.train(), datamodule=run.data()
    )
    told = [set(row) for _, row in notes.rows if "train/critic_loss" in row or "train/loss" in row]
    assert ["train/elbo" in names for names in told] == [False, False, True] * 2


def test_several_draws_of_the_code_go_through_the_objective_alone(vae_gan, trainer_of):
    run = vae_gan("objective=iwae", "objective.k=4")
    trainer_of(max_steps=4, max_epochs=-1).fit(run.variant.train(), datamodule=run.data())
    seen = judge.look(run.variant, run.data().loader("test", 6))
    assert seen.reconstruction.isfinite().all()


def test_a_trace_is_recovered_and_judged_beside_its_clean_partner(tiny, trainer_of):
    run = tiny("radio", "variant=vae_gan", "latent=gaussian", "latent.dim=4", "architecture=mlp", "likelihood=gaussian")
    variant, judged = run.variant.train(), []
    variant.critic.register_forward_pre_hook(lambda net, given: judged.append(given[0].detach()))
    trainer_of(max_steps=1, max_epochs=-1, limit_val_batches=0).fit(variant, datamodule=run.data())
    clean = run.data().batch("train").target
    assert all((row == clean).flatten(1).all(1).any() for row in judged[0])


def test_what_cannot_be_judged_is_refused_in_one_line(tiny):
    with pytest.raises(UserError, match=r"^variant=vae_gan makes what a likelihood's mean is[^\n]+$"):
        tiny("channel", "variant=vae_gan")
