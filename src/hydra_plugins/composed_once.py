"""Hydra's own sweeper, except that the launcher gets the configurations that were composed to check them.

Hydra finds what lies in `hydra_plugins`; `configs/train.yaml` chooses this one with `override hydra/sweeper`.
"""

from __future__ import annotations

from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_store import ConfigStore
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

# Of a larger sweep the further jobs are composed twice: a thousand configurations take a quarter of a gigabyte.
MOST = 100

# As of Hydra's basic sweeper.
SETTINGS = {"_target_": "hydra_plugins.composed_once.ComposedOnceSweeper", "max_batch_size": None, "params": None}

ConfigStore.instance().store(group="hydra/sweeper", name="composed_once", node=SETTINGS, provider="vaelab")


class ComposedOnceSweeper(BasicSweeper):
    """Every combination of the values given. All jobs are composed before the first is run, so a mistake shows."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Give the launcher a loader that remembers what was composed."""
        loader: Any = Remembering(hydra_context.config_loader)
        remembering = HydraContext(config_loader=loader, callbacks=hydra_context.callbacks)
        super().setup(hydra_context=remembering, task_function=task_function, config=config)


class Remembering:
    """A config loader whose first composition of a job is also its second one; in all else the `loader` behind it."""

    def __init__(self, loader: ConfigLoader) -> None:
        self.loader = loader
        self.composed: dict[tuple[str, ...], DictConfig] = {}

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """A job's configuration; the same object twice, and then anew, since a job may change its own."""
        job = tuple(sweep_overrides)
        if job in self.composed:
            return self.composed.pop(job)
        config = self.loader.load_sweep_config(master_config, sweep_overrides)
        if len(self.composed) < MOST:
            self.composed[job] = config
        return config

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)

    def __reduce__(self) -> tuple[Any, ...]:
        # A launcher that runs jobs in other processes sends them the loader alone.
        return Remembering, (self.loader,)
