"""The ways in: data as a run reads them, and the doors themselves; all of it in a fork, which is then thrown away."""

from __future__ import annotations

import contextlib
import json
import math
import re
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from fuzzing._kind import Reading

# What the doors and the readers import where they need it.
HEAVY = (
    *("vaelab.train", "vaelab.sample", "vaelab.run.directory", "vaelab.report.finale", "vaelab.report.board"),
    *("vaelab.report.checkpoints", "vaelab.report.progress", "vaelab.report.tables", "vaelab.task.base"),
    *("vaelab.trainer.make", "matplotlib.pyplot", "sklearn.decomposition", "sklearn.mixture", "sklearn.datasets"),
    *("torch.utils.tensorboard", "torchvision", "torchmetrics", "librosa", "soundfile", "PIL.Image"),
)
READERS = (
    *("vaelab.run.directory", "vaelab.report.tables", "vaelab.dataset.signal_table"),
    *("vaelab.dataset.noisy_table", "vaelab.dataset.image_folder", "vaelab.dataset.audio_folder"),
    *("vaelab.dataset.mnist", "soundfile", "PIL.Image", "platformdirs"),
)
SINE = ["experiment=sine", "dataset.waves=60", "dataset.samples=16", "architecture.widths=[8]"]
USAGE = 2  # argparse's exit status
QUIET = ["accelerator=cpu", "threads=1", "report.figures=false"]


def offers(group: str, entry: str) -> bool:
    """Whether vaelab has this entry of a group."""
    from vaelab.config import config_dir

    return (config_dir() / group / f"{entry}.yaml").is_file()


@cache
def composed(*words: str) -> DictConfig:
    """A training configuration."""
    from benchmarks._problem import composed

    return composed(*words, "accelerator=cpu", "threads=1")


def configured(words: Sequence[str], settings: dict[str, Any]) -> DictConfig:
    """The configuration with some settings of `dataset` changed."""
    config = composed(*words).copy()
    OmegaConf.set_struct(config, False)
    for key, value in settings.items():
        config.dataset[key] = value
    return config


def load(words: Sequence[str], **settings: Any) -> Reading:
    """The items of a run of these words as `train` has them: read, split, encoded and told."""
    from vaelab.report.tables import tell_found
    from vaelab.run.build import build_data

    data = build_data(configured(words, settings))
    found = data.prepare()
    tell_found(found, data)
    sys.stdout.flush()
    items = data.items
    values = items.raw if items.clean is None else items.clean
    names = items.label_names
    labels = (
        None if items.label is None else [names[k] if 0 <= k < len(names) else str(k) for k in items.label.tolist()]
    )
    left_out = [(str(name), str(reason)) for name, reason in items.left_out]
    # As they are written into the run directory.
    "".join(f"{name}\t{reason}\n" for name, reason in left_out).encode(errors="surrogateescape")
    return Reading(values.numpy(), labels, left_out, list(getattr(items, "notes", [])))


def read(words: Sequence[str], path: Path, signature: Any, **settings: Any) -> Reading:
    """One further file, as a task has it for a model of this signature."""
    from vaelab.run.build import build_source

    source: Any = build_source(configured(words, settings))
    return Reading(source.read(path, signature).numpy())


def door(name: str, *words: str) -> str:
    """What a door writes to stdout with these words on its command line, which it was to be content with.

    Raises:
        UserError: with the one line that it was refused with; of an option that there is not, argparse's last one.
        RuntimeError: if it left with another status, or said more.
    """
    import importlib

    from vaelab.cli import compose_and_do
    from vaelab.errors import UserError

    job = getattr(importlib.import_module(f"vaelab.{name}"), name)
    sys.argv = [f"vaelab-{name}", *words]
    status: Any = 0
    try:
        compose_and_do(job, name)
    except SystemExit as leaving:
        status = leaving.code or 0
    sys.stdout.flush()
    sys.stderr.flush()
    out, err = (_heard(number) for number in (1, 2))
    complaint = [line for line in err.splitlines() if line.strip() and not line.startswith("epoch ")]
    if "Traceback (most recent call last)" in out + err:
        raise RuntimeError(f"a traceback was printed: {complaint[-1] if complaint else ''}")
    if status == 0:
        return out
    if status == USAGE and complaint and complaint[-1].startswith(f"vaelab-{name}: error: "):
        raise UserError(complaint[-1])
    swept = bool(complaint) and re.match(r"vaelab: \d+ of \d+ jobs failed", complaint[-1])
    # A sweep has a line for each job that failed.
    lines = 1 if swept and all(line.startswith("vaelab: ") for line in complaint) else len(complaint)
    if status != 1 or lines != 1 or not complaint[-1].startswith("vaelab: "):
        raise RuntimeError(f"status {status} with {len(complaint)} lines: {' / '.join(complaint)}")
    raise UserError(complaint[-1].removeprefix("vaelab: "))


def _heard(number: int) -> str:
    """What was written to a stream of this process, which `_forks` has put into a file."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/self/fd/{number}").readlink().read_text(errors="replace")
    return ""


def not_finite(folder: Path) -> str:
    """What is wrong with the numbers in a folder that a door wrote; empty if nothing is."""
    for path in sorted(folder.rglob("*.npy")):
        values = np.load(path)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            return f"{path.name} holds NaN or infinity"
    for path in sorted(folder.rglob("metrics.json")):
        try:
            json.loads(path.read_text(), parse_constant=_refuse)
        except ValueError as error:
            return f"{path.name} is no JSON: {error}"
    return ""


def _refuse(constant: str) -> float:
    raise ValueError(f"it holds {constant}")


def measures(folder: Path) -> dict[str, float]:
    """The numbers of a run's `metrics.json` that do not depend on the clock."""
    found = json.loads((folder / "metrics.json").read_text())
    return {name: value for name, value in found.items() if "second" not in name}


def differing(found: dict[str, float], expected: dict[str, float]) -> str:
    """The first measure that is not as expected; empty if all are."""
    for name, value in expected.items():
        if name not in found or not math.isclose(found[name], value, rel_tol=1e-6, abs_tol=1e-9):
            return f"{name} is {found.get(name)} where {value} was had before"
    return ""
