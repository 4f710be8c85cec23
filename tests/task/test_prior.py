import numpy as np
import pytest
import torch

from vaelab.errors import UserError
from vaelab.report.judge import all_figures, look
from vaelab.task.base import Output
from vaelab.task.prior import Prior
from vaelab.variant.base import HasLabels


def drawn(run, folder, **settings):
    Prior(**{"n": 5, **settings})(run, Output(folder))
    return np.load(folder / "samples.npy"), np.load(folder / "codes.npy")


@pytest.mark.parametrize("experiment", ["sine", "digits", "audio"])
def test_as_many_items_as_asked_for_come_in_the_users_units_with_a_picture(tiny, tmp_path, experiment):
    run = tiny(experiment)
    samples, codes = drawn(run, tmp_path)
    assert samples.shape == (5, *run.signature.raw_shape)
    assert codes.shape == (5, run.variant.latent.code_size)
    assert samples.dtype == (np.uint8 if experiment == "digits" else np.float32)
    assert (tmp_path / "samples.png").stat().st_size > 1000
    assert len(list(tmp_path.glob("*.wav"))) == (5 if experiment == "audio" else 0)


def test_the_samples_are_the_codes_decoded(tiny, tmp_path):
    run = tiny("sine", "dataset.codec.standardise=true")
    samples, codes = drawn(run, tmp_path)
    expected = run.variant.codec.decode(run.variant.decode(torch.from_numpy(codes)))
    assert np.allclose(samples, expected, atol=1e-6)


@pytest.mark.parametrize("density", ["prior", "gmm", "posterior", "flow"])
def test_one_seed_gives_the_same_items_and_another_others(tiny, tmp_path, monkeypatch, density):
    monkeypatch.setattr("vaelab.latent.flow.STEPS", 3)
    run = tiny("digits")
    found = [drawn(run, tmp_path / str(k), density=density, seed=seed)[1] for k, seed in enumerate((1, 1, 2))]
    assert np.array_equal(found[0], found[1]) and not np.array_equal(found[0], found[2])


def test_the_posterior_draws_codes_of_training_items_and_no_others(tiny, tmp_path):
    run = tiny("sine", "latent=gaussian", "latent.dim=2")
    _, codes = drawn(run, tmp_path, density="posterior", n=500)
    train, test = (run.variant.examine(run.data().loader(split, 1000)).code for split in ("train", "test"))
    assert set(map(tuple, codes.tolist())) == set(map(tuple, train.tolist()))
    assert set(map(tuple, codes.tolist())).isdisjoint(map(tuple, test.tolist()))


def test_noise_is_the_likelihoods_own_on_top_of_the_mean(tiny, tmp_path):
    run = tiny("sine", "likelihood=gaussian", "likelihood.sigma=0.3")
    (mean, codes), (noisy, same) = (drawn(run, tmp_path / str(noise), n=100, noise=noise) for noise in (False, True))
    assert np.array_equal(codes, same)
    assert (noisy - mean).std() == pytest.approx(0.3, rel=0.05)


def test_the_prior_needs_no_data(tiny, tmp_path):
    run = tiny("sine")
    run._data = None
    run.config.dataset.waves = -1
    assert len(drawn(run, tmp_path)[0]) == 5


def test_a_run_without_a_prior_and_a_wish_for_nothing_are_refused_in_one_line(tiny, tmp_path):
    with pytest.raises(UserError, match=r"^latent=point has no prior: sample with task.density=gmm[^\n]+$"):
        drawn(tiny("radio"), tmp_path)
    with pytest.raises(UserError, match=r"^task.n must be at least 1, not 0$"):
        drawn(tiny("sine"), tmp_path, n=0)
    assert not list(tmp_path.iterdir())


def test_densities_are_fitted_on_a_draw_from_all_of_the_training_split(tiny, tmp_path, fifths, monkeypatch):
    run = tiny("digits")
    monkeypatch.setattr("vaelab.task.prior.FITTED_ON", 60)
    drawn(run, tmp_path, density="gmm")
    assert fifths(run.data(), "train") == (60, 5)


def test_a_trained_diffusion_can_be_asked_for_other_steps_and_others_take_none(tiny, tmp_path):
    run = tiny("sine", "variant=ddpm", "variant.steps=20")
    asked = []
    forward = run.variant.averaged.forward
    run.variant.averaged.forward = lambda x, time: asked.append(time) or forward(x, time)
    for steps, taken in ((None, 20), (3, 3), (1000, 1000)):
        asked.clear()
        drawn(run, tmp_path / str(steps), steps=steps)
        assert len(asked) == taken
    with pytest.raises(UserError, match=r"^task.steps=1001 is more than variant.timesteps=1000[^\n]+$"):
        drawn(run, tmp_path, steps=1001)
    with pytest.raises(UserError, match=r"^task.steps must be at least 1, not 0$"):
        drawn(run, tmp_path, steps=0)
    with pytest.raises(UserError, match=r"^variant=sine makes an item at once: leave task.steps=null$"):
        drawn(tiny("sine"), tmp_path, steps=3)


def of_classes(run, folder, **settings):
    Prior(**{"n": 6, **settings})(run, Output(folder))
    return np.load(folder / "samples.npy"), np.load(folder / "labels.npy")


@pytest.mark.parametrize(
    ("label", "n", "numbers"),
    [([3], 2, [3, 3]), ([3, "7"], 6, [3, 3, 3, 7, 7, 7]), (["7", 3, 0], 5, [7, 7, 3, 3, 0])],
)
def test_items_are_of_the_classes_that_are_asked_for_one_after_the_other(tiny, tmp_path, label, n, numbers):
    run = tiny("digits", "variant=acgan")
    samples, labels = of_classes(run, tmp_path, label=label, n=n)
    assert labels.tolist() == numbers
    expected = run.variant.codec.decode(run.variant.sample_of(torch.tensor(numbers), 0))
    assert np.array_equal(samples, expected)
    assert not (tmp_path / "codes.npy").exists() and (tmp_path / "samples.png").stat().st_size > 1000


def test_classes_are_known_by_their_names_and_only_those_that_were_trained_on(tiny, tmp_path):
    run = tiny("sprites", "variant=acgan", "likelihood=gaussian")
    run.variant.shares.copy_(torch.tensor([0.0, 0.5, 0.5]))
    assert of_classes(run, tmp_path, label=["heart", "ellipse"])[1].tolist() == [2, 2, 2, 1, 1, 1]
    for word in ("square", "circle"):
        with pytest.raises(UserError, match=rf"^task.label: there is no class {word}: there are ellipse, heart$"):
            of_classes(run, tmp_path / word, label=[word])
    with pytest.raises(UserError, match=r"^task.label names no class"):
        of_classes(run, tmp_path / "none", label=[])


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"density": "gmm"}, "leave task.density and task.noise"),
        ({"noise": True}, "leave task.density and task.noise"),
        ({"n": 1}, "task.n=1 leaves some of the 2 classes of task.label without an item"),
    ],
)
def test_what_goes_not_with_classes_is_refused_in_one_line(tiny, tmp_path, settings, line):
    with pytest.raises(UserError, match=f"^[^\n]*{line}$"):
        of_classes(tiny("digits", "variant=acgan"), tmp_path, **{"label": [3, 5], **settings})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("variant", ["image", "gan", "vae_gan"])
def test_a_model_that_knows_no_classes_is_told_so(tiny, tmp_path, variant):
    line = rf"^task.label needs classes that items are made of, and variant={variant} has none: leave it null$"
    with pytest.raises(UserError, match=line):
        of_classes(tiny("digits", f"variant={variant}"), tmp_path, label=[3])


def test_a_method_of_classes_does_without_where_the_data_have_none(tiny, tmp_path):
    run = tiny("sine", "variant=gan", "latent=gaussian", "latent.dim=2")
    variant, told = run.variant, {"labels": lambda self: torch.arange(0), "sample_of": lambda self, label, seed: None}
    variant.__class__ = type("Classed", (type(variant),), told)
    assert isinstance(variant, HasLabels)
    with pytest.raises(UserError, match=r"^task.label needs [^\n]+, and variant=gan has none: leave it null$"):
        of_classes(run, tmp_path, label=[3])
    drawn = all_figures(variant, look(variant, run.data().loader("test", 6)))
    assert "prior_samples" in drawn and "classes" not in drawn


@pytest.mark.parametrize("density", ["gmm", "posterior", "flow"])
def test_a_method_without_a_code_of_an_item_has_the_prior_alone(tiny, tmp_path, density):
    words = rf"^task.density={density} needs a code of every item, and variant=gan has none[^\n]+$"
    with pytest.raises(UserError, match=words):
        drawn(tiny("digits", "variant=gan", "likelihood=gaussian"), tmp_path, density=density)


def test_a_plain_autoencoder_makes_new_items_of_codes_from_a_flow(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("vaelab.latent.flow.STEPS", 3)
    samples, codes = drawn(tiny("sine", "latent=point", "latent.dim=2"), tmp_path, density="flow")
    assert np.isfinite(samples).all() and codes.shape == (5, 2)


def test_a_wish_for_nothing_is_refused_before_anything_is_fitted(tiny, tmp_path, capsys):
    with pytest.raises(UserError, match=r"^task.n must be at least 1, not 0$"):
        drawn(tiny("sine"), tmp_path, n=0, density="flow")
    assert capsys.readouterr().err == ""
