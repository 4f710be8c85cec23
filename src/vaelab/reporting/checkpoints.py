"""`last.ckpt` and `best.ckpt`, and leaving in good order when somebody stops the run."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.utilities.exceptions import SIGTERMException

from vaelab.run import KEY


class Checkpoints(Checkpoint):
    """Saves `last.ckpt` after every validated epoch and `best.ckpt` when the monitored quantity is the best so far.

    Ctrl-C and SIGTERM end training at the next step's end, save `last.ckpt` there, and are remembered in
    `stopped_by`. Any other error leaves the last good epoch's files alone.
    """

    def __init__(self, folder: Path, entry: dict[str, Any], monitor: tuple[str, str]) -> None:
        self.folder, self.entry, self.monitor = folder, entry, monitor
        self.best: float | None = None
        self.stopped_by: signal.Signals | None = None

    def state_dict(self) -> dict[str, Any]:  # noqa: D102
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:  # noqa: D102
        self.best = state_dict["best"]

    def on_save_checkpoint(self, trainer: L.Trainer, module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Put in what `load_run` needs."""
        checkpoint[KEY] = self.entry

    def on_fit_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Let Ctrl-C take SIGTERM's way, which finishes the step in hand; Lightning puts the handlers back."""
        graceful = signal.getsignal(signal.SIGTERM)

        def stop(number: int, frame: Any) -> None:
            self.stopped_by = signal.Signals(number)
            # A second Ctrl-C does not wait.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if callable(graceful):
                graceful(signal.SIGTERM, frame)

        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGTERM, stop)

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Save what the epoch gave: the last always, the best if it is."""
        self._save(trainer, "last.ckpt")
        name, mode = self.monitor
        value = trainer.callback_metrics.get(name)
        if value is None:
            return
        score = float(value) if mode == "max" else -float(value)
        if self.best is None or score > self.best:
            self.best = score
            self._save(trainer, "best.ckpt")

    def on_exception(self, trainer: L.Trainer, module: L.LightningModule, exception: BaseException) -> None:
        """Keep the step that an interruption ended at."""
        if isinstance(exception, SIGTERMException):
            self._save(trainer, "last.ckpt")

    def _save(self, trainer: L.Trainer, name: str) -> None:
        trainer.save_checkpoint(self.folder / name, weights_only=False)
