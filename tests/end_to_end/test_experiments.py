"""Every experiment, every entry of every group: train, and look at what is left behind."""

import json
import math

import pytest
import torch
import yaml
from entries import names
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from vaelab.config import config_dir

DENOISERS = ("denoise", "radio", "radio_cosine", "radio_uniform")
# Without codes of items, and so without a bound: what validation tells instead, and what training minimises first.
UNBOUND = dict.fromkeys(("digits_gan", "digits_acgan", "mixture_gan"), ("energy_distance", "critic_loss"))
UNBOUND |= dict.fromkeys(("mixture_flow", "moons"), ("loss", "loss"))
POINTS = ("point/modes", "point/high_quality", "point/baseline/gaussian_modes", "point/ceiling/train_modes")
EXPERIMENTS = names("experiment")
OWN = {
    **dict.fromkeys(DENOISERS, ("radio/",)),
    "denoise": ("trace/output_snr_db", "trace/baseline/wiener_output_snr_db"),
    "sine": ("sine/near_median", "sine/gmm/near_median", "sine/baseline/gaussian_near_median"),
    "signals": ("signal/explained_variance", "signal/rmse", "signal/baseline/pca_rmse"),
    "channel": (
        "channel/delay_spread_ks",
        "channel/gmm/delay_spread_ks",
        "channel/baseline/independent_delay_spread_ks",
    ),
    **dict.fromkeys(("mixture", "mixture_gan", "mixture_flow"), POINTS),
    "moons": ("sample/w2", "sample/baseline/gaussian_w2", "sample/ceiling/train_w2"),
    "digits": ("image/psnr_db", "image/baseline/pca_psnr_db"),
    "digits_gan": ("sample/energy_distance", "sample/ceiling/train_energy_distance"),
    "digits_acgan": ("sample/class_agreement", "sample/within_class_variance"),
    "mnist": ("image/psnr_db", "image/baseline/pca_psnr_db"),
    "sprites": ("image/psnr_db", "image/baseline/pca_psnr_db"),
    "bottles": ("image/iou", "image/baseline/pca_iou", "image/r2_height", "image/baseline/pca_r2_height"),
    "galaxies": ("image/psnr_db", "image/baseline/pca_psnr_db", "image/r2_radius"),
    "images": ("image/psnr_db", "image/baseline/pca_psnr_db"),
    "audio": ("audio/", "audio/baseline/", "audio/ceiling/"),
}
ALWAYS = ("objective", "log_likelihood", "error")
# Of a code that has a prior.
BASE = (*ALWAYS, "elbo", "kl", "bits_per_dim", "active_units")
TOLD = dict.fromkeys(OWN, BASE) | dict.fromkeys(DENOISERS, ALWAYS) | dict.fromkeys(UNBOUND, ())
FIGURES = {key: {"reconstructions", "latent", "kl", "prior_samples", "training"} for key in OWN}
FIGURES |= {key: {"recovered", "spectra", "training"} for key in DENOISERS}
FIGURES |= {key: {"prior_samples", "training"} for key in UNBOUND}
for key in ("mixture", "mixture_gan", "mixture_flow", "moons"):
    FIGURES[key] |= {"points"}
FIGURES["bottles"] |= {"latent_histograms"}
PARTS = ("mutual_information", "total_correlation", "dimension_wise_kl", "prior_gap")
PANEL = tuple(f"{part}_at_{end}" for part in PARTS for end in ("least", "most"))


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_an_experiment_leaves_a_complete_run_directory(trained, experiment):
    run, told = trained(experiment)
    assert {"config.yaml", "metrics.json", "provenance.json", "checkpoints", "figures", "tensorboard"} <= {
        path.name for path in run.iterdir()
    }
    assert yaml.safe_load((run / "config.yaml").read_text())["trainer"]["max_epochs"] == 2
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    assert f"vaelab-sample run={run}" in told.out


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_metrics_are_finite_numbers_with_the_promised_names(trained, experiment):
    measures = json.loads((trained(experiment)[0] / "metrics.json").read_text())
    assert all(type(value) is float and math.isfinite(value) for value in measures.values()), measures
    assert {name for name in BASE if f"test/{name}" in measures} == set(TOLD[experiment])
    for name in OWN[experiment]:
        assert any(key.startswith(name) for key in measures), name
    if experiment not in (*DENOISERS, *UNBOUND):
        assert measures["test/elbo"] == pytest.approx(measures["test/log_likelihood"] - measures["test/kl"], rel=1e-6)
    assert 1 <= measures["best_epoch"] <= measures["epochs"] <= 2


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_figures_are_pictures_with_something_on_them(trained, experiment):
    figures = {path.stem: path for path in (trained(experiment)[0] / "figures").glob("*.png")}
    assert FIGURES[experiment] <= set(figures)
    for path in figures.values():
        low, high = Image.open(path).convert("L").getextrema()
        assert low < high, path


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_tensorboard_holds_scalars_pictures_codes_and_settings(trained, experiment):
    run, _ = trained(experiment)
    board = EventAccumulator(str(run / "tensorboard"))
    board.Reload()
    tags = board.Tags()
    assert {name for name in BASE if f"val/{name}" in tags["scalars"]} == set(TOLD[experiment])
    chosen, loss = UNBOUND.get(experiment, ("objective", "loss"))
    assert {f"train/{loss}", "train/lr", "train/gradient_norm"} <= set(tags["scalars"])
    bound = experiment not in (*DENOISERS, *UNBOUND)
    assert ("train/beta" in tags["scalars"]) == ("train/kl" in tags["scalars"]) == bound
    # A curve is whole, and what is measured once stands at the last step.
    assert not {"epoch", "fit_seconds", "hp_metric"} & set(tags["scalars"])
    assert not any("/baseline/" in tag for tag in tags["scalars"])
    curve = [event.step for event in board.Scalars(f"val/{chosen}")]
    # The last of its epochs may be cut by `max_steps`.
    assert len(curve) in ((1, 2) if experiment == "mnist" else (2,)) and curve == sorted(set(curve))
    (tested,) = board.Scalars(f"test/{chosen}")
    assert tested.step > curve[-1]
    # A name is of a number or of a picture.
    assert not set(tags["scalars"]) & set(tags["images"])
    assert any(tag.startswith("test/") for tag in tags["images"])
    assert "_hparams_/session_start_info" in board.summary_metadata
    assert bool(list((run / "tensorboard").rglob("tensors.tsv"))) == (experiment not in UNBOUND)
    sounds = {"sound/original/0", "sound/reconstruction/0", "sound/prior/0"} if experiment == "audio" else set()
    assert sounds <= set(tags["audio"])


@pytest.mark.parametrize("experiment", ["sine", "digits"])
def test_the_collapse_panel_is_on_the_board_at_every_validation_and_in_the_metrics(trained, experiment):
    run, _ = trained(experiment)
    board = EventAccumulator(str(run / "tensorboard"), size_guidance={"histograms": 0})
    board.Reload()
    for name in (*PANEL, "active_units"):
        assert len(board.Scalars(f"val/{name}")) == 2
    assert len(board.Histograms("val/kl_per_dimension")) == 2
    measures = json.loads((run / "metrics.json").read_text())
    dims = yaml.safe_load((run / "config.yaml").read_text())["latent"]["dim"]
    each = [measures[f"test/kl_of_dimension/{k}"] for k in range(dims)]
    assert sum(each) == pytest.approx(measures["test/kl"], rel=1e-5)
    assert {f"test/{name}" for name in PANEL} <= set(measures)
    for end, other in (("least", "most"), ("most", "least")):
        both = [measures[f"test/mutual_information_at_{end}"], measures[f"test/prior_gap_at_{other}"]]
        assert sum(both) == pytest.approx(measures["test/kl"], abs=1e-4)


@pytest.mark.parametrize("experiment", ["sine", "images"])
def test_provenance_says_what_made_the_run(trained, experiment):
    run, _ = trained(experiment)
    found = json.loads((run / "provenance.json").read_text())
    assert found["seed"] == 0
    assert found["packages"]["torch"] == torch.__version__.split("+")[0]
    assert found["data"]["fingerprint"]
    assert f"experiment={experiment}" in found["command"]
    assert found["hardware"]["threads"] == 1


def test_a_checkpoint_holds_plain_types_and_tensors_only(trained):
    for name in ("best", "last"):
        path = trained("digits")[0] / "checkpoints" / f"{name}.ckpt"
        assert torch.serialization.get_unsafe_globals_in_checkpoint(path) == []


# What an entry needs beside itself: the experiment that it fits, where that is not the sine, and its size.
NEEDS = {
    "latent=gaussian": ("sine", ["latent.dim=2"]),
    "latent=point": ("sine", ["latent.dim=2"]),
    "likelihood=bernoulli": ("digits", []),
    "likelihood=logistic": ("digits", ["likelihood.levels=17"]),
    "architecture=conv1d": ("sine", ["architecture.widths=[4]", "architecture.kernel_size=3"]),
    "architecture=conv2d": ("digits", ["architecture.widths=[4]"]),
    "architecture=resnet2d": ("digits", ["architecture.widths=[4]"]),
    "architecture=lstm": ("sine", ["architecture.width=4"]),
    "architecture=pca_resnet_sound": ("audio", ["architecture.width=4"]),
    "architecture=unet1d": ("radio", ["architecture.widths=[4,8]", "architecture.kernel_size=3"]),
    "architecture=unet1d_extremes": ("radio", ["architecture.widths=[4,8]", "architecture.kernel_size=3"]),
}
# The experiment that comes near, and what more its data need; what needs nothing trains as a VAE.
FILES = {
    "audio_folder": (
        "audio",
        ["dataset=audio_folder", "dataset.root={files}/recordings", "dataset.chunk_seconds=0.25"],
    ),
    "stacked_digits": ("digits", ["dataset=stacked_digits", "dataset.items=300", "variant=vae"]),
    "fashion_mnist": ("mnist", ["dataset=fashion_mnist", "dataset.root={files}/idx"]),
    "image_table": (
        "images",
        ["dataset=image_table", "dataset.file={files}/idx/MNIST/raw/t10k-images-idx3-ubyte"],
    ),
}


@pytest.mark.parametrize(
    "entry",
    [
        f"{group}={name}"
        for group in ("latent", "likelihood", "objective", "architecture", "beta_schedule", "optimizer")
        for name in names(group)
    ]
    + ["accelerator=cpu", "accelerator=auto"],
)
def test_an_entry_of_a_group_trains(vaelab, words, tmp_path, entry):
    experiment, own = NEEDS.get(entry, ("sine", []))
    # Sizes of the experiment's own architecture mean nothing to another.
    foreign = "architecture." if entry.startswith("architecture=") else "none"
    done = [word for word in words(experiment) if not word.startswith(foreign)]
    run = tmp_path / "run"
    done += [entry, *own, "trainer.max_epochs=1"]
    vaelab.train(*done, f"hydra.run.dir={run}", figures=False).done()
    assert math.isfinite(json.loads((run / "metrics.json").read_text())["test/objective"])


def started():
    """The datasets that experiments start with."""
    for path in (config_dir() / "experiment").glob("*.yaml"):
        defaults = yaml.safe_load(path.read_text())["defaults"]
        yield from (entry["override /dataset"] for entry in defaults if "override /dataset" in entry)


@pytest.mark.parametrize("dataset", sorted({*names("dataset")} - {*started()}))
def test_a_dataset_that_no_experiment_starts_with_trains(vaelab, words, files, tmp_path, dataset):
    experiment, own = FILES.get(dataset, ("sine", [f"dataset={dataset}", "variant=vae"]))
    run = tmp_path / "run"
    done = [word for word in words(experiment) if not word.startswith("dataset.")]
    own = [word.format(files=files) for word in own]
    vaelab.train(*done, *own, "trainer.max_epochs=1", f"hydra.run.dir={run}", figures=False).done()
    assert all(map(math.isfinite, json.loads((run / "metrics.json").read_text()).values()))


def test_a_run_that_ends_before_its_first_validation_is_complete(vaelab, words, tmp_path):
    run = tmp_path / "run"
    vaelab.train(*words("sine"), "trainer.max_steps=1", f"hydra.run.dir={run}").done()
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    assert math.isfinite(json.loads((run / "metrics.json").read_text())["test/elbo"])


def test_three_pictures_are_enough(vaelab, words, tmp_path, files):
    import shutil

    mine = tmp_path / "mine"
    mine.mkdir()
    for path in sorted((files / "pictures").rglob("*.png"))[:3]:
        shutil.copy(path, mine)
    run = tmp_path / "run"
    done = vaelab.train(*words("images"), f"dataset.root={mine}", "trainer.max_epochs=1", f"hydra.run.dir={run}").done()
    assert "split train 1   val 1   test 1" in done.out
    assert all(map(math.isfinite, json.loads((run / "metrics.json").read_text()).values()))
