"""Hydra's own sweeper, composing once what differs in values alone, and telling at the end what failed.

Hydra finds what lies in `hydra_plugins`; `override hydra/sweeper: vaelab` in `configs/` chooses this one.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import get_overrides_dirname
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from vaelab.cli import is_first_process
from vaelab.errors import UserError
from vaelab.run.folder import SWEEP_LOCK, own_folder

# A sweep over groups composes one configuration for each choice of them, and a thousand take a quarter of a gigabyte.
MOST = 100

# As of Hydra's basic sweeper, and whether the jobs are only listed.
SETTINGS = {
    "_target_": "hydra_plugins.vaelab_sweeper.VaelabSweeper",
    "max_batch_size": None,
    "params": None,
    "dry": False,
}

ConfigStore.instance().store(group="hydra/sweeper", name="vaelab", node=SETTINGS, provider="vaelab")


class VaelabSweeper(BasicSweeper):
    """Every combination of the values given. All jobs are composed before the first is run, so a mistake shows."""

    def __init__(self, max_batch_size: int | None, params: dict[str, str] | None = None, *, dry: bool = False) -> None:
        super().__init__(max_batch_size, params)
        self.dry = dry

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Give the launcher a loader that remembers what was composed."""
        loader: Any = Remembering(hydra_context.config_loader)
        remembering = HydraContext(config_loader=loader, callbacks=hydra_context.callbacks)
        super().setup(hydra_context=remembering, task_function=task_function, config=config)

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        """Run all jobs, those behind a failed one, too; or, `dry`, list them.

        Raises:
            TakenError: if another sweep goes through the same folder.
            UserError: if there is no job, or a value is no list of values; and at the end if a job has failed.
        """
        assert self.hydra_context is not None
        loader = self.hydra_context.config_loader
        overrides = OverridesParser.create(loader).parse_overrides([*self._parse_config(), *arguments])
        batches = self.split_arguments(_listed(overrides), self.max_batch_size)
        for batch in batches:
            self.validate_batch_is_legal(batch)
        if self.dry:
            for number, job in enumerate(job for batch in batches for job in batch):
                print(f"{number:>4}  {' '.join(job)}")
            return []
        with own_folder(self._folder, self._begin, SWEEP_LOCK):
            return self._launch(batches)

    def _folder(self) -> Path:
        # What time it is, when it is in the name, is asked here for all jobs.
        return Path(self.config.hydra.sweep.dir)  # type: ignore[union-attr]

    def _begin(self, folder: Path) -> None:
        if is_first_process():
            OmegaConf.save(self.config, folder / "multirun.yaml")

    def _launch(self, batches: list[list[list[str]]]) -> list[Sequence[JobReturn]]:
        assert self.hydra_context is not None and self.config is not None and self.launcher is not None
        done: list[Sequence[JobReturn]] = []
        try:
            for batch in batches:
                done.append(self.launcher.launch(batch, initial_job_idx=sum(map(len, done))))
            _complain([job for jobs in done for job in jobs])
        except BaseException:
            # Hydra itself tells the callbacks of an end without a failure alone.
            self.hydra_context.callbacks.on_multirun_end(
                config=self.config, config_name=self.config.hydra.job.config_name
            )
            raise
        return done


def _listed(overrides: list[Override]) -> list[Override]:
    """The overrides, if every one of them has values that can be listed, and at least one."""
    for override in overrides:
        if override.is_sweep_override():
            if not override.is_discrete_sweep():
                remedy = "give A,B,… or range(A,B,STEP), or take hydra/sweeper=optuna"
                raise UserError(f"{override.input_line} is no list of values: {remedy}")
            if next(override.sweep_string_iterator(), None) is None:
                raise UserError(f"{override.input_line} leaves no job to run: give A,B,… or range(A,B,STEP)")
    return overrides


def _complain(jobs: list[JobReturn]) -> None:
    """Raise `UserError` if jobs have failed; each told why at once."""
    failed = [number for number, job in enumerate(jobs) if job.status == JobStatus.FAILED]
    if failed:
        raise UserError(f"{len(failed)} of {len(jobs)} jobs failed: {', '.join(map(str, failed))}")


class Remembering:
    """A config loader that composes once for all jobs whose overrides differ in plain values; else the `loader` itself.

    Hydra writes values into what it has composed last of all, so a copy with other values is what it would compose.
    """

    def __init__(self, loader: ConfigLoader) -> None:
        self.loader = loader
        self.is_group = cache(lambda name: bool(loader.get_group_options(name)))
        self.parse = cache(OverridesParser.create().parse_override)
        self.composed: dict[tuple[str, ...], tuple[list[Override], DictConfig]] = {}

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """A job's configuration, which is its own to change."""
        overrides = [self.parse(word) for word in sweep_overrides]
        values = {override.key_or_group for override in overrides if self._is_plain_value(override, overrides)}
        kind = tuple(o.key_or_group if o.key_or_group in values else str(o.input_line) for o in overrides)
        if kind not in self.composed:
            config = self.loader.load_sweep_config(master_config, sweep_overrides)
            if len(self.composed) == MOST:
                return config
            self.composed[kind] = overrides, config
        before, config = self.composed[kind]
        config = copy.deepcopy(config)
        OmegaConf.copy_cache(from_config=master_config, to_config=config)
        if overrides != before:
            for override in overrides:
                if override.key_or_group in values:
                    OmegaConf.update(config, override.key_or_group, override.value())
            _tell(config, [override for override in overrides if not override.is_hydra_override()])
        return config

    def _is_plain_value(self, override: Override, overrides: list[Override]) -> bool:
        """Whether it says `key=value` of one number or word, in a place that no other override touches."""
        key = override.key_or_group
        return (
            override.type == OverrideType.CHANGE
            and override.package is None
            and not override.is_hydra_override()
            and not isinstance(override.value(), dict | list)
            and not self.is_group(key)
            and not any(_overlap(key, other.key_or_group) for other in overrides if other is not override)
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)

    def __reduce__(self) -> tuple[Any, ...]:
        # A launcher that runs jobs in other processes sends them the loader alone.
        return Remembering, (self.loader,)


def _overlap(key: str, other: str) -> bool:
    """Whether one of two keys holds the other."""
    return f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}.")


def _tell(config: DictConfig, overrides: list[Override]) -> None:
    """Have the configuration say of which overrides it is."""
    config.hydra.overrides.task = [override.input_line for override in overrides]
    naming = config.hydra.job.config.override_dirname
    config.hydra.job.override_dirname = get_overrides_dirname(
        overrides=overrides, exclude_keys=naming.exclude_keys, item_sep=naming.item_sep, kv_sep=naming.kv_sep
    )
