"""The end of a run: measures beside their baselines, figures, TensorBoard's last page, and what to do next."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import lightning as L
from lightning.pytorch.loggers import TensorBoardLogger
from omegaconf import DictConfig, OmegaConf

from vaelab.data.items import as_text
from vaelab.data.module import DataModule
from vaelab.errors import UserError
from vaelab.figures.style import png
from vaelab.kind.base import Examined
from vaelab.overrides import typed
from vaelab.report.board import (
    add_codes,
    add_measures,
    add_picture,
    add_sounds,
    final_figures,
    save_pictures,
)
from vaelab.report.history import History
from vaelab.report.judge import distance_measures, flow_distance, flow_figure, look, measures
from vaelab.report.sweep import SOON
from vaelab.report.tables import collapse_warning, early_warning, is_beside, samples_note, tell_metrics
from vaelab.run.flow import keep_flow, kept_at
from vaelab.run.records import write_json
from vaelab.variant.base import HasCode, Method

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from vaelab.latent.flow import Flow

# Seconds of training of which a flow's fit is a small part: after less it waits until it is asked for.
LONG = 120.0
# Settings of how a run is carried out, not of what is made: columns of the HPARAMS page only where they were typed.
ASIDE = ("accelerator", "report", "resume", "threads")


class Tested(NamedTuple):
    """What the kept weights are worth: the whole test split's means; and of which epoch, from 1, and step they are."""

    means: dict[str, float]
    epoch: int
    step: int


def final_report(
    trainer: L.Trainer,
    variant: Method,
    data: DataModule,
    directory: Path,
    config: DictConfig,
    tested: Tested,
    seconds: float,
    *,
    swept: bool,
) -> dict[str, float]:
    """Measure and draw, into files and onto the board. All measures that are numbers come back.

    Of a sweep's job that is soon trained there are no figures, unless `report.figures` asks for them.
    """
    variant.cpu()
    seen = look(variant, data.loader("test", config.report.test_items))
    measured = measures(variant, seen, data)
    name, mode = trainer.checkpoint_callback.monitor  # type: ignore[union-attr]
    best = trainer.checkpoint_callback.best  # type: ignore[union-attr]
    # What chose the weights, and should choose among runs.
    chosen = {} if best is None else {name: best if mode == "max" else -best}
    metrics = chosen | tested.means | {f"{variant.kind.prefix}/{name}": value for name, value in measured.items()}
    metrics |= distance_measures(variant, data)
    flow = learnt_prior(variant, data, directory / "checkpoints" / "best.ckpt") if seconds >= LONG else None
    if flow is not None:
        metrics |= flow_distance(variant, flow, data)
    metrics |= {"measured_items": float(len(seen.x)), "fit_seconds": seconds}
    metrics["steps_per_second"] = trainer.global_step / max(seconds, 1e-9)
    metrics |= {"best_epoch": float(tested.epoch), "epochs": float(max(trainer.current_epoch, tested.epoch))}
    metrics = {name: value for name, value in metrics.items() if math.isfinite(value)}
    write_json(
        directory / "metrics.json", metrics | {f"test/{name}": value for name, value in variant.listed().items()}
    )
    pictures: dict[str, bytes] = {}
    drawn = config.report.figures
    if drawn is None:
        drawn = not swept or seconds >= SOON
    if drawn:
        history = next(callback for callback in trainer.callbacks if isinstance(callback, History))  # type: ignore[attr-defined]
        figures = final_figures(variant, seen, history.curves, trainer.global_step, tested.step)
        figures |= {} if flow is None else flow_figure(variant, flow)
        pictures = {name: png(figure) for name, figure in figures.items()}
        save_pictures(directory / "figures", pictures)
    if isinstance(trainer.logger, TensorBoardLogger):
        writer, step = trainer.logger.experiment, trainer.global_step
        for name, picture in pictures.items():
            # One name for a number and a picture, such as `test/kl`, would break the pages of both.
            add_picture(writer, f"test/figures/{name}", picture, step)
        if drawn:
            add_sounds(writer, variant, seen, step)
            if isinstance(seen, Examined):
                add_codes(writer, variant, seen, step)
        own = {name: value for name, value in metrics.items() if name.startswith(f"{variant.kind.prefix}/")}
        add_measures(writer, {name: value for name, value in own.items() if not is_beside(name)}, step)
        words = json.loads((directory / "provenance.json").read_text())["overrides"] or []
        add_settings(writer, settings_of(config, words), step)
        trainer.logger.finalize("success")
    return metrics


def learnt_prior(variant: Method, data: DataModule, checkpoint: Path) -> Flow | None:
    """Fit and keep the flow of a checkpoint; where that cannot be, say so. None of what has no codes of items."""
    if not isinstance(variant, HasCode):
        return None
    try:
        return keep_flow(variant, data, kept_at(checkpoint))
    except UserError as error:
        print(error)
        return None


def tell_end(
    directory: Path, variant: Method, metrics: dict[str, float], *, swept: bool, trust: Sequence[str] = ()
) -> None:
    """Tell the measures, and what to do next; of a sweep's job neither, since the sweep ends with a table of all.

    `trust` names the user's own modules that the run needs.
    """
    if not swept:
        tell_metrics(metrics, title=f"test measures of {directory.name}")
        if note := samples_note(metrics):
            print(note)
    active = metrics.get("test/active_units")
    dead = None if active is None else collapse_warning(int(active), variant.latent.dims)
    early = early_warning(int(metrics["best_epoch"]), int(metrics["epochs"]))
    for warning in filter(None, (dead, early)):
        print(warning)
    if not swept:
        print()
        if (directory / "figures").is_dir():
            print(f"figures      {directory / 'figures'}")
        print(f"metrics      {directory / 'metrics.json'}")
        own = [typed("trust", f"[{','.join(trust)}]")] if trust else []
        print(" ".join(["sample       vaelab-sample", typed("run", directory), *own]))


def add_settings(writer: SummaryWriter, settings: dict[str, str | float], step: int) -> None:
    """Make the run a row of the HPARAMS page, whose columns are settings and the scalars that are on the board.

    Without a list of its own the page shows the settings of all runs, those first in which they differ.
    """
    from torch.utils.tensorboard.summary import hparams

    _, start, end = hparams(settings, {})
    for summary in (start, end):
        writer._get_file_writer().add_summary(summary, step)


def settings_of(config: DictConfig, words: list[str]) -> dict[str, str | float]:
    """What makes a run what it is, flat: what it has of the configuration, and what its command line said beside it.

    The words of the command line choose an entry of a group, or how the run is carried out.
    """
    flat: dict[str, str | float] = {}

    def walk(node: dict[str, Any], prefix: str) -> None:
        for key, value in node.items():
            if isinstance(value, dict):
                walk(value, f"{prefix}{key}.")
            elif value is not None and not key.startswith("_"):
                plain = isinstance(value, int | float) and not isinstance(value, bool)
                flat[f"{prefix}{key}"] = value if plain else as_text(str(value))

    whole = cast("dict[str, Any]", OmegaConf.to_container(config))
    walk({key: value for key, value in whole.items() if key not in ASIDE}, "")
    typed = dict(word.lstrip("+").split("=", 1) for word in words if "=" in word)
    return {key: value for key, value in typed.items() if key not in flat} | flat
