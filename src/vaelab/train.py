"""The door of training: compose, build, fit, test, report.

What is heavy is imported inside, so that help and mistyped settings answer at once.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from vaelab.cli import is_first_process, program
from vaelab.run.folder import Opened, is_done, is_swept, open_run, output_dir
from vaelab.trainer.frameworks import import_frameworks

if TYPE_CHECKING:
    from omegaconf import DictConfig


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
    with open_run(config) as opened:
        return train_in(opened)


def train_in(opened: Opened) -> float:
    """Train in a directory that is this process's own; the best validation score comes back."""
    from lightning import seed_everything

    from vaelab.config import foreign_modules
    from vaelab.memory import TRAINED
    from vaelab.report.finale import final_report, tell_end
    from vaelab.report.tables import tell_found
    from vaelab.run.build import build_acceleration, build_variant, set_threads, shared_data
    from vaelab.run.directory import write_down
    from vaelab.seeding import short_seed
    from vaelab.trainer.fit import evaluate_best, fit, told_when_stopped
    from vaelab.trainer.make import make_trainer
    from vaelab.trainer.plan import plan
    from vaelab.trainer.settings import check_plain

    directory, config = opened.directory, opened.config
    check_plain(config)
    seed_everything(short_seed("weights", config.seed), workers=True, verbose=False)
    set_threads(config.threads)

    data = shared_data(config)
    found = data.prepare()
    variant = build_variant(config, data.codec, found.signature, found.shape, copies=TRAINED)
    variant.check_data(found.low, found.high)
    trainer, acceleration = make_trainer(opened, data, variant), build_acceleration(config)
    plan(trainer, variant, data)
    variant.look_at(data)
    acceleration.check(trainer.strategy.root_device)

    if is_first_process():
        tell_found(found, data)
        print(f"run directory {directory}")
        write_down(opened, found, data)
    with variant.divergence_told():
        with acceleration.of(variant, trainer.strategy.root_device):
            seconds = fit(trainer, variant, data, opened)
        with told_when_stopped(directory):
            tested = evaluate_best(trainer, variant, data, directory)
            if trainer.is_global_zero:
                swept = is_swept()
                metrics = final_report(trainer, variant, data, directory, config, tested, seconds, swept=swept)
                tell_end(directory, variant, metrics, swept=swept, trust=foreign_modules(config))
    best = trainer.checkpoint_callback.best  # type: ignore[union-attr]
    return math.nan if best is None else float(best)


if __name__ == "__main__":
    main()
