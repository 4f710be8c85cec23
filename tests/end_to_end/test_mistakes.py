"""Every mistake of a user's: exit status 1, one line that names the thing and a remedy, nothing left behind."""

import shutil

import numpy as np
import pytest
import soundfile

DIGITS = ["experiment=digits"]
IMAGES = ["experiment=images", "dataset.size=16", "dataset.batch_size=8"]
SIGNALS = ["experiment=signals"]
AUDIO = ["experiment=audio", "dataset=audio_folder"]

WORDS = [
    (["optimizer.lrr=1"], ["optimizer.lrr", "did you mean optimizer.lr?"]),
    (["trainer.max_epoch=3"], ["trainer.max_epoch", "max_epochs?"]),
    (["experiment=digit"], ["experiment=digit", "did you mean digits?"]),
    (["latent=gausian"], ["latent=gausian", "did you mean gaussian?"]),
    (["latnet=gaussian"], ["latnet", "did you mean latent?"]),
    (["+foo=1"], ["foo"]),
    (["+optimizer.foo=1"], ["optimizer.foo"]),
    (["+latent.dimm=3"], ["latent.dimm", "did you mean dim?"]),
    (["+trainer.max_epoch=3"], ["trainer.max_epoch", "max_epochs?"]),
    (["latent.dim=abc"], ["latent.dim=abc", "a whole number"]),
    (["seed=abc"], ["seed", "abc"]),
    (["seed=-1"], ["seed must lie between 0 and 4294967295"]),
    (["seed=99999999999"], ["seed must lie between 0 and 4294967295"]),
    (["dataset.waves=99999999999999999999"], ["dataset.waves=99999999999999999999 is too large"]),
    (["dataset.waves=99999999999999999"], ["dataset.waves and dataset.samples would need", "EiB", "lower one of them"]),
    (["likelihood.min_sigma=1e30"], ["likelihood.min_sigma=1e+30 is too large: give a number below 10^18"]),
    (["dataset.split=[inf,1,1]"], ["dataset.split=[inf, 1, 1] is too large"]),
    (["dataset.split=[1,-1,1]"], ["dataset.split must be three positive fractions"]),
    (["architecture.widths=[2147483648]"], ["architecture and latent.dim would need", "TiB of memory", "lower one"]),
    (["latent=gaussian", "latent.dim=900000000000000000"], ["architecture and latent.dim would need", "EiB"]),
    (["experiment=channel", "dataset.antennas=2147483648"], ["dataset.antennas", "would need", "are free"]),
    (["experiment=audio", "dataset.sample_rate=2147483648"], ["dataset.sample_rate would need 5.62 TiB of memory"]),
    (["experiment=audio", "dataset.codec.n_fft=2147483648"], ["n_fft=2147483648", "even n_fft up to 1,048,576"]),
    (["experiment=sprites", "dataset.size=2147483648"], ["dataset.items and dataset.size would need"]),
    (["experiment=radio", "dataset.samples=2147483648"], ["dataset.traces and dataset.samples would need"]),
    (["dataset.waves={}"], ["dataset.waves={} is not a whole number"]),
    (["trainer=null"], ["trainer=null is not a group of settings"]),
    (["early_stopping=3"], ["early_stopping=3 is not a group of settings"]),
    (["dataset.codec=abc"], ["dataset.codec=abc is not a group of settings"]),
    (["optimizer=[]"], ["optimizer has no _target_"]),
    (["early_stopping.patience=0"], ["early_stopping.patience must be at least 1"]),
    (["report.test_items=0"], ["report.test_items must be at least 1"]),
    (["trainer.log_every_n_steps=0"], ["trainer.log_every_n_steps must be at least 1"]),
    (["trainer.check_val_every_n_epoch=0"], ["trainer.check_val_every_n_epoch must be at least 1"]),
    (["trainer.gradient_clip_val=-1"], ["trainer.gradient_clip_val must not be negative"]),
    (["optimizer.warmup_steps=-1"], ["optimizer.warmup_steps must not be negative"]),
    (["optimizer.final=2"], ["optimizer.final must lie in [0, 1]"]),
    (["objective.free_bits=nan"], ["objective.free_bits=nan is not a number"]),
    (["beta_schedule.value=-1"], ["beta -1 at step 0"]),
    (["beta_schedule=linear", "beta_schedule.value=-1"], ["beta -1 at step 1"]),
    (["beta_schedule.value=inf"], ["beta_schedule.value=inf is too large"]),
    (["monitor=val/elboo"], ["monitor=val/elboo is not what validation tells", "did you mean val/elbo?"]),
    (["monitor=psnr"], ["monitor=psnr is not what validation tells", "there are val/active_units, val/bits_per_dim, "]),
    (["latent=point", "latent.dim=2", "monitor=val/kl"], ["monitor=val/kl is not what validation tells"]),
    (["monitor=3"], ["monitor=3 is not a text or null"]),
    (["threads=0"], ["threads must be at least 1"]),
    (["threads=99999999999"], ["threads must be at least 1 and at most "]),
    (["report.every_epochs=often"], ["report.every_epochs"]),
    (["report.every_epochs=0"], ["report.every_epochs must be at least 1, or null"]),
    (["trainer.max_epochs=abc"], ["trainer.max_epochs=abc", "a whole number"]),
    (["trainer.max_epochs=-3"], ["max_epochs"]),
    (["trainer.max_epochs=0"], ["trainer.max_epochs", "no step to take"]),
    (["trainer.accumulate_grad_batches=0"], ["trainer.accumulate_grad_batches", "at least 1"]),
    (["+trainer.val_check_interval=100000"], ["trainer.val_check_interval=100000", "batches; give at most as many"]),
    (["+trainer.gradient_clip_algorithm=foo"], ["gradient_clip_algorithm", "Change that setting"]),
    (["+trainer.callbacks=[]"], ["trainer.callbacks is vaelab's own: leave it out"]),
    (["+trainer.barebones=true"], ["trainer.barebones is vaelab's own: leave it out"]),
    (["+trainer.limit_test_batches=0"], ["trainer.limit_test_batches=0 of 4 batches is none"]),
    (["+trainer.limit_test_batches=0.1"], ["trainer.limit_test_batches=0.1 of 4 batches is none"]),
    (["+trainer.overfit_batches=0.1"], ["trainer.limit_val_batches=0.1 of 4 batches is none"]),
    (["+trainer.val_check_interval=0"], ["trainer.val_check_interval=0 of 125 batches is none"]),
    (["+trainer.val_check_interval=0.001"], ["trainer.val_check_interval=0.001 of 125 batches is none"]),
    (["+trainer.profiler=0.5"], ["trainer.profiler=0.5"]),
    (["architecture.widths.x=[1]"], ["a list has no settings of its own"]),
    (["experiment=digits", "architecture=resnet2d", "architecture.blocks=2147483648"], ["architecture.blocks", "1000"]),
    (["+trainer.max_time=abc"], ["trainer.max_time=abc is no time: give DD:HH:MM:SS"]),
    (["+trainer.max_time=0"], ["trainer.max_time=0 is no time"]),
    (["+trainer.max_time=00:00:00:00"], ["trainer.max_time", "above zero"]),
    (["+trainer.max_time={foo:1}"], ["trainer.max_time", "{hours:1,minutes:30}"]),
    (["+trainer.num_nodes=2"], ["num_nodes=2: vaelab trains on one machine"]),
    (["accelerator.devices=2147483648"], ["accelerator.devices=2147483648", "give at most"]),
    (["accelerator.strategy=ddp_spawn"], ["accelerator.strategy=ddp_spawn", "accelerator=ddp"]),
    (["accelerator.accelerator=tpu"], ["torch_xla", "accelerator=cpu"]),
    (["accelerator.precision=64-true"], ["accelerator.precision=64-true", "32-true, bf16-mixed or 16-mixed"]),
    (["accelerator.precision=bf16-true"], ["accelerator.precision=bf16-true", "32-true"]),
    (["++architecture._partial_=true"], ["there is no setting architecture._partial_"]),
    (["++optimizer._partial_=false"], ["give optimizer._partial_=true"]),
    (["dataset.batch_size=-4"], ["dataset.batch_size", "at least 1"]),
    (["dataset.split=[1,2]"], ["dataset.split", "three"]),
    (["optimizer.lr=-1"], ["optimizer", "learning rate"]),
    (
        [*DIGITS, "architecture=pca_resnet", "likelihood=bernoulli"],
        ["begins at a linear code of items", "likelihood=learned_gaussian"],
    ),
    (["experiment=moons", "variant.steps=2147483648"], ["variant.steps must be at most 10,000"]),
    (["experiment=radio", "architecture.dilations=[0,1]"], ["architecture.dilations must be at least 1"]),
    (["+dataset.crop=1"], ["dataset.crop changes pictures; these are signals"]),
    (["likelihood=bernoulli"], ["likelihood=bernoulli", "likelihood=gaussian"]),
    (["experiment=images"], ["dataset.root", "give dataset.root="]),
    (["experiment=signals"], ["dataset.file", "give dataset.file="]),
    ([*DIGITS, "variant=sine"], ["variant=sine", "variant=vae"]),
    (["variant=image"], ["variant=image", "signal"]),
    (["architecture=conv2d"], ["architecture=conv2d"]),
    ([*DIGITS, "architecture=lstm"], ["architecture=lstm"]),
    (["latent=gaussian", "latent.dim=null"], ["latent.dim"]),
    (["experiment=radio", "latent=circle"], ["latent=circle", "latent.dim=NUMBER"]),
    (["beta_schedule=linear", "beta_schedule.warmup_steps=2"], ["warmup_steps=2", "a run of 1 steps"]),
    (["beta_schedule=capacity", "beta_schedule.value=0"], ["beta_schedule=capacity", "positive value"]),
    (["beta_schedule=capacity", "objective=iwae"], ["objective=iwae", "capacity", "objective=elbo"]),
    (["beta_schedule=capacity", "objective=tcvae"], ["objective=tcvae", "capacity", "objective=elbo"]),
    (["objective=iwae", "objective.k=0"], ["objective.k must be at least 1"]),
    (["objective=tcvae", "latent=point", "latent.dim=2"], ["objective=tcvae", "latent=gaussian"]),
    (["objective.free_bits=-1"], ["objective.free_bits"]),
    (["variant=acgan", "likelihood=gaussian"], ["variant=acgan needs items of two classes", "use variant=gan"]),
    ([*DIGITS, "variant=acgan", "dataset.keep=[3]"], ["variant=acgan needs items of two classes", "only 3"]),
    ([*DIGITS, "variant=masked", "variant.patch=9"], ["variant.patch=9", "larger than an item of 8 x 8"]),
    ([*DIGITS, "variant=masked", "variant.mask=1"], ["variant.mask must lie between 0 and 1"]),
    ([*DIGITS, "variant=wgan_div", "variant.p=0.5"], ["variant.p must be above 1"]),
    (
        [*DIGITS, "variant=gan", "accelerator.strategy=ddp_find_unused_parameters_false"],
        ["accelerator.strategy=ddp_find_unused_parameters_false", "take accelerator.strategy=ddp"],
    ),
    (["latent=3"], ["name of one of its entries"]),
    (["objective=[1,2]"], ["name of one of its entries"]),
    (["objective=[[]]"], ["name of one of its entries"]),
    (["objective={a:1}"], ["objective is a group", "objective.NAME="]),
    (["latent=gaußian("], ["there is no latent=gaußian(: did you mean gaussian?"]),
    (["dataset.waves=("], ["dataset.waves=( is not a whole number"]),
    (["dataset.waves="], ["dataset.waves"]),
    (["dataset.waves=2"], ["at least 3"]),
    (["latent"], ["latent"]),
]


def told(vaelab, tmp_path, words):
    """The complaint about a command whose run directory is then not there."""
    run = tmp_path / "run"
    refused = vaelab.train("trainer.max_steps=1", *words, f"hydra.run.dir={run}", cwd=tmp_path, figures=False)
    assert refused.status == 1, refused.out + refused.err
    line = refused.complaint
    assert not run.exists()
    assert not (tmp_path / "outputs").exists()
    return line


@pytest.mark.parametrize(("words", "parts"), WORDS, ids=lambda value: " ".join(value))
def test_a_wrong_word_is_told_in_one_line(vaelab, tmp_path, words, parts):
    line = told(vaelab, tmp_path, words)
    assert all(part in line for part in parts), line


def test_a_gpu_that_is_not_there_is_told_in_one_line(vaelab, tmp_path):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert "accelerator" in told(vaelab, tmp_path, ["accelerator=gpu"])


def folder(tmp_path):
    made = tmp_path / "mine"
    made.mkdir()
    return made


def test_an_empty_folder_is_told(vaelab, tmp_path):
    mine = folder(tmp_path)
    assert f"{mine} holds no pictures" in told(vaelab, tmp_path, [*IMAGES, f"dataset.root={mine}"])
    assert f"{mine} holds no recordings" in told(vaelab, tmp_path, [*AUDIO, f"dataset.root={mine}"])


def test_a_missing_folder_is_told(vaelab, tmp_path):
    assert "dataset.root" in told(vaelab, tmp_path, [*IMAGES, f"dataset.root={tmp_path}/nothing"])


def test_a_missing_file_is_told(vaelab, tmp_path):
    assert "nothing.csv does not exist" in told(vaelab, tmp_path, [*SIGNALS, f"dataset.file={tmp_path}/nothing.csv"])


def test_a_set_of_one_picture_is_told(vaelab, tmp_path, files):
    mine = folder(tmp_path)
    shutil.copy(next((files / "pictures/dark").iterdir()), mine)
    assert "at least 3" in told(vaelab, tmp_path, [*IMAGES, f"dataset.root={mine}"])


def test_a_silent_recording_alone_is_told(vaelab, tmp_path):
    mine = folder(tmp_path)
    soundfile.write(mine / "quiet.wav", np.zeros(8000), 8000)
    assert "silent" in told(vaelab, tmp_path, [*AUDIO, f"dataset.root={mine}"])


def test_a_ragged_table_is_told(vaelab, tmp_path):
    table = tmp_path / "ragged.csv"
    table.write_text("".join(",".join("1" * k) + "\n" for k in range(2, 12)))
    assert "rows cannot be used" in told(vaelab, tmp_path, [*SIGNALS, f"dataset.file={table}"])


def test_a_table_outside_of_the_support_is_told(vaelab, tmp_path, files):
    words = [*SIGNALS, f"dataset.file={files}/signals.csv", "likelihood=bernoulli"]
    assert "likelihood=bernoulli" in told(vaelab, tmp_path, words)


def test_a_row_with_nan_is_left_out_and_listed(vaelab, tmp_path, words, files):
    rows = (files / "signals.csv").read_text().splitlines()
    rows[4] = ",".join(["nan", *rows[4].split(",")[1:]])
    table = tmp_path / "holes.csv"
    table.write_text("\n".join(rows))
    run = tmp_path / "run"
    done = vaelab.train(*words("signals"), f"dataset.file={table}", f"hydra.run.dir={run}", figures=False).done()
    assert "left out 1" in done.out
    assert "row 5" in done.out
    assert "row 5" in (run / "left_out.txt").read_text()


def test_a_truncated_picture_is_left_out_and_listed(vaelab, tmp_path, words, files):
    from PIL import Image

    mine = shutil.copytree(files / "pictures", tmp_path / "mine")
    whole = tmp_path / "whole.jpg"
    Image.effect_noise((40, 40), 50).save(whole)
    (mine / "cut.jpg").write_bytes(whole.read_bytes()[:300])
    run = tmp_path / "run"
    done = vaelab.train(*words("images"), f"dataset.root={mine}", f"hydra.run.dir={run}", figures=False).done()
    assert "cut.jpg" in done.out
    assert "cut.jpg" in (run / "left_out.txt").read_text()


def test_a_taken_run_directory_is_refused_and_untouched(vaelab, trained, words):
    run, _ = trained("sine")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    refused = vaelab.train(*words("sine"), f"hydra.run.dir={run}")
    assert refused.status == 1
    assert "already holds a run" in refused.complaint
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_a_run_directory_that_cannot_be_written_is_told(vaelab, tmp_path):
    (tmp_path / "file").write_text("")
    refused = vaelab.train("dataset.waves=200", f"hydra.run.dir={tmp_path}/file/run")
    assert refused.status == 1
    assert "file" in refused.complaint


# Sampling ---------------------------------------------------------------------------------------------------------


def asked(vaelab, tmp_path, *words):
    refused = vaelab.sample(*words, f"out={tmp_path}/out", cwd=tmp_path)
    assert refused.status == 1, refused.out + refused.err
    assert not (tmp_path / "out").exists()
    return refused.complaint


def test_a_run_that_is_not_there_is_told(vaelab, tmp_path):
    assert "there is no run missing" in asked(vaelab, tmp_path, "run=missing")
    assert "run has no value" in asked(vaelab, tmp_path)


def test_a_text_file_is_no_checkpoint(vaelab, tmp_path):
    (tmp_path / "text.ckpt").write_text("hello")
    assert "cannot be read as a checkpoint" in asked(vaelab, tmp_path, f"run={tmp_path}/text.ckpt")


def test_an_empty_folder_is_no_run(vaelab, tmp_path):
    assert "holds no checkpoint" in asked(vaelab, tmp_path, f"run={tmp_path}")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["task=priors"], ["task=priors", "did you mean prior?"]),
        (["task.m=3"], ["task.m", "task.n"]),
        (["task.n=many"], ["task.n=many", "a whole number"]),
        (["task.n=0"], ["task.n", "at least 1"]),
        (["task.density=flat"], ["task.density=flat", "gmm"]),
        (["task=denoise", "task.file=x.csv"], ["task=denoise needs a clean partner", "variant=sine"]),
        (["task=inpaint", "task.file=x.csv"], ["task=inpaint needs a way to fill what is missing", "variant=sine"]),
        (["task.label=[3]"], ["task.label needs classes that items are made of", "leave it null"]),
        (["task.label=3"], ["task.label=3 is not a list"]),
        (["task=interpolate", "task.files=[a.csv]"], ["two"]),
        (["task=interpolate", "task.files=[a.csv,b.csv]"], ["a.csv does not exist"]),
        (["task=interpolate", "task.between=[0,99999]"], ["test items"]),
        (["task=interpolate", "task.path=curve"], ["task.path=curve", "slerp"]),
        (["task=reconstruct", "task.split=all"], ["task.split=all", "test"]),
        (["task=reconstruct", "task.n=0"], ["task.n", "at least 1"]),
        (["device=tpu"], ["device", "tpu"]),
        (["+foo=1"], ["foo"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_a_wrong_request_is_told_in_one_line(vaelab, trained, tmp_path, words, parts):
    line = asked(vaelab, tmp_path, f"run={trained('sine')[0]}", *words)
    assert all(part in line for part in parts), line


def test_a_point_latent_has_no_prior_to_sample(vaelab, trained, tmp_path):
    assert "task.density=gmm" in asked(vaelab, tmp_path, f"run={trained('radio')[0]}")


def test_a_missing_trace_is_told(vaelab, trained, tmp_path):
    run = f"run={trained('radio')[0]}"
    assert "task.file" in asked(vaelab, tmp_path, run, "task=denoise")
    assert "no.csv does not exist" in asked(vaelab, tmp_path, run, "task=denoise", "task.file=no.csv")


# A full disk ------------------------------------------------------------------------------------------------------

ON_A_FULL_DISK = """
import resource, sys
from vaelab.{door} import main
sys.argv = ["vaelab-{door}", *sys.argv[2:]]
resource.setrlimit(resource.RLIMIT_FSIZE, (int({size}), resource.RLIM_INFINITY))
main()
"""


def whole_files(folder):
    """Opens every file that was left, as its ending says."""
    from PIL import Image

    for path in folder.rglob("*.*"):
        if path.suffix == ".npy":
            np.load(path)
        elif path.suffix == ".wav":
            soundfile.read(path)
        elif path.suffix in (".png", ".gif"):
            Image.open(path).load()
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("experiment", "task", "size"),
    [
        ("sine", ["task=prior", "task.n=64"], 4000),
        ("sine", ["task=reconstruct", "task.n=20"], 3000),
        ("sine", ["task=embed"], 5000),
        ("sine", ["task=stream", "task.n=1000", "task.to=[npy,wav]"], 20_000),
        ("digits", ["task=traverse"], 30_000),
        ("audio", ["task=prior", "task.n=2"], 4000),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else str(value),
)
def test_a_disk_that_fills_while_sampling_is_told_and_leaves_nothing_in_parts(
    vaelab, trained, tmp_path, experiment, task, size
):
    code = ON_A_FULL_DISK.format(door="sample", size=size)
    words = [f"run={trained(experiment)[0]}", f"out={tmp_path}/out", "threads=1", *task]
    done = vaelab.process("-c", code, "-", *words, cwd=tmp_path)
    assert done.status == 1
    assert f"{tmp_path}/out/" in done.complaint and "free some space or choose another folder" in done.complaint
    assert not [name for name in whole_files(tmp_path) if "part" in name]
