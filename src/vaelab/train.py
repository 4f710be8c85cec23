"""The door of training: compose, build, fit, test, report.

What is heavy is imported inside, so that help and mistyped settings answer at once.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import logging
import math
import os
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vaelab.cli import as_mistake, is_first_process, program
from vaelab.errors import Interrupted, UserError
from vaelab.overrides import typed
from vaelab.run.folder import Opened, is_done, open_run, output_dir
from vaelab.run.state import last_checkpoint, overrides_of

if TYPE_CHECKING:
    import lightning as L
    from lightning.pytorch.callbacks import Timer
    from omegaconf import DictConfig

    from vaelab.accelerator.base import Acceleration
    from vaelab.data.module import DataModule, Found
    from vaelab.report.finale import Tested
    from vaelab.variant.base import Method


# Of lightning.Trainer's settings those that are not the user's.
OWN = ("callbacks", "logger", "default_root_dir", "enable_checkpointing", "barebones")
# Codecs, baselines and measures work in 32 bits, and so do the weights.
PRECISIONS = ("32-true", "32", "16-mixed", "bf16-mixed", "16", "bf16", "None")
# What counts something, and so is at least one.
COUNTS = (
    *("report.test_items", "early_stopping.patience", "trainer.accumulate_grad_batches"),
    *("trainer.check_val_every_n_epoch", "trainer.log_every_n_steps"),
)
# Of the settings of `accelerator` those that are not Lightning's.
ACCELERATION = ("tf32", "compile")


def main() -> None:
    """`vaelab-train`."""
    program(train, "train")


def train(config: DictConfig) -> float:
    """Train what the configuration says into its run directory; the best validation score comes back.

    The greater the better: of an error it is minus that. It is nan of a sweep's job that was done before.
    """
    if is_done(config):
        print(f"done before: {output_dir()}")
        return math.nan
    import_frameworks()
    with open_run(config) as run:
        return train_in(run)


def train_in(run: Opened) -> float:
    """Train in a directory that is this process's own; the best validation score comes back."""
    from lightning import seed_everything

    from vaelab.memory import TRAINED
    from vaelab.run.build import build_variant, set_threads, shared_data
    from vaelab.seeding import short_seed

    directory, config = run.directory, run.config
    quieten_lightning()
    check_plain(config)
    seed_everything(short_seed("weights", config.seed), workers=True, verbose=False)
    set_threads(config.threads)
    data = shared_data(config)
    found = data.prepare()
    variant = build_variant(config, data.codec, found.signature, found.shape, copies=TRAINED)
    variant.likelihood.check_support(found.low, found.high)
    trainer, acceleration = make_trainer(config, directory, data, variant), make_acceleration(config)
    variant.check_plan(planned_steps(trainer, data))
    variant.look_at(data)
    check_evaluation(trainer, data)
    acceleration.check(trainer.strategy.root_device)
    write_down(found, data, run)
    with variant.divergence_told():
        with acceleration.of(variant, trainer.strategy.root_device):
            seconds = fit(trainer, variant, data, directory, config.resume)
        # Nothing may have been left to train.
        keep_changes(directory, config)
        report(trainer, variant, data, directory, config, seconds)
    best = trainer.checkpoint_callback.best  # type: ignore[union-attr]
    return math.nan if best is None else float(best)


@cache
def import_frameworks() -> None:
    """Import what is large, once in a process, with the garbage collector kept from walking through it ever after."""
    gc.disable()
    try:
        for name in ("lightning.pytorch", "torch.utils.tensorboard", "vaelab.run.directory"):
            importlib.import_module(name)
    finally:
        gc.freeze()
        gc.enable()
        # Some libraries count what is left of them when the process ends.
        atexit.register(gc.unfreeze)
    look_for_gpus_once()


def look_for_gpus_once() -> None:
    """Let torch ask CUDA whether there is a GPU, which remembers.

    Lightning has it ask the driver's library, for the sake of processes that fork, which vaelab's do not. Optimizers
    ask in every step, and without a GPU that library is looked for on the disk each time: a twentieth of a small step.
    """
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"


def check_plain(config: DictConfig) -> None:
    """Check that nothing lacks a value, and the settings that no object is built from. Raises `UserError`."""
    from omegaconf import OmegaConf

    from vaelab.config import EarlyStop, Report, TrainSettings, check_settings

    for key in sorted(OmegaConf.missing_keys(config)):
        raise UserError(f"{key} has no value: give {key}=…")
    check_settings(TrainSettings, config)
    check_settings(Report, config.report)
    check_settings(EarlyStop, config.early_stopping)
    for key in COUNTS:
        count = OmegaConf.select(config, key)
        if isinstance(count, int) and count < 1:
            raise UserError(f"{key} must be at least 1, not {count}")
    # Lightning would let the weights go up the gradient.
    if isinstance(clip := config.trainer.get("gradient_clip_val"), int | float) and clip < 0:
        raise UserError(f"trainer.gradient_clip_val must not be negative, not {clip}")
    check_machine(config)


def check_machine(config: DictConfig) -> None:
    """Check what Lightning would wait for, or fail at in the first step. Raises `UserError`."""
    for key in OWN:
        if key in config.trainer:
            raise UserError(f"trainer.{key} is vaelab's own: leave it out")
    device = config.accelerator
    if str(precision := device.get("precision")) not in PRECISIONS:
        raise UserError(
            f"accelerator.precision={precision}: weights have 32 bits; take 32-true, bf16-mixed or 16-mixed"
        )
    if any(way in str(device.get("strategy")) for way in ("spawn", "fork", "notebook")):
        raise UserError(
            f"accelerator.strategy={device.strategy} cannot give back what it trained: take accelerator=ddp"
        )


def quieten_lightning() -> None:
    """Keep Lightning's notes on its own insides from the user's terminal."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning")


def write_down(found: Found, data: DataModule, run: Opened) -> None:
    """Say what was found and where the run goes, and write down where it comes from."""
    from vaelab.data.items import as_text
    from vaelab.report.tables import tell_found
    from vaelab.run.directory import claim, write_config
    from vaelab.run.records import provenance, write_json, write_whole

    if not is_first_process():
        return
    directory, config = run.directory, run.config
    tell_found(found, data)
    print(f"run directory {directory}")
    overrides = words_of(directory)
    if not config.resume:
        claim(directory, begun=run.left is not None)
    write_json(directory / "provenance.json", provenance(config, found, overrides))
    if data.items.left_out:
        lines = [f"{name}\t{reason}\n" for name, reason in data.items.left_out]
        write_whole(directory / "left_out.txt", as_text("".join(lines)))
    if not config.resume:
        # Last of all: from here on there is a run, which all the rest says what it is of.
        write_config(directory, config)


def words_of(directory: Path) -> list[str] | None:
    """What this run changes: of one that is resumed the words that it was begun with, too; None if they are lost."""
    from hydra.core.hydra_config import HydraConfig

    words = list(HydraConfig.get().overrides.task)
    own = [word for word in words if not word.startswith("resume=")]
    if own == words:
        return own
    before = overrides_of(directory)
    if before is None:
        print(f"{directory / 'provenance.json'} is damaged: what the run changed is no longer known, and it goes on")
        return None
    return list(dict.fromkeys([*before, *own]))


def make_acceleration(config: DictConfig) -> Acceleration:
    """What `accelerator` says beside Lightning's settings. Raises `UserError` for a setting of the wrong type."""
    from vaelab.accelerator.base import Acceleration
    from vaelab.config import check_settings
    from vaelab.run.build import part

    own = part(config.accelerator, list(ACCELERATION))
    check_settings(Acceleration, own)
    return Acceleration(**{str(key): value for key, value in own.items()})


def make_trainer(config: DictConfig, directory: Path, data: DataModule, variant: Method) -> L.Trainer:
    """Lightning's trainer with vaelab's callbacks."""
    import lightning as L
    from lightning.pytorch.callbacks import EarlyStopping, LambdaCallback
    from lightning.pytorch.utilities.exceptions import MisconfigurationException
    from omegaconf import OmegaConf

    from vaelab.config import check_settings
    from vaelab.loop import BlockLoop
    from vaelab.report.board import Board, Scalars
    from vaelab.report.checkpoints import Checkpoints, WholeFiles
    from vaelab.report.history import History
    from vaelab.report.progress import TrainingBar
    from vaelab.run.build import part
    from vaelab.run.checkpoint import checkpoint_entry
    from vaelab.run.processes import check_processes, keep_to_this_machine, let_weights_rest

    device = part(config.accelerator, [key for key in config.accelerator if key not in ACCELERATION])
    check_settings(L.Trainer, config.trainer)
    check_settings(L.Trainer, device)
    monitor, mode = chosen = choose_monitor(config, variant)
    settings: Any = {**OmegaConf.to_object(config.trainer), **OmegaConf.to_object(device)}  # type: ignore[dict-item]
    callbacks: list[L.Callback] = [
        _timer(settings.pop("max_time", None)),
        History(),
        Board(data, config.report.every_epochs, config.report.figures is not False),
        TrainingBar(),
    ]
    if config.early_stopping.patience is not None:
        # Not strict: an epoch may have no validation.
        callbacks.append(EarlyStopping(monitor, mode=mode, patience=config.early_stopping.patience, strict=False))
    entry = checkpoint_entry(config, variant)
    callbacks.append(Checkpoints(directory / "checkpoints", entry, chosen))
    # Not before the checkpoint was found to fit.
    callbacks.append(LambdaCallback(on_train_start=lambda *_: keep_changes(directory, config)))
    check_processes(settings)
    quiet = {"enable_model_summary": False, "enable_progress_bar": False, "num_sanity_val_steps": 0}
    logger = Scalars(directory, name="", version="tensorboard", default_hp_metric=False)
    try:
        trainer = L.Trainer(**{**quiet, **settings}, callbacks=callbacks, logger=logger, default_root_dir=directory)
    except (ValueError, RuntimeError, TypeError, ImportError, MisconfigurationException) as error:
        # Lightning's exceptions name a setting that it cannot honour: no such device, no such strategy.
        reason = " ".join(str(error).split())
        raise UserError(f"trainer and accelerator: {reason} Change that setting, or try accelerator=cpu") from error
    keep_to_this_machine(trainer.num_devices)
    if not variant.whole_steps:
        let_weights_rest(trainer.strategy)
    trainer.strategy.checkpoint_io = WholeFiles()
    BlockLoop.put_into(trainer)
    return trainer


def choose_monitor(config: DictConfig, variant: Method) -> tuple[str, str]:
    """What chooses the best weights, as `Method.monitored` says it.

    A run that was begun when there was no such setting goes on by what chose its best so far: the bound.
    """
    if "monitor" not in config and variant.monitor[0] == "val/objective" and "elbo" in variant.told():
        return variant.monitored("val/elbo")
    return variant.monitored(config.get("monitor"))


def _timer(max_time: Any) -> Timer:
    """What measures the training, and ends it after `max_time` where that is given."""
    from lightning.pytorch.callbacks import Timer
    from lightning.pytorch.utilities.exceptions import MisconfigurationException

    try:
        timer = Timer(max_time, verbose=False)
        if max_time is None or (timer.time_remaining() or 0) > 0:
            return timer
    except (TypeError, AttributeError, OverflowError, MisconfigurationException):
        pass
    raise UserError(f"trainer.max_time={max_time} is no time: give DD:HH:MM:SS, or {{hours:1,minutes:30}}, above zero")


def planned_steps(trainer: L.Trainer, data: DataModule) -> int:
    """The optimizer steps that the settings ask for; known before the trainer has seen the data.

    Raises:
        UserError: if there are none, or a setting of theirs asks for the impossible.
    """
    from vaelab.variant.base import FOREVER

    batches = -(-(len(data.stores["train"]) // trainer.world_size) // data.batch_size)
    limit = trainer.limit_train_batches
    batches = min(limit, batches) if isinstance(limit, int) else int(limit * batches)
    # There is none where validations go by the clock.
    every = getattr(trainer, "val_check_interval", None)
    if isinstance(every, int) and every > batches and trainer.check_val_every_n_epoch is not None:
        raise UserError(f"trainer.val_check_interval={every}: an epoch has {batches} batches; give at most as many")
    if isinstance(every, int | float) and batches and int(every if isinstance(every, int) else every * batches) < 1:
        raise UserError(f"trainer.val_check_interval={every} of {batches} batches is none: give at least 1")
    epochs = FOREVER if trainer.max_epochs in (None, -1) else trainer.max_epochs
    steps = min(-(-batches // trainer.accumulate_grad_batches) * (epochs or 0), FOREVER)
    steps = steps if trainer.max_steps == -1 else min(steps, trainer.max_steps)
    if steps < 1:
        raise UserError("trainer.max_epochs, max_steps or limit_train_batches leaves no step to take: give at least 1")
    return steps


def check_evaluation(trainer: L.Trainer, data: DataModule) -> None:
    """Check that there is something to test on, and to validate on where that is asked for. Raises `UserError`."""
    from vaelab.data.module import EVALUATION_BATCH

    for name, limit in (("val", trainer.limit_val_batches), ("test", trainer.limit_test_batches)):
        batches = -(-len(data.stores[name]) // (trainer.world_size * EVALUATION_BATCH))
        asked = limit if isinstance(limit, int) else int(limit * batches)
        if asked < 1 and (name == "test" or limit):
            # overfit_batches sets them, too.
            raise UserError(f"trainer.limit_{name}_batches={limit} of {batches} batches is none: give at least 1")


def fit(trainer: L.Trainer, variant: Method, data: DataModule, directory: Path, resume: str | None) -> float:
    """Train, from the last checkpoint if resumed; the seconds that it took, in all its parts.

    Raises:
        Interrupted: when Ctrl-C or SIGTERM stopped it, after saving.
        UserError: if the checkpoint does not fit, or is of a later epoch than the last that is asked for.
    """
    from lightning.pytorch.callbacks import Timer
    from lightning.pytorch.utilities.exceptions import MisconfigurationException

    last = last_checkpoint(directory) if resume else None
    try:
        trainer.fit(variant, datamodule=data, ckpt_path=last, weights_only=True)
    except MisconfigurationException as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{reason} Give more" if "max_epochs=" in reason else reason) from error
    except SystemExit:
        stopped_by = trainer.checkpoint_callback.stopped_by  # type: ignore[union-attr]
        if stopped_by is None:
            raise
        saved = f"stopped by {stopped_by.name} at step {trainer.global_step} and saved"
        raise Interrupted(f"{saved}; go on with {typed('resume', directory)}", 128 + stopped_by) from None
    except (LookupError, TypeError, ValueError, AttributeError, AssertionError, RuntimeError) as error:
        begun = trainer.checkpoint_callback.has_begun  # type: ignore[union-attr]
        if last is None or begun or as_mistake(error, "train") is not None:
            raise
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(
            f"{last} does not fit its run, or is damaged ({type(error).__name__}: {reason}): take it away, and resume= "
            "goes on from what is left"
        ) from error
    timer = next(callback for callback in trainer.callbacks if isinstance(callback, Timer))  # type: ignore[attr-defined]
    return timer.time_elapsed("train")


def report(
    trainer: L.Trainer, variant: Method, data: DataModule, directory: Path, config: DictConfig, seconds: float
) -> None:
    """Test the best weights; write metrics, figures and TensorBoard's last page; tell."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from vaelab.report.finale import final_report, tell_end
    from vaelab.run.trust import foreign_modules

    with told_when_stopped(directory):
        tested = evaluate_best(trainer, variant, data, directory)
        if trainer.is_global_zero:
            swept = HydraConfig.get().mode == RunMode.MULTIRUN
            metrics = final_report(trainer, variant, data, directory, config, tested, seconds, swept=swept)
            tell_end(directory, variant, metrics, swept=swept, trust=foreign_modules(config))


def keep_changes(directory: Path, config: DictConfig) -> None:
    """Have what a resumed run goes on with hold for the next time, too."""
    from vaelab.run.directory import write_config

    if config.resume and is_first_process():
        kept = config.copy()
        kept.resume = None
        write_config(directory, kept)


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


def evaluate_best(trainer: L.Trainer, variant: Method, data: DataModule, directory: Path) -> Tested:
    """The means over the test split, of the best weights, which the variant has from then on."""
    import torch

    from vaelab.report.finale import Tested

    # The trainer's own way puts the callbacks back, too, and with them the course of the training.
    best = torch.load(directory / "checkpoints" / "best.ckpt", map_location="cpu", weights_only=True, mmap=True)
    variant.load_state_dict(best["state_dict"])
    means = dict(trainer.test(variant, datamodule=data, verbose=False)[0])
    return Tested(means, best["epoch"] + 1, best["global_step"])


if __name__ == "__main__":
    main()
