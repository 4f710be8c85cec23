"""Names that a user may give to folders, files and classes, typed and told as they are."""

import os
import shlex
import shutil

import numpy as np
import pytest
from PIL import Image

CLASSES = ["[bold]", "[old]", "$x", "_new", ":x:"]
WHERE = "Möbius & Söhne, (1) it's = 100 %"


@pytest.fixture(scope="module")
def named(vaelab, tmp_path_factory):
    """A run of pictures whose every name is odd: its folder, its directory and what was told."""
    folder = tmp_path_factory.mktemp("names") / WHERE
    rng = np.random.default_rng(0)
    for k in range(20):
        file = folder / "pictures" / CLASSES[k % len(CLASSES)] / f"$a_{k}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (16, 16, 3), np.uint8)).save(file)
    words = [
        "experiment=images",
        "dataset.size=16",
        "dataset.batch_size=8",
        "architecture.width=4",
        "latent.dim=4",
    ]
    told = vaelab.train(
        *words, "trainer.max_epochs=1", f"dataset.root={folder}/pictures", f"hydra.run.dir={folder}/run", cwd=folder
    ).done()
    return folder, folder / "run", told


def test_classes_are_told_and_drawn_by_their_names(named):
    _, run, told = named
    assert all(name in told.out for name in CLASSES)
    assert (run / "figures/latent.png").is_file()


def test_what_is_told_at_the_end_can_be_pasted(vaelab, named, tmp_path):
    _, run, told = named
    (hint,) = [line for line in told.out.splitlines() if line.startswith("sample ")]
    _, door, word = shlex.split(hint)
    assert door == "vaelab-sample"
    done = vaelab.sample(word, "task.n=4", cwd=tmp_path).done()
    assert f"{run}/samples/prior_" in done.out


def test_a_run_of_an_odd_name_goes_on_and_answers_every_task(vaelab, named, tmp_path):
    folder, run, _ = named
    copied = shutil.copytree(run, folder / "again")
    vaelab.train(f"resume={copied}", "trainer.max_epochs=2", figures=False).done()
    out = folder / "out, one"
    first, second = sorted((folder / "pictures").rglob("*.png"))[:2]
    for number, words in enumerate((["task=embed"], ["task=score"], ["task=traverse"])):
        vaelab.sample(f"run={copied}", f"out={out} {number}", *words).done()
    labels = [row.split(",")[1] for row in (folder / "out, one 0/codes.csv").read_text().splitlines()[1:]]
    assert labels and set(labels) <= set(CLASSES)
    shutil.copy(first, tmp_path / "ü 1.png")
    shutil.copy(second, tmp_path / "(2).png")
    between = "task.files=[ü 1.png,(2).png]"
    vaelab.sample(f"run={copied}", "task=interpolate", between, f"out={out} 3", cwd=tmp_path).done()


def test_a_sweep_into_an_odd_folder_goes_on_as_it_says(vaelab, words, tmp_path):
    own = ["-m", *words("sine"), "trainer.max_steps=1", "latent.dim=1,-1"]
    told = vaelab.train(*own, f"hydra.sweep.dir={tmp_path}/{WHERE}", figures=False)
    assert told.status == 1 and (tmp_path / WHERE / "0/metrics.json").is_file()
    (hint,) = [line for line in told.out.splitlines() if line.startswith("go on")]
    again = vaelab.train(*own, shlex.split(hint)[-1], figures=False)
    assert f"done before: {tmp_path}/{WHERE}/0" in again.out


def test_home_is_found_in_every_path(vaelab, trained, files, tmp_path):
    run = shutil.copytree(trained("signals")[0], tmp_path / "run")
    home = {"HOME": str(tmp_path)}
    vaelab.sample("run=~/run", "out=~/out", **home).done()
    assert (tmp_path / "out/samples.npy").is_file()
    shutil.copy(files / "signals.csv", tmp_path)
    more = ["trainer.max_epochs=3", "+dataset.file=~/signals.csv"]
    vaelab.train("resume=~/run", *more, figures=False, **home).done()
    assert str(tmp_path / "signals.csv") in (run / "config.yaml").read_text()
    assert not (tmp_path / "~").exists()


@pytest.mark.parametrize("where", ["classes", "folder"])
def test_names_that_are_no_text_do_no_harm(vaelab, named, tmp_path, where):
    root = shutil.copytree(named[0] / "pictures", tmp_path / os.fsdecode(b"p\xff" if where == "folder" else b"p"))
    if where == "classes":
        (root / "_new").rename(root / os.fsdecode(b"n\xe9w"))
    words = ["experiment=images", "dataset.size=16", "dataset.batch_size=8", "architecture.width=4", "latent.dim=2"]
    own = ["trainer.max_epochs=1", f"dataset.root={root}", f"hydra.run.dir={tmp_path}/run"]
    vaelab.train(*words, *own).done()
    for task in ("embed", "score"):
        vaelab.sample(f"run={tmp_path}/run", f"task={task}").done()
