"""One bar for the whole training, refreshed a few times a second."""

from __future__ import annotations

import sys
import time
from typing import Any

import lightning as L
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from typing_extensions import override

from vaelab.report.console import Terminal
from vaelab.variant.base import FOREVER, Method


class TrainingBar(L.Callback):
    """Epoch, steps a second, what validation told and the time left; plain lines where there is no terminal."""

    def __init__(self, refresh_seconds: float = 0.5, line_seconds: float = 10.0) -> None:
        self.console = Terminal(file=sys.stderr)
        self.period = refresh_seconds if self.console.is_terminal else line_seconds
        self.bar: Progress | None = None
        self.began = self.shown = 0.0
        self.first_step = 0

    @override
    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.began = self.shown = time.monotonic()
        self.first_step = trainer.global_step
        if self.console.is_terminal and trainer.is_global_zero:
            columns = [
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f}%"),
            ]
            columns += [TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn()]
            self.bar = Progress(*columns, console=self.console, auto_refresh=False)
            self.bar.start()
            assert isinstance(module, Method)
            # Of a run without an end there is no time left to tell.
            self.bar.add_task("training", total=module.total_steps if module.total_steps < FOREVER else None)

    @override
    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        now = time.monotonic()
        if now - self.shown >= self.period:
            self.shown = now
            self._show(trainer, trainer.current_epoch + 1)

    @override
    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._show(trainer, trainer.current_epoch, *_ended_early(trainer))
        self._close()

    @override
    def on_exception(self, *_: Any) -> None:
        self._close()

    def _show(self, trainer: L.Trainer, epoch: int, *more: str) -> None:
        if not trainer.is_global_zero:
            return
        text = "  ".join([*self._describe(trainer, epoch), *more])
        if self.bar is not None:
            self.bar.update(self.bar.task_ids[0], completed=trainer.global_step, description=text, refresh=True)
        else:
            self.console.print(text, soft_wrap=True)

    def _describe(self, trainer: L.Trainer, epoch: int) -> list[str]:
        speed = (trainer.global_step - self.first_step) / max(time.monotonic() - self.began, 1e-9)
        last = trainer.max_epochs
        epochs = f"{min(epoch, last)}/{last}" if last and last > 0 else f"{epoch}"
        words = [f"epoch {epochs}", f"step {trainer.global_step}", f"{speed:.0f} steps/s"]
        return words + _validated(trainer)

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


def _validated(trainer: L.Trainer) -> list[str]:
    """The bound, where there is one, and what chooses the best weights, where that is another number."""
    found, words = trainer.callback_metrics, []
    if (elbo := found.get("val/elbo")) is not None:
        words.append(f"val ELBO {float(elbo):.2f} nats")
    name, _ = trainer.checkpoint_callback.monitor  # type: ignore[union-attr]
    if (chosen := found.get(name)) is not None and chosen != elbo:
        words.append(f"{name} {float(chosen):.4g}")
    return words


def _ended_early(trainer: L.Trainer) -> list[str]:
    """What the bar says last where validations without a better one have ended the training."""
    stop = trainer.early_stopping_callback
    if stop is None or stop.wait_count < stop.patience:
        return []
    return [f"ended early: {stop.wait_count} validations without a better {stop.monitor}"]
