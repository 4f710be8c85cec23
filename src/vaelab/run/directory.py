"""What a run directory holds, and how one is continued."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf

from vaelab.cli import is_first_process
from vaelab.errors import TakenError, UserError
from vaelab.overrides import typed
from vaelab.run.checkpoint import KEY, read_checkpoint, whole_config
from vaelab.run.records import write_left_out, write_provenance, write_whole
from vaelab.run.state import last_checkpoint, left_at, words_of
from vaelab.run.trust import refuse_foreign

if TYPE_CHECKING:
    from vaelab.data.module import DataModule, Found
    from vaelab.run.folder import Opened

# What a continued run may have changed: how long, where and with what reports, never what is learnt from what.
CHANGEABLE = (
    "resume.",
    "threads.",
    "trust.",
    "trainer.",
    "accelerator.",
    "early_stopping.",
    "report.",
    "dataset.root.",
    "dataset.file.",
)


# What Lightning restores of a checkpoint, and passes over in silence where it is not there.
RESUMED = ("state_dict", "optimizer_states", "lr_schedulers", "loops", "callbacks", "epoch", "global_step")


def refuse_taken(directory: Path) -> None:
    """Raise `TakenError` if a run lives in this directory already."""
    left = left_at(directory)
    if left is not None:
        going_on = "begin it anew as it was configured" if left == "begun" else "continue it"
        raise TakenError(
            f"{directory} already holds a run: choose another folder (hydra.run.dir, a sweep's hydra.sweep.dir), or "
            f"{going_on} with {typed('resume', directory)}"
        )


def claim(directory: Path, *, begun: bool = False) -> None:
    """Make room for a run: of one that was `begun`, and saved nothing, the course is taken away.

    Raises:
        TakenError: if another run lives there by now, which no lock has told of; nothing is touched.
    """
    if not begun:
        refuse_taken(directory)
    directory.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(directory / "tensorboard", ignore_errors=True)
    (directory / "left_out.txt").unlink(missing_ok=True)


def write_down(opened: Opened, found: Found, data: DataModule) -> None:
    """Write down what a run is and where it comes from, which takes the directory; of a resumed one what is new."""
    directory, config, is_new = opened.directory, opened.config, not opened.config.resume
    words = words_of(directory)
    if is_new:
        claim(directory, begun=opened.left is not None)
    write_provenance(directory, config, found, words)
    write_left_out(directory, data.items.left_out)
    if is_new:
        # Last of all: from here on there is a run, which all the rest says what it is of.
        write_config(directory, config)


def keep_changes(opened: Opened) -> None:
    """Have what a resumed run goes on with hold for the next time, too."""
    if opened.config.resume and is_first_process():
        kept = opened.config.copy()
        kept.resume = None
        write_config(opened.directory, kept)


def write_config(directory: Path, config: DictConfig) -> None:
    """Write `config.yaml`, with which the run goes on when it is resumed."""
    write_whole(directory / "config.yaml", OmegaConf.to_yaml(config))


def stored_config(directory: Path, trust: Sequence[str] = ()) -> DictConfig:
    """The configuration of the run in this directory; of its checkpoint where `config.yaml` is missing or damaged.

    Raises:
        UserError: if there is neither, the checkpoint is damaged, too, or it names what is neither vaelab's nor in a
            module that is to be trusted.
    """
    config = _read_config(directory)
    refuse_foreign(config, str(directory), trust)
    return config


def _read_config(directory: Path) -> DictConfig:
    file, checkpoint = directory / "config.yaml", last_checkpoint(directory)
    if not file.is_file() and checkpoint is None:
        raise UserError(f"{directory} holds no run (no config.yaml): give a run directory")
    try:
        return whole_config(file.read_text(encoding="utf-8", errors="replace"), str(file))
    except (OSError, UserError) as error:
        if checkpoint is None:
            raise UserError(f"{error}; no checkpoint has a copy: start a new run") from error
        if is_first_process():
            print(f"{error}; its copy in {checkpoint} is taken")
    config = whole_config(read_checkpoint(checkpoint)[KEY]["config"], str(checkpoint))
    config.resume = None
    return config


def reopen(directory: Path, composed: DictConfig, overrides: list[str]) -> DictConfig:
    """The configuration of a run to be continued, with what the command line changes, as `composed` has it.

    Raises:
        UserError: if no run is there, it is damaged, or what is to be changed would make it another run.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    config = stored_config(directory, composed.trust)
    for override in OverridesParser.create().parse_overrides(overrides):
        key, value = override.key_or_group, override.value()
        group = isinstance(value, str) and isinstance(composed.get(key), DictConfig)
        node = isinstance(OmegaConf.select(config, key), DictConfig)
        if not f"{key}.".startswith(CHANGEABLE) or (node and not group):
            raise UserError(f"resume= continues a run as it was configured; {key}={value} needs a new run")
        OmegaConf.update(config, key, composed[key] if group else value, merge=not group)
    return config


def check_whole(directory: Path) -> None:
    """Raise `UserError`, with the remedy, if a checkpoint of this run's is damaged."""
    last, best = (directory / "checkpoints" / f"{name}.ckpt" for name in ("last", "best"))
    anew = "take it away, and resume= begins the run anew"
    remedies = {
        last: "take it away, and resume= goes on from best.ckpt" if best.is_file() else anew,
        best: "put a copy of last.ckpt in its place, and resume= goes on" if last.is_file() else anew,
    }
    for file, remedy in remedies.items():
        if file.is_file():
            try:
                lacking = [name for name in RESUMED if name not in read_checkpoint(file)]
            except UserError as error:
                raise UserError(f"{error}; {remedy}") from error
            if lacking:
                raise UserError(f"{file} is damaged: it has no {lacking[0]}; {remedy}")
