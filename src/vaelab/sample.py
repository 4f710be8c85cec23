"""The door of sampling: load a run, do a task, write what comes out.

What is heavy is imported inside, so that help and mistyped settings answer at once.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from vaelab.cli import program
from vaelab.errors import UserError

if TYPE_CHECKING:
    from omegaconf import DictConfig


def main() -> None:
    """`vaelab-sample`."""
    program(sample, "sample")


def sample(config: DictConfig) -> None:
    """Do what `config.task` asks of the run `config.run`."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from vaelab.config import SampleSettings, build, check_settings
    from vaelab.run.build import set_threads
    from vaelab.run.checkpoint import load_run
    from vaelab.task.base import Output, Task, check_able

    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    check_settings(SampleSettings, config)
    set_threads(config.threads)
    task = build(config.task, Task)
    loaded = load_run(config.run, pick_device(config.device), config.trust)
    hydra = HydraConfig.get()
    check_able(task, hydra.runtime.choices["task"], loaded.variant)
    name = f"{hydra.runtime.choices['task']}_{time.strftime('%Y-%m-%d_%H-%M-%S')}"
    folder = Path(config.out).expanduser() if config.out else loaded.directory / "samples" / name
    if folder.is_file():
        raise UserError(f"out={folder} is a file: name a folder")
    if config.out and hydra.mode == RunMode.MULTIRUN:
        folder = folder / str(hydra.job.num)
    task(loaded, Output(folder, fresh=not config.out))


def pick_device(name: str) -> str:
    """The device of this name; `auto` is a GPU if there is one. Raises `UserError` where there is none."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda"):
        raise UserError(f"there is no device {name!r}: use auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device=cuda: torch finds no GPU here; use device=cpu")
    return name


if __name__ == "__main__":
    main()
