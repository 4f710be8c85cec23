"""The plan of a run: how many steps it takes, and whether all that is asked for has its place in them.

It is made of the settings and the sizes of the data, before a directory is taken or a step is.
"""

from __future__ import annotations

import lightning as L

from vaelab.data.module import EVALUATION_BATCH, DataModule
from vaelab.errors import UserError
from vaelab.variant.base import FOREVER, Method


def plan(trainer: L.Trainer, variant: Method, data: DataModule) -> None:
    """Tell the variant how many steps its run takes, and check that its schedules and all evaluations have a place.

    Raises:
        UserError: naming the setting that leaves none.
    """
    variant.total_steps = planned_steps(trainer, data)
    variant.check_plan(variant.total_steps)
    check_evaluation(trainer, data)


def planned_steps(trainer: L.Trainer, data: DataModule) -> int:
    """The optimizer steps that the settings ask for; `FOREVER` where there is no end.

    Raises:
        UserError: if there are none, or a setting of theirs asks for the impossible.
    """
    batches = _limited(
        _count(len(data.stores["train"]) // trainer.world_size, data.batch_size), trainer.limit_train_batches
    )
    _check_interval(trainer, batches)
    epochs = FOREVER if trainer.max_epochs in (None, -1) else trainer.max_epochs
    steps = min(_count(batches, trainer.accumulate_grad_batches) * (epochs or 0), FOREVER)
    steps = steps if trainer.max_steps == -1 else min(steps, trainer.max_steps)
    if steps < 1:
        raise UserError("trainer.max_epochs, max_steps or limit_train_batches leaves no step to take: give at least 1")
    return steps


def _check_interval(trainer: L.Trainer, batches: int) -> None:
    """Check that validations within the epoch fall into its batches."""
    # There is no such setting where validations go by the clock.
    every = getattr(trainer, "val_check_interval", None)
    if isinstance(every, int) and every > batches and trainer.check_val_every_n_epoch is not None:
        raise UserError(f"trainer.val_check_interval={every}: an epoch has {batches} batches; give at most as many")
    if isinstance(every, int | float) and batches and int(every if isinstance(every, int) else every * batches) < 1:
        raise UserError(f"trainer.val_check_interval={every} of {batches} batches is none: give at least 1")


def check_evaluation(trainer: L.Trainer, data: DataModule) -> None:
    """Check that there is something to test on, and to validate on where that is asked for. Raises `UserError`."""
    for name, limit in (("val", trainer.limit_val_batches), ("test", trainer.limit_test_batches)):
        batches = _count(len(data.stores[name]), trainer.world_size * EVALUATION_BATCH)
        if _limited(batches, limit) < 1 and (name == "test" or limit):
            # overfit_batches sets them, too.
            raise UserError(f"trainer.limit_{name}_batches={limit} of {batches} batches is none: give at least 1")


def _count(things: int, each: int) -> int:
    """How many lots of so many each they make, the last perhaps smaller."""
    return -(-things // each)


def _limited(batches: int, limit: float) -> int:
    """How many of the batches a limit leaves, which is a number of them or a share."""
    return min(limit, batches) if isinstance(limit, int) else int(limit * batches)
