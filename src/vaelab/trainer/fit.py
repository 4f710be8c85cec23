"""The training itself and the test of its best weights, and how both end when somebody stops them."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from vaelab.cli import as_mistake
from vaelab.data.module import DataModule
from vaelab.errors import Interrupted, UserError
from vaelab.overrides import typed
from vaelab.report.finale import Tested
from vaelab.run.directory import keep_changes
from vaelab.run.folder import Opened
from vaelab.run.state import last_checkpoint
from vaelab.variant.base import Method


def fit(trainer: L.Trainer, variant: Method, data: DataModule, opened: Opened) -> float:
    """Train, from the last checkpoint if resumed; the seconds that it took, in all its parts.

    Raises:
        Interrupted: when Ctrl-C or SIGTERM stopped it, after saving.
        UserError: if the checkpoint does not fit, or is of a later epoch than the last that is asked for.
    """
    last = last_checkpoint(opened.directory) if opened.config.resume else None
    with _end_told(trainer, opened.directory), _misfit_told(trainer, last):
        trainer.fit(variant, datamodule=data, ckpt_path=last, weights_only=True)
    # Nothing may have been left to train.
    keep_changes(opened)
    timer = next(callback for callback in trainer.callbacks if isinstance(callback, Timer))  # type: ignore[attr-defined]
    return timer.time_elapsed("train")


@contextmanager
def _end_told(trainer: L.Trainer, directory: Path) -> Iterator[None]:
    """Tell an end by a signal with the way to go on, and what Lightning refuses."""
    try:
        yield
    except MisconfigurationException as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{reason} Give more" if "max_epochs=" in reason else reason) from error
    except SystemExit:
        stopped_by = trainer.checkpoint_callback.stopped_by  # type: ignore[union-attr]
        if stopped_by is None:
            raise
        saved = f"stopped by {stopped_by.name} at step {trainer.global_step} and saved"
        raise Interrupted(f"{saved}; go on with {typed('resume', directory)}", 128 + stopped_by) from None


@contextmanager
def _misfit_told(trainer: L.Trainer, checkpoint: Path | None) -> Iterator[None]:
    """Take what is raised before the first step of a resumed run for a checkpoint that does not fit it."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, AssertionError, RuntimeError) as error:
        begun = trainer.checkpoint_callback.has_begun  # type: ignore[union-attr]
        if checkpoint is None or begun or as_mistake(error, "train") is not None:
            raise
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(
            f"{checkpoint} does not fit its run, or is damaged ({type(error).__name__}: {reason}): take it away, and "
            "resume= goes on from what is left"
        ) from error


def evaluate_best(trainer: L.Trainer, variant: Method, data: DataModule, directory: Path) -> Tested:
    """The means over the test split, of the best weights, which the variant has from then on."""
    # The trainer's own way puts the callbacks back, too, and with them the course of the training.
    best = torch.load(directory / "checkpoints" / "best.ckpt", map_location="cpu", weights_only=True, mmap=True)
    variant.load_state_dict(best["state_dict"])
    means = dict(trainer.test(variant, datamodule=data, verbose=False)[0])
    return Tested(means, best["epoch"] + 1, best["global_step"])


@contextmanager
def told_when_stopped(directory: Path) -> Iterator[None]:
    """Have Ctrl-C and SIGTERM end what is done in here with `Interrupted`; the training itself is done and saved."""
    stopped_by = signal.SIGINT

    def stop(number: int, frame: Any) -> None:
        nonlocal stopped_by
        stopped_by = signal.Signals(number)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        # Lightning answers a KeyboardInterrupt with SystemExit.
        saved = f"stopped by {stopped_by.name} in the closing test and figures, when all was trained and saved"
        raise Interrupted(f"{saved}; have them done with {typed('resume', directory)}", 128 + stopped_by) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
