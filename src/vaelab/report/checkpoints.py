"""`last.ckpt` and `best.ckpt`, and leaving in good order when somebody stops the run."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint, Timer
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.utilities.exceptions import SIGTERMException
from lightning_utilities.core.apply_func import apply_to_collection
from typing_extensions import override

from vaelab.run.checkpoint import KEY

# As `storage_options` of a checkpoint: keep it in memory for now.
HOLD = "hold"
# Of torch's optimizers, what has a number for each of a weight.
MOMENTS = {"exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer"}


class Checkpoints(Checkpoint):
    """Saves `last.ckpt` after every validated epoch and `best.ckpt` when the monitored quantity is the best so far.

    They are held in memory, and written when that, with this time, will have taken at most `SHARE` of the training so
    far, and whenever training ends, of itself or by an error: only a kill loses what was held.

    Ctrl-C and SIGTERM end training after the step or validation in hand, save `last.ckpt` there, and are remembered
    in `stopped_by`. Any other error leaves the last good epoch's files alone.
    """

    SHARE: ClassVar[float] = 0.02

    def __init__(self, folder: Path, entry: dict[str, Any], monitor: tuple[str, str]) -> None:
        self.folder, self.entry, self.monitor = folder, entry, monitor
        self.best: float | None = None
        self.stopped_by: signal.Signals | None = None
        self.leave: Callable[[], None] = lambda: None
        self.has_begun = False
        self.began = self.spent = self.latest = 0.0

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if not isinstance(state_dict["best"], float | int | None):
            raise TypeError("the best score is no number")
        self.best = state_dict["best"]

    def on_save_checkpoint(self, trainer: L.Trainer, module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Put in what `load_run` needs."""
        checkpoint[KEY] = self.entry

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Go on behind the batches that were drawn, and let Ctrl-C take SIGTERM's way; handlers are put back."""
        self.began, self.spent, self.latest = time.monotonic(), 0.0, 0.0
        self._reposition(trainer)
        check_restored(trainer)
        self.has_begun = True
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
        # Where limit_train_batches ends an epoch, the loader's own state, which Lightning restores, is that of one that
        # was cut in the middle.
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
        began = time.monotonic()
        # Both know the best score, or a resumed run would take a worse epoch for the best.
        self._save(trainer)
        files = self._files(trainer)
        if is_best and trainer.is_global_zero:
            files.held[self.folder / "best.ckpt"] = files.held[self.folder / "last.ckpt"]
        if self.spent + self.latest <= self.SHARE * (began - self.began):
            files.write_held()
            self.latest = time.monotonic() - began
        self.spent += time.monotonic() - began
        if self.stopped_by is not None:
            self.leave()

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Write what is held."""
        self._files(trainer).write_held()
        # No process reads the best before it is there.
        trainer.strategy.barrier()

    def on_exception(self, trainer: L.Trainer, module: L.LightningModule, exception: BaseException) -> None:
        """Keep the step that an interruption ended at, and what is held."""
        if isinstance(exception, SIGTERMException):
            self._save(trainer)
        self._files(trainer).write_held()

    def _save(self, trainer: L.Trainer) -> None:
        trainer.save_checkpoint(self.folder / "last.ckpt", weights_only=False, storage_options=HOLD)

    def _files(self, trainer: L.Trainer) -> WholeFiles:
        files = trainer.strategy.checkpoint_io
        assert isinstance(files, WholeFiles)
        return files


def check_restored(trainer: L.Trainer) -> None:
    """Check that what a checkpoint put back is what training will count with: it may be damaged.

    Raises:
        TypeError: naming what is none.
    """
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Timer):
            callback.time_elapsed("train")
    for planned in trainer.lr_scheduler_configs:
        state = planned.scheduler.state_dict()
        rates = [*state.get("base_lrs", []), *state.get("_last_lr", []), state.get("last_epoch", 0)]
        if not all(isinstance(rate, float | int | torch.Tensor) for rate in rates):
            raise TypeError("the learning rates' schedule has rates that are no numbers")
    for optimizer in trainer.optimizers:
        if not all(isinstance(group["lr"], float | int | torch.Tensor) for group in optimizer.param_groups):
            raise TypeError("the optimizer's learning rate is no number")
        for weight, state in optimizer.state.items():
            for name in MOMENTS & state.keys():
                moment = state[name]
                if not isinstance(moment, torch.Tensor) or moment.shape != weight.shape:
                    raise TypeError(f"the optimizer's {name} is not shaped as its weights are")


class WholeFiles(TorchCheckpointIO):
    """Writes a checkpoint beside its place and moves it there when it is whole, so that none is ever half written.

    Lightning's own writing takes two copies in memory and six times the time. With the option `HOLD` it is copied, and
    waits in `held` for `write_held`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[Path, dict[str, Any]] = {}

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Raises `OSError` where the disk takes no more; what was there stays."""
        path = Path(path)
        if storage_options == HOLD:
            self.held[path] = apply_to_collection(checkpoint, torch.Tensor, _copy)
        else:
            self.held.pop(path, None)
            self._write(checkpoint, path)

    def write_held(self) -> None:
        """Write what is held, the best before the last, which must not know of a better one than there is.

        Raises:
            OSError: where the disk takes no more.
        """
        written: dict[int, Path] = {}
        held, self.held = self.held, {}
        for path, checkpoint in sorted(held.items()):
            if id(checkpoint) in written:
                second_name(written[id(checkpoint)], path)
            else:
                self._write(checkpoint, path)
                written[id(checkpoint)] = path

    def _write(self, checkpoint: dict[str, Any], path: Path) -> None:
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


def _copy(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().to("cpu", copy=True)


def second_name(file: Path, name: Path) -> None:
    """Let `name` be the file as it is now, whatever is put in its place later; a copy where there are no links."""
    part = name.with_suffix(".part")
    part.unlink(missing_ok=True)
    try:
        os.link(file, part)
    except OSError:
        shutil.copyfile(file, part)
    part.replace(name)
