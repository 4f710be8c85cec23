"""The end of a run: measures beside their baselines, figures, TensorBoard's last page, and what to do next."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import lightning as L
from lightning.pytorch.loggers import TensorBoardLogger
from omegaconf import DictConfig, OmegaConf

from vaelab.data.module import DataModule
from vaelab.figures.style import png
from vaelab.reporting.board import WIDEST_CODE, add_codes, add_picture, add_sounds, final_figures, save_pictures
from vaelab.reporting.history import History
from vaelab.reporting.sweep import SOON
from vaelab.reporting.tables import collapse_warning, tell_metrics
from vaelab.run import write_json
from vaelab.variants.base import VAE


def final_report(
    trainer: L.Trainer,
    variant: VAE,
    data: DataModule,
    directory: Path,
    config: DictConfig,
    tested: dict[str, float],
    seconds: float,
    *,
    swept: bool,
) -> dict[str, float]:
    """Measure and draw, into files and onto the board; `tested` are the whole test split's means. All measures.

    Of a sweep's job that is soon trained there are no figures, unless `report.figures` asks for them.
    """
    variant.cpu()
    examined = variant.examine(data.loader("test", config.report.test_items))
    measured = variant.measures(examined, data)
    name, mode = variant.monitor
    best = trainer.checkpoint_callback.best  # type: ignore[union-attr]
    # What chose the weights, and should choose among runs.
    chosen = {} if best is None else {name: best if mode == "max" else -best}
    metrics = chosen | tested | {f"{variant.prefix}/{name}": value for name, value in measured.items()}
    metrics |= {"measured_items": float(len(examined.x)), "fit_seconds": seconds}
    metrics["steps_per_second"] = trainer.global_step / max(seconds, 1e-9)
    write_json(directory / "metrics.json", metrics | kl_of_dimensions(variant))
    pictures: dict[str, bytes] = {}
    drawn = config.report.figures
    if drawn is None:
        drawn = not swept or seconds >= SOON
    if drawn:
        history = next(callback for callback in trainer.callbacks if isinstance(callback, History))  # type: ignore[attr-defined]
        figures = final_figures(variant, examined, history.curves, trainer.global_step)
        pictures = {name: png(figure) for name, figure in figures.items()}
        save_pictures(directory / "figures", pictures)
    if isinstance(trainer.logger, TensorBoardLogger):
        writer, step = trainer.logger.experiment, trainer.global_step
        for name, picture in pictures.items():
            add_picture(writer, f"test/{name}", picture, step)
        if drawn:
            add_sounds(writer, variant, examined, step)
            add_codes(writer, variant, examined, step)
        # One row of the HPARAMS page, beside the run's own scalars.
        writer.add_hparams(_settings(config), metrics, run_name=".")
        trainer.logger.finalize("success")
    return metrics


def tell_end(directory: Path, variant: VAE, metrics: dict[str, float], *, swept: bool) -> None:
    """Tell the measures, and what to do next; of a sweep's job neither, since the sweep ends with a table of all."""
    if not swept:
        tell_metrics(metrics, title=f"test measures of {directory.name}")
    dead = collapse_warning(int(metrics["test/active_units"]), variant.latent.dims)
    if dead is not None and variant.latent.has_prior:
        print(dead)
    if not swept:
        print()
        if (directory / "figures").is_dir():
            print(f"figures      {directory / 'figures'}")
        print(f"metrics      {directory / 'metrics.json'}")
        print(f"sample       vaelab-sample run={directory}")


def kl_of_dimensions(variant: VAE) -> dict[str, float]:
    """Each dimension's own KL in nats: for the file, which may hold hundreds of them, but not tens of thousands."""
    if not variant.latent.has_prior or len(variant.kl) > WIDEST_CODE:
        return {}
    return {f"test/kl_of_dimension/{k}": kl for k, kl in enumerate(variant.kl.tolist())}


def _settings(config: DictConfig) -> dict[str, str | float | bool]:
    """The configuration, flat, in the types that TensorBoard's page of settings takes."""
    flat: dict[str, str | float | bool] = {}

    def walk(node: dict[str, Any], prefix: str) -> None:
        for key, value in node.items():
            if isinstance(value, dict):
                walk(value, f"{prefix}{key}.")
            elif value is not None:
                flat[f"{prefix}{key}"] = value if isinstance(value, int | float | bool | str) else str(value)

    walk(cast("dict[str, Any]", OmegaConf.to_container(config)), "")
    return flat
