"""Runs to go on with whose files are damaged, odd, gone, or another sort of thing.

What a run goes on with may be refused. Where only what it tells (its metrics, its provenance, its tables) is damaged,
and it goes on, it must come to the numbers that it comes to otherwise.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from fuzzing import _doors
from fuzzing._bytes import damaged
from fuzzing._kind import Input, Kind, Reading, Rng, pick
from fuzzing.checkpoints import CHANGES, LAUGHS, TEXTS, dumped, odd, setting, told

WORDS = [*_doors.SINE, *_doors.QUIET]
FURTHER = ["trainer.max_epochs=2"]
TOLD = ("provenance.json", "metrics.json", "left_out.txt", "failed.json")
MORE = (
    "trainer.max_steps=3",
    "report.every_epochs=1",
    "threads=2",
    "trainer.max_epochs=1",
    "+early_stopping.patience=1",
)
JSONS = (
    *("", "{", "[]", "null", '""', "{}", "1e999", "NaN", "[" * 100_000, '{"overrides": 3}', '{"overrides": null}', "0"),
    *('{"overrides": [1]}', '{"overrides": ["a=b"]}', '{"elbo": NaN}', '{"elbo": "a"}', "\0\0\0\0", "\ufeff{}", "'"),
)


def prepare(folder: Path) -> None:
    """A run of one epoch, and the numbers that it comes to after another."""
    _doors.door("train", *WORDS, "trainer.max_epochs=1", f"hydra.run.dir={folder}/run")
    shutil.copytree(folder / "run", folder / "further")
    _doors.door("train", f"resume={folder}/further", *FURTHER)


def make(rng: Rng, folder: Path, ready: Path) -> Input:
    """A run with one or two of its files changed, and the command that goes on with it."""
    run = folder / "run"
    shutil.copytree(ready / "run", run)
    # Two of different files, or the second would find what the first has left of it.
    changes = [told_file] if rng.random() < 0.2 else []
    changes.append(pick(rng, CHANGERS if not changes else CHANGERS[2:-1]))
    words = [change(rng, run) for change in changes]
    more = [pick(rng, MORE)] if rng.random() < 0.15 else []
    expected = ready / "further" if not more and all(word.startswith(TOLD) for word in words) else None
    act = partial(resumed, run, [*FURTHER, *more] if not any("max_epochs" in word for word in more) else more)
    return Input("; ".join([*words, *more]), act, lambda reading: wrong(run, expected))


def resumed(run: Path, words: Sequence[str]) -> Reading:
    """Go on with it."""
    _doors.door("train", f"resume={run}", *words)
    return Reading(folder=run)


def wrong(run: Path, expected: Path | None) -> str:
    """What must not have come of it."""
    if not (run / "metrics.json").is_file():
        return "it ended without metrics.json"
    return _doors.not_finite(run) or (
        _doors.differing(_doors.measures(run), _doors.measures(expected)) if expected else ""
    )


def told_file(rng: Rng, run: Path) -> str:
    """A file in which the run tells something holds something odd."""
    name = pick(rng, TOLD)
    return f"{name}: {replaced(rng, run / name, JSONS)}"


def config_file(rng: Rng, run: Path) -> str:
    """The configuration is damaged, or no configuration."""
    return f"config.yaml: {replaced(rng, run / 'config.yaml', (*TEXTS, LAUGHS))}"


def config_value(rng: Rng, run: Path) -> str:
    """Some settings of the configuration became odd, went, or came."""
    from omegaconf import OmegaConf

    config: Any = OmegaConf.to_container(OmegaConf.load(run / "config.yaml"))
    changed = [setting(rng, config) for _ in range(int(rng.integers(1, 3)))]
    (run / "config.yaml").write_text(dumped(config))
    return f"config.yaml: {', '.join(changed)}"[:150]


def replaced(rng: Rng, path: Path, texts: Sequence[str]) -> str:
    """Let a file hold one of the texts, be damaged, or be no such file; and how."""
    how = pick(rng, ("text", "text", "bytes", "bytes", "gone", "a folder", "a link to nothing", "latin-1", "json"))
    if how == "text":
        text = pick(rng, texts)
        path.write_text(text)
        return told(text)
    if how == "bytes":
        data, how = damaged(path.read_bytes() if path.exists() else b"{}", rng)
        path.write_bytes(data)
    elif how == "json":
        path.write_text(json.dumps(odd(rng)))
    elif how == "latin-1":
        path.write_bytes(b'{"overrides": ["a=\xe9"]}' if path.suffix == ".json" else b"seed: \xe9\n")
    else:
        no_file(path, how)
    return how


def no_file(path: Path, how: str) -> None:
    """Take the file away, or put something else in its place."""
    path.unlink(missing_ok=True)
    if how == "a folder":
        path.mkdir()
    elif how == "a link to nothing":
        path.symlink_to("nowhere")


def checkpoint(rng: Rng, run: Path) -> str:
    """A checkpoint is damaged or gone, or the two have changed places."""
    last, best = (run / "checkpoints" / f"{name}.ckpt" for name in ("last", "best"))
    path = pick(rng, (last, last, best))
    how = pick(
        rng,
        ("bytes", "bytes", "bytes", "bytes", "gone", "a folder", "a link to nothing", "both gone", "one for the other"),
    )
    data = path.read_bytes()
    if how == "bytes":
        # They may be two names of one file.
        path.unlink()
        data, how = damaged(data, rng)
        path.write_bytes(data)
    elif how == "both gone":
        shutil.rmtree(path.parent)
    elif how == "one for the other":
        part = path.with_suffix(".part")
        os.replace(last, part)  # noqa: PTH105
        os.replace(best, last)  # noqa: PTH105
        os.replace(part, best)  # noqa: PTH105
    else:
        no_file(path, how)
    return f"{path.name}: {how}"


def checkpoint_value(rng: Rng, run: Path) -> str:
    """Something in a checkpoint is odd: what the run goes on with, or what vaelab keeps."""
    path = run / "checkpoints" / pick(rng, ("last.ckpt", "last.ckpt", "best.ckpt"))
    content = torch.load(path, map_location="cpu", weights_only=True)
    change = pick(rng, CHANGES) if rng.random() < 0.4 else inner_value
    words = change(rng, content)
    path.unlink()
    torch.save(content, path)
    return f"{path.name}: {words}"[:150]


def inner_value(rng: Rng, content: Any) -> str:
    """Go down into a checkpoint by chance, and put something odd there or take it away."""
    place = []
    while True:
        keys = list(content) if isinstance(content, dict) else range(len(content))
        key = pick(rng, keys)
        place.append(str(key))
        goes_on = isinstance(content[key], dict | list) and len(content[key]) and rng.random() < 0.75
        if not goes_on:
            break
        content = content[key]
    if rng.random() < 0.25:
        del content[key]
        return f"without {'.'.join(place)}"
    value = odd(rng)
    content[key] = value
    return f"{'.'.join(place)}={told(value)}"


def folders(rng: Rng, run: Path) -> str:
    """A folder of the run is a file, or holds what is none of it."""
    name = pick(rng, ("tensorboard", "figures", "checkpoints", "samples"))
    how = pick(rng, ("a file", "gone", "full of nonsense", "a link to nothing"))
    shutil.rmtree(run / name, ignore_errors=True)
    if how == "a file":
        (run / name).write_text("a file")
    elif how == "full of nonsense":
        (run / name).mkdir()
        for inner in ("events.out.tfevents.1.x.0", "last.part", "best.ckpt", ".hidden"):
            (run / name / inner).write_bytes(rng.bytes(100))
    elif how == "a link to nothing":
        (run / name).symlink_to("nowhere")
    return f"{name}: {how}"


CHANGERS = (
    *(told_file, told_file, config_file, config_file, config_value, config_value, checkpoint, checkpoint, checkpoint),
    *(checkpoint_value, checkpoint_value, checkpoint_value, folders),
)


def warm() -> None:
    """Compose once, which finds Hydra's plugins."""
    _doors.composed(*_doors.SINE)


KIND = Kind(make, _doors.HEAVY, warm, prepare)
