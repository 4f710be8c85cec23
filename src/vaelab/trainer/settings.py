"""Settings that no object is built from, and those at which Lightning would only fail once it trains."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf

from vaelab.config import EarlyStop, Report, TrainSettings, check_settings
from vaelab.errors import UserError

# Of lightning.Trainer's settings those that are not the user's.
OWN = ("callbacks", "logger", "default_root_dir", "enable_checkpointing", "barebones")
# Codecs, baselines and measures work in 32 bits, and so do the weights.
PRECISIONS = ("32-true", "32", "16-mixed", "bf16-mixed", "16", "bf16", "None")
# What counts something, and so is at least one.
COUNTS = (
    *("report.test_items", "early_stopping.patience", "trainer.accumulate_grad_batches"),
    *("trainer.check_val_every_n_epoch", "trainer.log_every_n_steps"),
)


def check_plain(config: DictConfig) -> None:
    """Check that nothing lacks a value, and the settings that no object is built from. Raises `UserError`."""
    for key in sorted(OmegaConf.missing_keys(config)):
        raise UserError(f"{key} has no value: give {key}=…")
    check_settings(TrainSettings, config)
    check_settings(Report, config.report)
    check_settings(EarlyStop, config.early_stopping)
    _check_numbers(config)
    _check_machine(config)


def _check_numbers(config: DictConfig) -> None:
    for key in COUNTS:
        count = OmegaConf.select(config, key)
        if isinstance(count, int) and count < 1:
            raise UserError(f"{key} must be at least 1, not {count}")
    # Lightning would let the weights go up the gradient.
    if isinstance(clip := config.trainer.get("gradient_clip_val"), int | float) and clip < 0:
        raise UserError(f"trainer.gradient_clip_val must not be negative, not {clip}")


def _check_machine(config: DictConfig) -> None:
    """Check what Lightning would wait for, or fail at in the first step."""
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
