"""The trainer's loop over an epoch, without its ceremony around most of the steps.

Around every step Lightning calls some dozens of hooks, which costs a small net more than its arithmetic. Here steps are
taken in blocks: only the last of a block goes Lightning's own way, with logging, progress, signals, validation and
checkpoints. Those before it do the same arithmetic in the same order and count in the same places, so that a run, its
logs and its checkpoints are the same to the last bit, however it is cut into blocks.
"""

from __future__ import annotations

import time
from typing import Any

import lightning as L
from lightning.pytorch.loops.fit_loop import _FitLoop
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
from lightning.pytorch.plugins.precision import MixedPrecision, Precision
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies import SingleDeviceStrategy

from vaelab.variant.base import Method

# A block ends after so long, so that progress shows and Ctrl-C is answered.
BLOCK_SECONDS = 0.25


class WholeEpochs(_FitLoop):
    """Goes on where the saved steps end, however the run is limited.

    Where it is limited by `max_steps`, Lightning counts an epoch that was saved at its end twice, and takes one that
    those steps ended early for a whole one.
    """

    @_FitLoop.restarting.setter
    def restarting(self, restarting: bool) -> None:
        """Set when a checkpoint was read."""
        epoch: Any = self.epoch_progress.current
        batches = self.epoch_loop.batch_progress
        ended_early = batches.current.ready and not batches.is_last_batch
        if restarting and ended_early and epoch.processed == epoch.ready:
            epoch.processed -= 1
        _FitLoop.restarting.fset(self, restarting)

    def _iteration_based_training(self) -> bool:
        return False


class BlockLoop(_TrainingEpochLoop):
    """Takes steps in blocks where nothing but the step itself is asked for, and is Lightning's own loop elsewhere."""

    @classmethod
    def put_into(cls, trainer: L.Trainer) -> None:
        """Let a trainer go its epochs this way."""
        given = trainer.fit_loop
        trainer.fit_loop = WholeEpochs(trainer, min_epochs=given.min_epochs, max_epochs=given.max_epochs)
        steps = given.epoch_loop
        trainer.fit_loop.epoch_loop = cls(trainer, min_steps=steps.min_steps, max_steps=steps.max_steps)

    def advance(self, data_fetcher: Any) -> None:
        """Steps of a block without ceremony, if there are any before the next that needs it; then that one."""
        if not self.restarting and self._plain():
            self._block(data_fetcher, self._steps_to_go())
        super().advance(data_fetcher)

    def _plain(self) -> bool:
        """Whether a step is forward, backward, clipping, the optimizer and its schedule, and nothing besides."""
        trainer: Any = self.trainer
        precision = trainer.precision_plugin
        unscaled = type(precision) is Precision or (isinstance(precision, MixedPrecision) and precision.scaler is None)
        by_step = all(
            config.interval == "step" and config.frequency == 1 and not config.reduce_on_plateau
            for config in trainer.lr_scheduler_configs
        )
        return (
            type(trainer.strategy) is SingleDeviceStrategy
            and trainer.lightning_module.automatic_optimization
            and unscaled
            and by_step
            and trainer.accumulate_grad_batches == 1
            and trainer._val_check_time_interval is None
            and isinstance(trainer.profiler, PassThroughProfiler)
        )

    def _steps_to_go(self) -> int:
        """Steps before the next that logs, validates, or ends the epoch or the run."""
        trainer, step, batch = self.trainer, self.global_step, self.batch_progress.current.ready
        logging: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        ends = [trainer.num_training_batches - batch]
        if logging:
            ends.append(logging - step % logging)
        if self.max_steps != -1:
            ends.append(self.max_steps - step)
        if trainer.val_check_batch not in (None, float("inf")):
            counted = self.batch_progress.total.ready if trainer.check_val_every_n_epoch is None else batch
            ends.append(trainer.val_check_batch - counted % trainer.val_check_batch)
        return int(min(ends)) - 1

    def _block(self, data_fetcher: Any, steps: int) -> None:
        trainer, module = self.trainer, self.trainer.lightning_module
        assert isinstance(module, Method)
        schedules: list[Any] = [config.scheduler for config in trainer.lr_scheduler_configs]
        optimizer, precision = trainer.optimizers[0], trainer.precision_plugin
        clip, clip_algorithm = trainer.gradient_clip_val, trainer.gradient_clip_algorithm
        progress = self.automatic_optimization.optim_progress.optimizer
        until = time.monotonic() + BLOCK_SECONDS
        for _ in range(steps):
            batch_idx = self.batch_progress.current.ready
            batch, _, _ = next(data_fetcher)
            with precision.train_step_context():
                loss = module.training_step(batch, batch_idx)
            optimizer.zero_grad()
            loss.backward()
            if clip:
                module.configure_gradient_clipping(optimizer, clip, clip_algorithm)
            optimizer.step()
            progress.zero_grad.increment_by(1)
            progress.step.increment_by(1)
            self.batch_progress.increment_by(1)
            for schedule in schedules:
                schedule.step()
                self.scheduler_progress.increment_by(1)
            self._batches_that_stepped += 1
            if time.monotonic() >= until:
                return
