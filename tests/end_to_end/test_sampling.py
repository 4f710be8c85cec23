"""What a trained run gives when it is asked, in files that a user can open."""

import shutil

import numpy as np
import pytest
import soundfile
from PIL import Image

KINDS = {"sine": (1, 32), "digits": (1, 8, 8), "images": (3, 16, 16), "audio": (1, 2000)}


def names(folder):
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("experiment", KINDS)
def test_the_prior_gives_arrays_a_picture_and_sound(vaelab, trained, tmp_path, experiment):
    run, _ = trained(experiment)
    vaelab.sample(f"run={run}", "task.n=3", f"out={tmp_path}").done()
    sounds = {f"sample_{k:03d}.wav" for k in range(3)} if experiment == "audio" else set()
    assert names(tmp_path) == {"samples.npy", "codes.npy", "samples.png"} | sounds
    samples = np.load(tmp_path / "samples.npy")
    assert samples.shape == (3, *KINDS[experiment])
    assert np.isfinite(samples).all()
    assert (samples.dtype == np.uint8) == (experiment in ("digits", "images"))
    for name in sounds:
        wave, rate = soundfile.read(tmp_path / name)
        assert (len(wave), rate) == (2000, 8000)
        assert 0 < np.abs(wave).max() <= 1


@pytest.mark.parametrize("experiment", ["sine", "images", "audio", "radio"])
def test_reconstructions_stand_beside_their_originals(vaelab, trained, tmp_path, experiment):
    run, _ = trained(experiment)
    vaelab.sample(f"run={run}", "task=reconstruct", "task.n=2", f"out={tmp_path}").done()
    assert {"originals.npy", "reconstructions.npy"} <= names(tmp_path)
    original, made = (np.load(tmp_path / f"{name}.npy") for name in ("originals", "reconstructions"))
    assert original.shape == made.shape
    assert len(original) == 2
    assert any(path.suffix == ".png" for path in tmp_path.iterdir())
    if experiment == "audio":
        assert {"original_001.wav", "reconstruction_001.wav"} <= names(tmp_path)


@pytest.mark.parametrize(
    ("experiment", "path"),
    [("sine", "lerp"), ("sine", "slerp"), ("digits", "slerp"), ("audio", "lerp"), ("signals", "slerp")],
)
def test_an_interpolation_goes_from_one_test_item_to_another(vaelab, trained, tmp_path, experiment, path):
    run, _ = trained(experiment)
    vaelab.sample(f"run={run}", "task=interpolate", "task.n=4", f"task.path={path}", f"out={tmp_path}").done()
    assert {"path.npy", "path.png"} <= names(tmp_path)
    assert len(np.load(tmp_path / "path.npy")) == 4
    assert (tmp_path / "path_003.wav").is_file() == (experiment == "audio")


@pytest.mark.parametrize("density", ["gmm", "posterior"])
def test_other_densities_need_the_data_and_find_them(vaelab, trained, tmp_path, density):
    for experiment in ("radio", "digits"):
        run, out = trained(experiment)[0], tmp_path / experiment
        vaelab.sample(f"run={run}", "task.n=2", f"task.density={density}", f"out={out}").done()
        assert len(np.load(out / "samples.npy")) == 2


def test_the_same_seed_gives_the_same_samples_and_another_others(vaelab, trained, tmp_path):
    run, _ = trained("sine")
    for name, words in {"a": [], "b": [], "c": ["task.seed=1"], "d": ["task.noise=true"]}.items():
        vaelab.sample(f"run={run}", *words, f"out={tmp_path / name}").done()
    a, b, c, d = (np.load(tmp_path / name / "samples.npy") for name in "abcd")
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)
    assert not np.array_equal(a, d)


def test_a_run_directory_gets_its_samples_where_none_are_asked_for(vaelab, trained, tmp_path):
    run = shutil.copytree(trained("sine")[0], tmp_path / "run", ignore=shutil.ignore_patterns("samples"))
    vaelab.sample(f"run={run}", "task.n=1", cwd=tmp_path).done()
    assert names(next((run / "samples").glob("prior_*"))) == {"samples.npy", "codes.npy", "samples.png"}
    assert names(tmp_path) == {"run"}


def test_samples_of_the_same_second_lie_beside_one_another(vaelab, trained, tmp_path):
    run = shutil.copytree(trained("sine")[0], tmp_path / "run", ignore=shutil.ignore_patterns("samples"))
    vaelab.sample("-m", f"run={run}", "task.n=1", "task.seed=0,1,2", cwd=tmp_path).done()
    made = sorted((run / "samples").iterdir())
    assert len({np.load(folder / "samples.npy").tobytes() for folder in made}) == 3
    # What was asked is written down, once for all.
    assert [len(list(folder.rglob("*"))) for folder in (tmp_path / "outputs/sample").iterdir()] == [1]


def test_a_sweep_of_samples_has_a_folder_for_each(vaelab, trained, tmp_path):
    run, _ = trained("sine")
    vaelab.sample("-m", f"run={run}", "task.n=1", "task.seed=0,1", f"out={tmp_path}/out", cwd=tmp_path).done()
    assert names(tmp_path / "out") == {"0", "1"}
    assert names(tmp_path / "out/1") == {"samples.npy", "codes.npy", "samples.png"}


def test_a_lone_checkpoint_without_its_data_is_enough(vaelab, words, files, tmp_path):
    mine, alone = shutil.copytree(files / "pictures", tmp_path / "mine"), tmp_path / "alone"
    run = tmp_path / "run"
    vaelab.train(*words("images"), f"dataset.root={mine}", f"hydra.run.dir={run}", figures=False).done()
    alone.mkdir()
    shutil.copy(run / "checkpoints" / "best.ckpt", alone / "mine.ckpt")
    shutil.rmtree(mine)
    shutil.rmtree(run)
    vaelab.sample("run=mine.ckpt", "task.n=2", "out=out", cwd=alone).done()
    assert np.load(alone / "out/samples.npy").shape == (2, 3, 16, 16)
    two = [next((files / "pictures" / name).iterdir()) for name in ("dark", "bright")]
    vaelab.sample(
        "run=mine.ckpt", "task=interpolate", f"task.files=[{two[0]},{two[1]}]", "task.n=3", "out=way", cwd=alone
    ).done()
    path = np.load(alone / "way/path.npy")
    assert path.shape == (3, 3, 16, 16)
    refused = vaelab.sample("run=mine.ckpt", "task=reconstruct", "out=no", cwd=alone)
    assert refused.status == 1
    assert "mine" in refused.complaint


def test_two_pictures_of_other_sizes_are_the_ends_of_a_way(vaelab, trained, tmp_path):
    for name, size, colour in (("a", (40, 30), "red"), ("b", (9, 50), "blue")):
        Image.new("RGB", size, colour).save(tmp_path / f"{name}.png")
    words = ["task=interpolate", "task.files=[a.png,b.png]", "task.n=3", "out=way"]
    vaelab.sample(f"run={trained('images')[0]}", *words, cwd=tmp_path).done()
    assert np.load(tmp_path / "way/path.npy").shape == (3, 3, 16, 16)


def test_two_recordings_are_the_ends_of_a_way(vaelab, trained, files, tmp_path):
    two = f"task.files=[{files}/recordings/tone_0.wav,{files}/recordings/tone_1.wav]"
    run = f"run={trained('audio')[0]}"
    vaelab.sample(run, "task=interpolate", two, "task.n=3", f"out={tmp_path}").done()
    assert {"path.npy", "path.png", "path_000.wav", "path_002.wav"} <= names(tmp_path)


def test_two_tables_are_the_ends_of_a_way(vaelab, trained, files, tmp_path):
    two = f"task.files=[{files}/one.csv,{files}/two.csv]"
    vaelab.sample(f"run={trained('signals')[0]}", "task=interpolate", two, "task.n=3", f"out={tmp_path}").done()
    assert np.load(tmp_path / "path.npy").shape == (3, 1, 32)


@pytest.mark.parametrize(("length", "suffix"), [(50, "csv"), (128, "npy"), (129, "wav"), (1000, "csv"), (300, "npy")])
def test_a_trace_of_any_length_comes_back_clean_in_its_own_format(vaelab, trained, tmp_path, length, suffix):
    trace = np.random.default_rng(length).normal(0, 0.1, length).astype(np.float32)
    file = tmp_path / f"mine.{suffix}"
    if suffix == "csv":
        np.savetxt(file, trace[None], delimiter=",")
    elif suffix == "npy":
        np.save(file, trace)
    else:
        soundfile.write(file, trace, 180_000, subtype="FLOAT")
    out = tmp_path / "out"
    vaelab.sample(f"run={trained('radio')[0]}", "task=denoise", f"task.file={file}", f"out={out}").done()
    assert names(out) == {f"mine_recovered.{suffix}", "recovered.png"}
    made = out / f"mine_recovered.{suffix}"
    read = {"csv": lambda: np.loadtxt(made, delimiter=","), "npy": lambda: np.load(made)}
    recovered = read.get(suffix, lambda: soundfile.read(made)[0])()
    assert recovered.size == length
    assert np.isfinite(recovered).all()
