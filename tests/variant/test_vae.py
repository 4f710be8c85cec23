import math
from functools import partial

import pytest
import torch
from torch import nn

from vaelab.beta_schedule.base import pressure_of
from vaelab.beta_schedule.capacity import capacity
from vaelab.beta_schedule.constant import constant
from vaelab.beta_schedule.cosine import cosine
from vaelab.beta_schedule.cyclic import cyclic
from vaelab.beta_schedule.linear import linear
from vaelab.beta_schedule.sinusoid import sinusoid
from vaelab.codec.signal import SignalCodec
from vaelab.data.batch import Batch
from vaelab.data.items import Items, Signature
from vaelab.data.module import DataModule
from vaelab.errors import UserError
from vaelab.kind.signals import Signals
from vaelab.latent.gaussian import GaussianLatent
from vaelab.latent.point import PointLatent
from vaelab.likelihood.gaussian import Gaussian as GaussianLikelihood
from vaelab.likelihood.learned_gaussian import LearnedGaussian
from vaelab.objective.elbo import Elbo
from vaelab.objective.iwae import ImportanceWeighted
from vaelab.objective.tcvae import TotalCorrelation
from vaelab.optimizer.adam import adam
from vaelab.report import judge
from vaelab.variant.base import Parts
from vaelab.variant.signal import SignalVAE

N, SHAPE = 400, (1, 8)


def model(latent=None, beta=constant, objective=None, seed=0, kind="signal"):
    latent = latent or GaussianLatent(3)
    torch.manual_seed(0)
    codec, signature = SignalCodec(), Signature(kind, SHAPE, None, (), {})
    parts = Parts(
        nets={
            "encoder": nn.Sequential(nn.Flatten(), nn.Linear(8, latent.heads * latent.dims)),
            "decoder": nn.Sequential(nn.Linear(latent.code_size, 8), nn.Unflatten(1, SHAPE)),
        },
        latent=latent,
        likelihood=GaussianLikelihood(0.5),
        objective=objective or Elbo(),
        codec=codec,
        signature=signature,
        kind=Signals(codec, signature),
        shape=SHAPE,
        schedule=partial(pressure_of, beta),
        optimize=partial(adam, lr=0.01),
        seed=seed,
    )
    return SignalVAE(parts)


@pytest.fixture
def data(given):
    def make(**settings):
        raw = torch.randn(N, *SHAPE, generator=torch.Generator().manual_seed(0))
        module = DataModule(given(Items("signal", raw)), SignalCodec(), **{"split": (0.05, 0.05, 0.9), **settings})
        module.prepare()
        return module

    return make


def weights(variant):
    return torch.cat([value.detach().flatten() for value in variant.parameters()])


@pytest.mark.parametrize("batch_size", [7, 256, 300, 1000])
def test_the_test_metrics_are_those_of_a_sum_by_hand_over_the_whole_split(data, trainer_of, batch_size):
    data, variant = data(batch_size=batch_size), model(PointLatent(3))
    found = trainer_of().test(variant, datamodule=data, verbose=False)[0]
    x = data.batch("test", N).x
    with torch.no_grad():
        mean = variant.decoder(variant.encoder(x))
    error = (x - mean).square().flatten(1)
    by_hand = (-error / (2 * 0.25) - math.log(0.5) - 0.5 * math.log(2 * math.pi)).sum(1)
    assert len(x) == 360
    assert found["test/log_likelihood"] == pytest.approx(by_hand.mean().item(), rel=1e-5)
    assert found["test/error"] == pytest.approx(error.mean().item(), rel=1e-5)
    # A code that nothing is paid for has no bound, no KL and no unit that lies idle.
    assert set(found) == {"test/log_likelihood", "test/error", "test/objective"}
    assert found["test/objective"] == found["test/log_likelihood"]


def test_the_kl_of_the_test_is_the_closed_form_over_the_whole_split(data, trainer_of):
    data, variant = data(), model()
    found = trainer_of().test(variant, datamodule=data, verbose=False)[0]
    with torch.no_grad():
        posterior = variant.posterior(data.batch("test", N).x)
    assert found["test/kl"] == pytest.approx(posterior.kl().sum(1).mean().item(), rel=1e-5)
    assert found["test/active_units"] == (posterior.mean.var(0, correction=0) > 0.01).sum()
    assert found["test/elbo"] == pytest.approx(found["test/log_likelihood"] - found["test/kl"], rel=1e-6)
    assert found["test/bits_per_dim"] == pytest.approx(-found["test/elbo"] / 8 / math.log(2), rel=1e-5)


def test_validation_is_the_same_at_every_call_and_at_beta_one_whatever_training_weighs(data, trainer_of):
    data, found = data(), []
    for beta in (1.0, 0.0, 100.0, 1.0):
        variant = model(beta=partial(constant, value=beta), objective=Elbo(free_bits=beta))
        torch.seed()
        found.append(trainer_of().validate(variant, datamodule=data, verbose=False)[0])
        # Which is the one thing that it weighs.
        found[-1].pop("val/objective")
    assert found[0] == found[1] == found[2] == found[3]


def validated(variant, data, trainer_of, steps=10):
    variant.total_steps = steps
    return trainer_of().validate(variant, datamodule=data, verbose=False)[0]


def test_the_best_checkpoint_is_chosen_on_the_validation_value_of_the_objective(data, trainer_of):
    assert SignalVAE.monitor == ("val/objective", "max")
    data, free = data(split=(0.1, 0.8, 0.1)), 0.33
    found = validated(model(beta=partial(constant, value=0.05)), data, trainer_of)
    assert found["val/objective"] == pytest.approx(found["val/log_likelihood"] - 0.05 * found["val/kl"], rel=1e-6)
    variant = model(beta=partial(constant, value=3.0), objective=Elbo(free))
    found = validated(variant, data, trainer_of)
    paid = sum(max(kl, free) for kl in variant.kl.tolist())
    assert paid > found["val/kl"] + 0.05
    assert found["val/objective"] == pytest.approx(found["val/log_likelihood"] - 3 * paid, rel=1e-6)


@pytest.mark.parametrize("schedule", [constant, linear, cosine, cyclic, sinusoid])
@pytest.mark.parametrize("steps", [1, 10, 13])
def test_at_beta_one_the_objective_is_the_bound_to_the_last_digit_wherever_annealing_ends(
    data, trainer_of, schedule, steps
):
    found = validated(model(beta=schedule), data(), trainer_of, steps)
    assert found["val/objective"] == found["val/elbo"]


def test_a_capacity_counts_by_the_kl_of_the_whole_split(data, trainer_of):
    found = validated(model(beta=partial(capacity, value=2.0, target=9.0)), data(), trainer_of)
    expected = found["val/log_likelihood"] - 2 * abs(found["val/kl"] - 9)
    assert found["val/objective"] == pytest.approx(expected, rel=1e-6)


def test_an_objective_of_no_draws_is_refused_and_one_whose_value_is_a_tensor_is_taken(data, trainer_of):
    class Own(Elbo):
        draws = 0

        def value(self, items, kl, kl_of_dimension, pressure):
            return torch.tensor(super().value(items, kl, kl_of_dimension, pressure))

    variant = model(objective=Own())
    with pytest.raises(UserError, match=r"^Own.draws must be at least 1, not 0$"):
        variant.check_plan(10)
    variant.objective.draws = 1
    found = validated(variant, data(), trainer_of)
    assert found["val/objective"] == pytest.approx(found["val/elbo"], rel=1e-6)


@pytest.mark.parametrize("variant", ["image", "gan", "vae_gan"])
def test_nets_that_begin_at_a_linear_code_are_told_it_before_the_first_step(tiny, variant):
    words = ("architecture=pca_resnet", "architecture.width=8", "likelihood=learned_gaussian", f"variant={variant}")
    run = tiny("digits", *words, "latent.dim=9")
    data, net = run.data(), run.variant
    net.look_at(data)
    code = data.linear_code(9)
    z = torch.randn(4, 9)
    assert torch.allclose(net.decode(z), code.restore(z * code.variances.sqrt()), atol=1e-3)
    if variant == "image":
        x = data.batch("val").x
        assert torch.allclose(net.codes(data.loader("val")) * code.variances.sqrt(), code.project(x), atol=1e-3)


def test_a_likelihood_of_other_numbers_than_items_does_not_begin_at_them(tiny):
    run = tiny("digits", "architecture=pca_resnet", "likelihood=bernoulli")
    with pytest.raises(
        UserError, match=r"^this architecture begins at a linear code of items, and likelihood=bernoulli"
    ):
        run.variant.look_at(run.data())


def test_an_importance_weighted_objective_is_worth_its_own_bound(data, trainer_of):
    data = data(split=(0.05, 0.9, 0.05))
    one, many = (validated(model(objective=ImportanceWeighted(k)), data, trainer_of) for k in (1, 50))
    # What is told beside it does not depend on how many draws the objective looks at.
    assert one["val/elbo"] == many["val/elbo"] and one["val/kl"] == many["val/kl"]
    assert many["val/objective"] > one["val/objective"] + 0.05
    assert one["val/objective"] == pytest.approx(one["val/elbo"], abs=0.3)


def test_an_objective_of_weighted_parts_pays_the_correlation_as_often_as_it_is_weighed(data, trainer_of):
    data = data(split=(0.05, 0.64, 0.31))  # one batch of 256
    found = {}
    for weight in (1.0, 2.0, 6.0):
        torch.manual_seed(0)
        variant = model(objective=TotalCorrelation(total_correlation=weight), beta=partial(constant, value=0.5))
        found[weight] = validated(variant, data, trainer_of)
    plain = found[1.0]["val/log_likelihood"] - 0.5 * found[1.0]["val/kl"]
    assert found[1.0]["val/objective"] == pytest.approx(plain, rel=1e-6)
    once, five = (found[1.0]["val/objective"] - found[weight]["val/objective"] for weight in (2.0, 6.0))
    assert once > 1e-3 and five == pytest.approx(5 * once, rel=0.01)


def test_the_validation_value_is_minus_the_loss_that_training_would_have(data, trainer_of):
    """One batch of all, in the same random order: the two are the same number."""
    data = data(split=(0.05, 0.64, 0.31))
    for objective in (Elbo(), Elbo(0.3), TotalCorrelation(), ImportanceWeighted(4)):
        variant = model(objective=objective, beta=partial(constant, value=0.7))
        found = validated(variant, data, trainer_of)
        batch = data.batch("val", N)
        torch.manual_seed(1)
        loss = torch.stack([variant.loss(batch, *variant.pass_through(batch, objective.draws)) for _ in range(200)])
        assert found["val/objective"] == pytest.approx(-loss.mean().item(), abs=4 * loss.std().item() + 0.02)


def test_another_measure_may_choose_in_its_own_direction_and_a_wrong_name_is_refused():
    variant = model()
    assert variant.monitored(None) == ("val/objective", "max")
    assert variant.monitored("val/elbo") == ("val/elbo", "max")
    assert variant.monitored("val/active_units") == ("val/active_units", "max")
    for name in ("error", "kl", "bits_per_dim"):
        assert variant.monitored(f"val/{name}") == (f"val/{name}", "min")
    for name, near in (("elbo", "val/elbo"), ("val/eror", "val/error"), ("test/kl", "val/kl")):
        with pytest.raises(UserError, match=rf"^monitor={name} is not what validation tells: did you mean {near}\?$"):
            variant.monitored(name)
    with pytest.raises(UserError, match="monitor=val/elbo is not what validation tells"):
        model(PointLatent(3)).monitored("val/elbo")


def test_the_same_run_twice_gives_the_same_weights_and_another_seed_others(data, trainer_of):
    found = []
    for world, seed in ((1, 0), (2, 0), (1, 3)):
        variant = model(seed=seed)
        torch.manual_seed(world)
        trainer_of(max_epochs=2, limit_val_batches=0).fit(variant, datamodule=data(split=(0.8, 0.1, 0.1)))
        found.append(weights(variant))
    assert torch.equal(found[0], found[1]) and not torch.allclose(found[0], found[2])


def test_training_raises_the_elbo(data, trainer_of):
    data, variant = data(split=(0.8, 0.1, 0.1), batch_size=20), model()
    before = trainer_of().validate(variant, datamodule=data, verbose=False)[0]["val/elbo"]
    trainer_of(max_epochs=5).fit(variant, datamodule=data)
    assert trainer_of().validate(variant, datamodule=data, verbose=False)[0]["val/elbo"] > before + 1


def test_noise_is_a_function_of_where_training_stands(trainer_of):
    variant = model()
    variant.trainer = trainer_of()
    batch = Batch(*[torch.randn(16, *SHAPE)] * 2, torch.zeros(16), torch.zeros(16), torch.arange(16))
    losses = []
    for world, number in ((1, 0), (2, 0), (1, 1)):
        torch.manual_seed(world)
        losses.append(variant.training_step(batch, number).item())
    assert losses[0] == losses[1] != losses[2]


def test_the_objective_weighs_the_kl_by_beta_and_holds_free_bits(trainer_of):
    x = torch.randn(16, *SHAPE)
    batch = Batch(x, x, torch.zeros(16), torch.zeros(16), torch.arange(16))
    losses = {}
    for beta, free_bits in ((0.0, 0.0), (1.0, 0.0), (3.0, 0.0), (3.0, 9.0)):
        variant = model(beta=partial(constant, value=beta), objective=Elbo(free_bits))
        variant.trainer = trainer_of()
        losses[beta, free_bits] = variant.training_step(batch, 0).item()
    kl = variant.posterior(x).kl().sum(1).mean().item()
    assert losses[1, 0] - losses[0, 0] == pytest.approx(kl, rel=1e-3)
    assert losses[3, 0] - losses[0, 0] == pytest.approx(3 * kl, rel=1e-3)
    assert losses[3, 9] - losses[0, 0] == pytest.approx(3 * 3 * 9, rel=1e-3)


def test_the_log_holds_the_terms_and_the_beta_of_its_last_step(data, trainer_of, notes_of):
    notes = notes_of()
    variant = model(beta=partial(linear, warmup_steps=4))
    settings = {"logger": notes, "max_steps": 6, "log_every_n_steps": 2, "limit_val_batches": 0}
    trainer_of(**settings).fit(variant, datamodule=data(split=(0.8, 0.1, 0.1), batch_size=32))
    rows = [(step, row) for step, row in notes.rows if "train/beta" in row]
    assert [step for step, _ in rows] == [2, 4, 6]
    assert [row["train/beta"] for _, row in rows] == [0.25, 0.75, 1.0]
    learnt = {"train/gradient_norm", "train/loss", "train/log_likelihood", "train/lr"}
    for _, row in rows:
        assert set(row) == learnt | {"train/kl", "train/elbo", "train/beta"}
        assert row["train/elbo"] == pytest.approx(row["train/log_likelihood"] - row["train/kl"])
        assert row["train/lr"] == 0.01 and row["train/loss"] > -row["train/log_likelihood"]


def test_the_log_of_a_plain_autoencoder_has_no_kl_and_no_beta(data, trainer_of, notes_of):
    notes = notes_of()
    trainer_of(logger=notes, max_steps=2, limit_val_batches=0).fit(model(PointLatent(3)), datamodule=data(batch_size=7))
    rows = [row for _, row in notes.rows if "train/loss" in row]
    learnt = {"train/loss", "train/log_likelihood", "train/lr", "train/gradient_norm"}
    assert len(rows) == 2 and all(set(row) == learnt for row in rows)


@pytest.mark.parametrize("clip", [None, 1e-3])
def test_the_gradient_norm_is_that_of_the_loss_before_it_is_clipped(data, trainer_of, notes_of, clip):
    data, notes, variant = data(batch_size=1000), notes_of(), model(PointLatent(3))
    before = [value.detach().clone().requires_grad_() for value in variant.parameters()]
    batch = data.batch("train", N)
    encoder, decoder = nn.Linear(8, 3), nn.Linear(3, 8)
    for module, (weight, bias) in ((encoder, before[:2]), (decoder, before[2:])):
        module.weight, module.bias = nn.Parameter(weight), nn.Parameter(bias)
    mean = decoder(encoder(batch.x.flatten(1)))
    ((mean - batch.x.flatten(1)).square() / (2 * 0.25)).sum(1).mean().backward()
    expected = sum(p.grad.square().sum() for p in (*encoder.parameters(), *decoder.parameters())).sqrt().item()
    trainer_of(logger=notes, max_steps=1, limit_val_batches=0, gradient_clip_val=clip).fit(variant, datamodule=data)
    (row,) = [row for _, row in notes.rows if "train/loss" in row]
    assert row["train/gradient_norm"] == pytest.approx(expected, rel=1e-4)


def test_gradients_are_clipped_in_mixed_precision_too(data, trainer_of):
    variant, norms = model(), []
    clip = variant.configure_gradient_clipping

    def measured(*given, **named):
        clip(*given, **named)
        norms.append(nn.utils.get_total_norm([weight.grad for weight in variant.parameters()]).item())

    variant.configure_gradient_clipping = measured
    trainer_of(max_steps=2, precision="bf16-mixed", gradient_clip_val=1e-3).fit(variant, datamodule=data())
    assert norms == pytest.approx([1e-3, 1e-3], rel=1e-2)


def test_the_sigma_that_is_learnt_is_logged(data, trainer_of, notes_of):
    notes, variant = notes_of(), model()
    variant.likelihood = LearnedGaussian()
    trainer_of(logger=notes, max_steps=3, limit_val_batches=0).fit(variant, datamodule=data(batch_size=7))
    logged = [row["train/sigma"] for _, row in notes.rows if "train/sigma" in row]
    assert len(logged) == 3 and logged[-1] == pytest.approx(variant.likelihood.variance.sqrt().item())


def test_a_value_that_is_not_finite_stops_training_naming_it_the_step_and_a_remedy(data, trainer_of):
    variant = model()
    with torch.no_grad():
        variant.decoder[0].bias[0] = math.nan
    with pytest.raises(UserError, match=r"^train/loss became nan at or before step \d+ [^\n]+optimizer.lr[^\n]+$"):
        trainer_of(max_epochs=1).fit(variant, datamodule=data())
    with pytest.raises(UserError, match=r"^test/elbo became nan [^\n]+$"):
        trainer_of().test(variant, datamodule=data(), verbose=False)


@pytest.mark.parametrize("weight", [math.nan, math.inf, 1e30])
def test_what_a_library_raises_of_weights_that_ran_away_is_told_as_that(weight, trainer_of):
    variant = model()
    variant.trainer = trainer_of()
    with torch.no_grad():
        variant.decoder[0].bias[0] = weight
    told = r"^the largest weight became [^\n]+lower optimizer.lr[^\n]+$"
    for error in (ValueError("Input X contains infinity"), RuntimeError("not positive-definite"), OverflowError()):
        with pytest.raises(UserError, match=told), variant.divergence_told():
            raise error


def test_what_a_library_raises_of_a_sound_net_and_what_a_user_is_told_stay_as_they_are():
    variant = model()
    for error in (ValueError("a mistake of ours"), UserError("name another file")):
        with pytest.raises(type(error), match=str(error)), variant.divergence_told():
            raise error


def test_items_are_examined_by_posterior_means_without_noise(data):
    data, variant = data(), model()
    found = variant.examine(data.loader("test", 10))
    x = data.batch("test", 10).x
    with torch.no_grad():
        code = variant.posterior(x).mean
        reconstruction = variant.decoder(code)
    assert torch.equal(found.x, x) and torch.equal(found.target, x)
    assert torch.equal(found.x, data.codec.encode(data.items.raw[found.item]).x)
    assert torch.allclose(found.code, code, atol=1e-6)
    assert torch.allclose(found.reconstruction, reconstruction, atol=1e-6)
    assert all(len(field) == 10 for field in found) and all(len(field) == 4 for field in found.head(4))


def test_codes_are_those_of_the_examined_items_and_nothing_is_decoded(data, monkeypatch):
    data, variant = data(), model()
    expected = variant.examine(data.loader("test", 10)).code
    monkeypatch.setattr(variant, "params", None)
    assert torch.equal(variant.codes(data.loader("test", 10)), expected)


def test_decoding_in_chunks_is_decoding_at_once():
    variant, codes = model(), torch.randn(10, 3)
    assert torch.allclose(variant.decode(codes, chunk=3), variant.decoder(codes), atol=1e-6)


def test_drawing_adds_the_likelihoods_noise_by_its_own_seed():
    variant, codes = model(), torch.randn(1000, 3)
    torch.manual_seed(5)
    first = variant.draw(codes, seed=1)
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(1))
    assert torch.equal(first, variant.draw(codes, seed=1)) and not torch.equal(first, variant.draw(codes, seed=2))
    assert (first - variant.decode(codes)).std().item() == pytest.approx(0.5, rel=0.05)


ROOM = {
    "digits": ["dataset.split=[0.6,0.2,0.2]"],
    "sine": ["dataset.waves=400", "dataset.split=[0.6,0.2,0.2]"],
    "channel": ["dataset.channels=400", "dataset.split=[0.6,0.2,0.2]"],
    "audio": ["dataset.clips=60", "dataset.split=[0.6,0.2,0.2]"],
}


@pytest.mark.parametrize("experiment", ROOM)
def test_what_measures_are_held_against_is_drawn_from_the_whole_training_split(tiny, fifths, monkeypatch, experiment):
    for name in ("kind.pictures", "kind.signals", "kind.sounds", "report.judge"):
        monkeypatch.setattr(f"vaelab.{name}.BASELINE_ITEMS", 40)
    run = tiny(experiment, *ROOM[experiment])
    variant, data = run.variant, run.data()
    examined = variant.examine(data.loader("test", 20))
    # Linear codes see whole epochs, which are the whole split; they are known from here on.
    for code in (data.linear_code, data.cosine_code):
        code(examined.code.shape[1])
    assert fifths(data, "test") == (20, 5)
    judge.measures(variant, examined, data)
    served, parts = fifths(data, "train")
    assert served in (40, 80) and parts == 5
