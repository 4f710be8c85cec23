"""`last.ckpt` and `best.ckpt`, and leaving in good order when somebody stops the run."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.utilities.exceptions import SIGTERMException

from vaelab.run import KEY


class Checkpoints(Checkpoint):
    """Saves `last.ckpt` after every validated epoch and `best.ckpt` when the monitored quantity is the best so far.

    Ctrl-C and SIGTERM end training after the step or validation in hand, save `last.ckpt` there, and are remembered
    in `stopped_by`. Any other error leaves the last good epoch's files alone.
    """

    def __init__(self, folder: Path, entry: dict[str, Any], monitor: tuple[str, str]) -> None:
        self.folder, self.entry, self.monitor = folder, entry, monitor
        self.best: float | None = None
        self.stopped_by: signal.Signals | None = None
        self.leave: Callable[[], None] = lambda: None

    def state_dict(self) -> dict[str, Any]:  # noqa: D102
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:  # noqa: D102
        self.best = state_dict["best"]

    def on_save_checkpoint(self, trainer: L.Trainer, module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Put in what `load_run` needs."""
        checkpoint[KEY] = self.entry

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Go on behind the batches that were drawn, and let Ctrl-C take SIGTERM's way; handlers are put back."""
        self._reposition(trainer)
        graceful = signal.getsignal(signal.SIGTERM)

        def stop(number: int, frame: Any) -> None:
            self.stopped_by = signal.Signals(number)
            # A second Ctrl-C does not wait.
            signal.signal(signal.SIGINT, signal.default_int_handler)

        def leave() -> None:
            if callable(graceful):
                graceful(signal.SIGTERM, None)

        self.leave = leave
        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGTERM, stop)

    def _reposition(self, trainer: L.Trainer) -> None:
        # Lightning makes the loader as soon as the optimizer asks how many steps there will be, which is before it
        # restores where training stood, and then forgets the loader's own state.
        loop = trainer.fit_loop
        epoch: Any = loop.epoch_progress.current
        mid_epoch = epoch.processed < epoch.ready
        loader: Any = trainer.train_dataloader
        loader.load_state_dict({"drawn": loop.epoch_loop.batch_progress.current.ready if mid_epoch else 0})

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Leave where nothing is half done: not within a step's accumulation, nor before the epoch is validated."""
        stepped = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if self.stopped_by is not None and stepped and not trainer.is_last_batch:
            self.leave()

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Save what the epoch gave: the last always, the best if it is."""
        name, mode = self.monitor
        value = trainer.callback_metrics.get(name)
        score = None if value is None else float(value) if mode == "max" else -float(value)
        # Without any validation so far, what there is is the best.
        is_best = self.best is None or (score is not None and score > self.best)
        if is_best:
            self.best = score
        # Both know the best score, or a resumed run would take a worse epoch for the best.
        self._save(trainer, "last.ckpt")
        if is_best and trainer.is_global_zero:
            second_name(self.folder / "last.ckpt", self.folder / "best.ckpt")
        # No process reads the best before it is there.
        trainer.strategy.barrier()
        if self.stopped_by is not None:
            self.leave()

    def on_exception(self, trainer: L.Trainer, module: L.LightningModule, exception: BaseException) -> None:
        """Keep the step that an interruption ended at."""
        if isinstance(exception, SIGTERMException):
            self._save(trainer, "last.ckpt")

    def _save(self, trainer: L.Trainer, name: str) -> None:
        trainer.save_checkpoint(self.folder / name, weights_only=False)


class WholeFiles(TorchCheckpointIO):
    """Writes a checkpoint beside its place and moves it there when it is whole, so that none is ever half written.

    Lightning's own writing takes two copies in memory and six times the time.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Raises `OSError` where the disk takes no more; what was there stays."""
        path = Path(path)
        part = path.with_suffix(".part")
        path.parent.mkdir(parents=True, exist_ok=True)
        # Nobody ever compares the sums of torch's archives, which take longer than the writing.
        summed = torch.serialization.get_crc32_options()
        torch.serialization.set_crc32_options(False)
        try:
            try:
                torch.save(checkpoint, part)
            except RuntimeError:
                # torch's own files do not say why they failed; Python's are slower, and do.
                with part.open("wb") as file:
                    torch.save(checkpoint, file)
            part.replace(path)
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):
                raise OSError(error.__context__.errno, error.__context__.strerror, str(path)) from error
            raise
        finally:
            torch.serialization.set_crc32_options(summed)
            part.unlink(missing_ok=True)


def second_name(file: Path, name: Path) -> None:
    """Let `name` be the file as it is now, whatever is put in its place later; a copy where there are no links."""
    part = name.with_suffix(".part")
    part.unlink(missing_ok=True)
    try:
        os.link(file, part)
    except OSError:
        shutil.copyfile(file, part)
    part.replace(name)
