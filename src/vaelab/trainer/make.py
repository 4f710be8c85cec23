"""Lightning's trainer with what vaelab puts into it: callbacks, checkpoints, the loop in blocks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import EarlyStopping, LambdaCallback, Timer
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf

from vaelab.config import check_settings
from vaelab.data.module import DataModule
from vaelab.errors import UserError
from vaelab.loop import BlockLoop
from vaelab.report.board import Board, Scalars
from vaelab.report.checkpoints import Checkpoints, WholeFiles
from vaelab.report.history import History
from vaelab.report.progress import TrainingBar
from vaelab.run.build import ACCELERATION, without
from vaelab.run.checkpoint import checkpoint_entry
from vaelab.run.checks import Checked
from vaelab.run.directory import keep_changes
from vaelab.run.folder import Opened
from vaelab.run.processes import check_processes, keep_to_this_machine, let_weights_rest
from vaelab.variant.base import Method

# What vaelab does in its own way, and a user may still ask Lightning for.
QUIET = {"enable_model_summary": False, "enable_progress_bar": False, "num_sanity_val_steps": 0}


def make_trainer(opened: Opened, data: DataModule, variant: Method) -> L.Trainer:
    """The trainer that the configuration describes.

    Raises:
        UserError: for a setting that Lightning does not have, or cannot honour on this machine.
    """
    settings = trainer_settings(opened.config)
    callbacks = list(callbacks_of(opened, data, variant, settings.pop("max_time", None)))
    check_processes(settings)
    trainer = _bare(settings, callbacks, opened.directory)
    keep_to_this_machine(trainer.num_devices)
    if not variant.whole_steps:
        let_weights_rest(trainer.strategy)
    trainer.strategy.checkpoint_io = WholeFiles()
    BlockLoop.put_into(trainer)
    return trainer


def trainer_settings(config: DictConfig) -> dict[str, Any]:
    """What `trainer` and `accelerator` say to Lightning, the latter last. Raises `UserError` for what it cannot be."""
    nodes = config.trainer, without(config.accelerator, ACCELERATION)
    for node in nodes:
        # A time may be given in several ways, which whoever takes it tells.
        check_settings(L.Trainer, without(node, ["max_time"]))
    settings: Any = [OmegaConf.to_object(node) for node in nodes]
    return {**QUIET, **settings[0], **settings[1]}


def callbacks_of(opened: Opened, data: DataModule, variant: Method, max_time: Any) -> Iterator[L.Callback]:
    """What accompanies the training: its clock, its course, its board, its bar, its end and its checkpoints."""
    config = opened.config
    monitor, mode = chosen = choose_monitor(config, variant)
    yield _timer(max_time)
    yield Checked(monitor)
    yield History()
    yield Board(data, config.report.every_epochs, config.report.figures is not False)
    yield TrainingBar()
    if config.early_stopping.patience is not None:
        # Not strict: an epoch may have no validation.
        yield EarlyStopping(monitor, mode=mode, patience=config.early_stopping.patience, strict=False)
    yield Checkpoints(opened.directory / "checkpoints", checkpoint_entry(config, variant), chosen)
    # Not before the checkpoint was found to fit.
    yield LambdaCallback(on_train_start=lambda *_: keep_changes(opened))


def choose_monitor(config: DictConfig, variant: Method) -> tuple[str, str]:
    """What chooses the best weights, as `Method.monitored` says it.

    A run that was begun when there was no such setting goes on by what chose its best so far: the bound.
    """
    if "monitor" not in config and variant.monitor[0] == "val/objective" and "elbo" in variant.told():
        return variant.monitored("val/elbo")
    return variant.monitored(config.get("monitor"))


def _timer(max_time: Any) -> Timer:
    """What measures the training, and ends it after `max_time` where that is given."""
    try:
        timer = Timer(max_time, verbose=False)
        if max_time is None or (timer.time_remaining() or 0) > 0:
            return timer
    except (TypeError, AttributeError, OverflowError, MisconfigurationException):
        pass
    raise UserError(f"trainer.max_time={max_time} is no time: give DD:HH:MM:SS, or {{hours:1,minutes:30}}, above zero")


def _bare(settings: dict[str, Any], callbacks: list[L.Callback], directory: Path) -> L.Trainer:
    """Lightning's trainer as it is by itself, which writes into this directory."""
    logger = Scalars(directory, name="", version="tensorboard", default_hp_metric=False)
    try:
        return L.Trainer(**settings, callbacks=callbacks, logger=logger, default_root_dir=directory)
    except (ValueError, RuntimeError, TypeError, ImportError, MisconfigurationException) as error:
        # Lightning's exceptions name a setting that it cannot honour: no such device, no such strategy.
        reason = " ".join(str(error).split())
        raise UserError(f"trainer and accelerator: {reason} Change that setting, or try accelerator=cpu") from error
