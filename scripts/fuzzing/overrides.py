"""Odd words on the command lines of `vaelab-train`, up to the end of a run of one step, and of `vaelab-sample`.

Every experiment is tried, with settings of its groups and of Lightning's trainer, other entries of the groups, and
Hydra's own options. What is done must leave finite numbers behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

from fuzzing import _doors
from fuzzing._kind import Input, Kind, Reading, Rng, pick, some
from fuzzing.checkpoints import TARGETS
from fuzzing.pictures import scene
from fuzzing.sound import RATE, tone

# With names of files below the folder that `prepare` fills.
EXPERIMENTS = {
    "sine": _doors.SINE,
    "signals": ["experiment=signals", "dataset.file=FILES/signals.csv", "architecture.widths=[8]", "latent.dim=2"],
    "denoise": ["experiment=denoise", "dataset.file=FILES/signals.csv", "architecture.widths=[8,8]"],
    "digits": ["experiment=digits", "architecture.widths=[8]", "latent.dim=2", "report.test_items=40"],
    "mixture": ["experiment=mixture", "dataset.points=300", "architecture.widths=[8]"],
    "moons": ["experiment=moons", "dataset.points=300", "architecture.widths=[8]"],
    "radio": [
        *("experiment=radio", "dataset.traces=40", "dataset.samples=64", "architecture.widths=[8,8]"),
        *("dataset.split=[0.8,0.1,0.1]", "optimizer.warmup_steps=1"),
    ],
    "channel": ["experiment=channel", "dataset.channels=60", "dataset.taps=16", "architecture.widths=[8]"],
    "sprites": [
        "experiment=sprites",
        "dataset.items=60",
        "dataset.size=16",
        "architecture.widths=[2,4]",
        "latent.dim=4",
    ],
    "images": [
        "experiment=images",
        "dataset.root=FILES/pictures",
        "dataset.size=16",
        "architecture.width=4",
        "latent.dim=2",
    ],
    "audio": [
        *("experiment=audio", "dataset=audio_folder", "dataset.root=FILES/recordings", "dataset.chunk_seconds=0.25"),
        *("dataset.codec.n_fft=128", "dataset.codec.hop_length=64", "architecture.width=4", "latent.dim=2"),
    ],
}
# Of these a small run is trained, to be sampled from.
SAMPLED = ("sine", "digits", "denoise")
WHOLE = ("0", "-1", "1", "2", "3", "5", "2147483648", "9223372036854775807", "99999999999999999999", "4096", "-0")
REAL = (
    *("0", "-1", "0.5", "-0.5", "1.5", "1", "1e30", "-1e30", "1e-30", "1e38", "1e-45", "1e6", "inf", "-inf", "nan"),
    *("2147483648", "1e300", "-1e-30"),
)
LISTS = (
    *("[]", "[0]", "[-1]", "[1,2]", "[1,1,1000000]", "[0,0,0]", "[1000000]", "[0.1,0.8,0.1]", "[nan,1,1]", "[[1]]"),
    *("[null]", "[true]", "[64,64]", "[3,1000]", "[a,b]", "[1,1,1,1,1,1,1,1]", "[inf,0]", "[0.98,0.01,0.01]", "[2,1]"),
)
TEXTS = (
    *("''", "abc", "[/b]", "auto", "${seed}", "${nowhere}", "${oc.env:HOME}", "é", "'a b'", "~", ".", "a.b", "1,2"),
    *("null", "true", "false", "{}", "{a:1}", "0x10", "1_000", "'1'", "08"),
)
PLAIN = (*WHOLE, *REAL, *LISTS, *TEXTS)
TRAINER = (
    *("limit_train_batches", "limit_val_batches", "limit_test_batches", "limit_predict_batches", "overfit_batches"),
    *("val_check_interval", "fast_dev_run", "precision", "num_nodes", "detect_anomaly", "max_time", "min_epochs"),
    *("min_steps", "deterministic", "benchmark", "inference_mode", "sync_batchnorm", "profiler", "barebones"),
    *("gradient_clip_algorithm", "reload_dataloaders_every_n_epochs", "num_sanity_val_steps", "enable_progress_bar"),
    *("enable_checkpointing", "enable_model_summary", "use_distributed_sampler", "plugins", "callbacks", "logger"),
    *("default_root_dir", "accelerator", "devices", "strategy", "model_registry", "nonsense", "max_epochs"),
)
# Values that some settings take, at their borders.
TAKEN = {
    "precision": ("64-true", "bf16-true", "bf16-mixed", "16-mixed", "16-true", "32", "64"),
    "strategy": ("ddp", "fsdp", "ddp_spawn", "dp", "deepspeed", "single_device"),
    "accelerator": ("gpu", "cuda", "tpu", "mps", "cpu"),
    "density": ("gmm", "posterior", "prior"),
    "split": ("train", "val", "test", "all"),
    "to": ("[npy]", "[wav]", "[gif]", "[mp4]", "[stdout]", "stdout"),
    "file": ("FILES/signals.csv", "FILES/pictures", "FILES/empty.csv", "FILES/header.csv", "nowhere.csv", "/dev/null"),
    "files": ("[FILES/signals.csv,FILES/signals.csv]", "[a,b]", "[FILES/empty.csv]"),
    "root": ("FILES/pictures", "FILES/recordings", "FILES", "nowhere", "/dev/null", "FILES/signals.csv"),
    "keep": ("[a]", "[0]", "[a,b]", "[0,1,2,3,4,5,6,7,8,9]"),
    "label": ("-1", "0", "a", "99"),
    # Larger pictures are made, and larger layers trained, in minutes, which is no hang; further processes would run
    # this very program.
    "size": ("0", "-1", "1", "2", "3", "5", "17", "2147483648", "1.5", "abc"),
    "widths": ("[]", "[0]", "[-1]", "[1]", "[1,2]", "[64,64]", "[[1]]", "[a,b]", "[0.5]", "[1,1,1,1,1,1,1,1]", "8"),
    "devices": ("0", "-1", "1", "auto", "[0]", "[]", "2147483648", "99999999999999999999", "1.5", "abc", "''"),
}
HEAVY = ("size", "widths", "devices")
# What is another kind's, or none of the data's.
LEFT_ALONE = ("resume", "trust")
OPTIONS = (
    *(["--resolve"], ["--cfg", "job"], ["--cfg", "all"], ["--info", "defaults"], ["--info", "nonsense"], ["--help"]),
    *(["--cfg", "job", "--resolve"], ["--package", "_global_"], ["--hydra-help"], ["--version"], ["--nonsense"]),
    *(["--experimental-rerun", "/nowhere"], ["--shell-completion"], ["--cfg"], ["--config-dir", "nowhere"]),
    *(["--config-name", "nowhere"], ["-m"], ["--multirun", "seed=0,1"], ["-sc", "install=bash"]),
)


def prepare(folder: Path) -> None:
    """Files such as a user has, and small runs."""
    rng = np.random.default_rng(0)
    phase = 2 * np.pi * (np.arange(16) / 16 + rng.random((40, 1)))
    np.savetxt(folder / "signals.csv", np.sin(phase) + rng.normal(0, 0.1, (40, 16)), delimiter=",")
    (folder / "empty.csv").write_text("")
    (folder / "header.csv").write_text("a,b,c\n")
    for k in range(12):
        picture, recording = (folder / name / "ab"[k % 2] for name in ("pictures", "recordings"))
        for made in (picture, recording):
            made.mkdir(parents=True, exist_ok=True)
        Image.fromarray(scene(k)).save(picture / f"{k}.png")
        soundfile.write(recording / f"{k}.wav", tone(k, 0.5), RATE)
    for name in SAMPLED:
        plain = "latent=gaussian" if name == "sine" else ""
        further = [word for word in (plain, "latent.dim=2" if plain else "") if word]
        _doors.door(
            "train",
            *placed(EXPERIMENTS[name], folder),
            *_doors.QUIET,
            *further,
            "trainer.max_epochs=1",
            f"hydra.run.dir={folder}/{name}",
        )


def placed(words: Sequence[str], ready: Path) -> list[str]:
    """The words, with files below that folder."""
    return [word.replace("FILES", str(ready)) for word in words]


def make(rng: Rng, folder: Path, ready: Path) -> Input:
    """A command line of one of the doors."""
    return sampling(rng, folder, ready) if rng.random() < 0.3 else training(rng, folder, ready)


# Training ---------------------------------------------------------------------------------------------------------


def training(rng: Rng, folder: Path, ready: Path) -> Input:
    """An experiment with one to three odd words, for one step."""
    name = pick(rng, list(EXPERIMENTS))
    base = [*placed(EXPERIMENTS[name], ready), "accelerator=cpu", "threads=1", "report.figures=false"]
    base += ["trainer.max_epochs=1", "trainer.max_steps=1", f"hydra.run.dir={folder}/run"]
    odd = [pick(rng, WORDS)(rng, name) for _ in range(pick(rng, (1, 1, 1, 2, 3)))]
    options = pick(rng, OPTIONS) if rng.random() < 0.03 else []
    odd = placed(odd, ready)
    # One of the two ends it, whatever the other says.
    if any("max_steps" in word for word in odd):
        odd = [word for word in odd if "max_epochs" not in word]
    return Input(
        " ".join([name, *odd, *options]), lambda: trained(folder / "run", [*base, *odd, *options]), left_behind
    )


def trained(run: Path, words: Sequence[str]) -> Reading:
    """Train."""
    _doors.door("train", *words)
    return Reading(folder=run)


def left_behind(reading: Reading) -> str:
    """That what was written are numbers."""
    return _doors.not_finite(reading.folder) if reading.folder and reading.folder.is_dir() else ""


def a_setting(rng: Rng, name: str) -> str:
    """One of the experiment's settings becomes odd."""
    # What is no group nor a class: these are refused before anything is done with them.
    inner = [key for key, now in settings(name).items() if not isinstance(now, dict) and not key.endswith("_")]
    key = pick(rng, inner if rng.random() < 0.9 else list(settings(name)))
    return f"{key}={value(rng, key, settings(name)[key])}"


def of_the_trainer(rng: Rng, name: str) -> str:
    """One of Lightning's settings."""
    key = pick(rng, TRAINER)
    return f"{pick(rng, ('++', '++', '+', ''))}trainer.{key}={value(rng, key, None)}"


def a_group(rng: Rng, name: str) -> str:
    """Another entry of a group, or none of its entries."""
    group = pick(rng, list(groups()))
    entry = pick(rng, groups()[group]) if rng.random() < 0.85 else pick(rng, ("nonsense", "", "null", "1", "[a]", "{}"))
    # What would be downloaded, or wait for other devices.
    return f"{group}={entry}" if entry not in ("mnist", "fashion_mnist", "gpu", "auto", "ddp") else f"{group}=nonsense"


def nonsense(rng: Rng, name: str) -> str:
    """Words that the command line's grammar, or the configuration, has not."""
    key, odd = pick(rng, list(settings(name))), pick(rng, PLAIN)
    own = (
        f"+{key}={odd}",
        f"~{key}",
        key,
        f"={odd}",
        f"{key}.x={odd}",
        f"+{key}.x={odd}",
        f"{key}x={odd}",
        f"{key}={odd}=",
    )
    return pick(rng, (*own, f"~{key}={odd}", "", " ", "a b", "(", "é=1", "+a@b=c", "hydra=1", "hydra.job.name=[/b]"))


WORDS = (*(a_setting,) * 7, of_the_trainer, of_the_trainer, a_group, nonsense)


def value(rng: Rng, key: str, now: object) -> str:
    """An odd value of the type that a setting has now, one that settings of this name take, or any."""
    name = key.rpartition(".")[2]
    if name in HEAVY or (name in TAKEN and rng.random() < 0.7):
        return pick(rng, TAKEN[name])
    if name == "_target_":
        return pick(rng, TARGETS) or "''"
    fitting = {int: WHOLE, float: REAL, list: LISTS, type(None): (*WHOLE, *REAL), bool: ("true", "false")}.get(
        type(now), PLAIN
    )
    word = pick(rng, fitting if rng.random() < 0.85 else PLAIN)
    # No folder of the machine's own is walked through.
    return "nowhere" if name == "root" and word in ("~", ".", "''") else word


@cache
def settings(name: str) -> dict[str, object]:
    """Every key of an experiment's configuration, groups too, and its value."""
    whole = plain(_doors.composed(*EXPERIMENTS[name]))
    return {key: value for key, value in flat(whole).items() if key not in LEFT_ALONE}


def plain(config: object) -> dict[str, object]:
    """A configuration as a mapping."""
    from omegaconf import OmegaConf

    found = OmegaConf.to_container(config)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


def flat(node: dict[str, object], prefix: str = "") -> dict[str, object]:
    """The settings of a nested mapping, with dots in their names."""
    found: dict[str, object] = {}
    for key, value in node.items():
        found[f"{prefix}{key}"] = value
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key}.")
    return found


@cache
def groups() -> dict[str, list[str]]:
    """The groups of the configuration and their entries."""
    from vaelab.config import config_dir

    folders = [folder for folder in sorted(config_dir().iterdir()) if folder.is_dir() and folder.name != "task"]
    return {folder.name: sorted(path.stem for path in folder.glob("*.yaml")) for folder in folders}


# Sampling ---------------------------------------------------------------------------------------------------------


def sampling(rng: Rng, folder: Path, ready: Path) -> Input:
    """A task of a small run, with one or two odd settings."""
    import yaml

    from vaelab.config import config_dir

    run = pick(rng, SAMPLED)
    task = pick(rng, sorted(path.stem for path in (config_dir() / "task").glob("*.yaml")))
    known = yaml.safe_load((config_dir() / "task" / f"{task}.yaml").read_text())
    # Few items, unless it is that which is odd.
    small = {"stream": ["task.n=5", "task.to=[npy]"], "likelihood": ["task.k=3"], "manifold": ["task.n=3"]}.get(
        task, []
    )
    odd = []
    for key in some(rng, [key for key in known if key != "_target_" or rng.random() < 0.1], 2):
        word = value(rng, key, known[key])
        # A stream without an end has none.
        odd.append(f"task.{key}={'0' if task == 'stream' and key == 'n' and word == 'null' else word}")
    odd += [f"{pick(rng, ('device', 'threads', 'out'))}={pick(rng, PLAIN)}"] if rng.random() < 0.1 else []
    words = [f"run={ready / run}", f"task={task}", f"out={folder}/out", *small, *placed(odd, ready)]
    return Input(" ".join(["sample", run, task, *odd]), lambda: sampled(folder / "out", words), left_behind)


def sampled(out: Path, words: Sequence[str]) -> Reading:
    """Sample."""
    _doors.door("sample", *words)
    return Reading(folder=out)


def warm() -> None:
    """Compose every experiment: what settings there are."""
    for name in EXPERIMENTS:
        settings(name)
    groups()


KIND = Kind(make, _doors.HEAVY, warm, prepare)
