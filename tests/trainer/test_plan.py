import math

import lightning as L
import pytest

from vaelab.errors import UserError
from vaelab.trainer.plan import plan, planned_steps
from vaelab.variant.base import FOREVER


class Counted(L.Callback):
    """Notes how many steps Lightning expects and stops at once."""

    def on_train_start(self, trainer, module):
        self.steps = trainer.estimated_stepping_batches
        trainer.should_stop = True


SETTINGS = [
    {"max_epochs": 3},
    {"max_epochs": 3, "accumulate_grad_batches": 4},
    {"max_epochs": 3, "limit_train_batches": 5},
    {"max_epochs": 3, "limit_train_batches": 50},
    {"max_epochs": 3, "limit_train_batches": 0.55, "accumulate_grad_batches": 2},
    {"max_epochs": 3, "max_steps": 7},
    {"max_epochs": 2, "max_steps": 1000},
    {"max_epochs": -1, "max_steps": 1000},
    {"max_epochs": -1},
    {"max_epochs": 3, "overfit_batches": 2},
    {"max_epochs": 3, "val_check_interval": 3, "min_epochs": 2},
    {"fast_dev_run": 2},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_the_planned_steps_are_those_that_lightning_counts(tiny, trainer_of, settings):
    run, counted = tiny("sine", "dataset.waves=99", "dataset.batch_size=8"), Counted()
    trainer = trainer_of(callbacks=[counted], limit_val_batches=0, **settings)
    planned = planned_steps(trainer, run.data())
    trainer.fit(run.variant.train(), datamodule=run.data())
    assert planned == (counted.steps if math.isfinite(counted.steps) else FOREVER)


@pytest.mark.parametrize("world", [2, 3, 7])
def test_several_processes_plan_what_the_loader_of_each_serves(tiny, trainer_of, monkeypatch, world):
    run, trainer = tiny("sine", "dataset.waves=99", "dataset.batch_size=8"), trainer_of(max_epochs=3)
    data = run.data()
    monkeypatch.setattr(type(trainer), "world_size", world)
    data.trainer = trainer
    for rank in range(world):
        monkeypatch.setattr(type(trainer), "global_rank", rank)
        assert planned_steps(trainer, data) == 3 * len(data.train_dataloader())


def test_a_run_without_a_step_is_refused(tiny, trainer_of):
    data = tiny("sine").data()
    for settings in ({"max_epochs": 0}, {"max_steps": 0}, {"max_epochs": 1, "limit_train_batches": 0}):
        with pytest.raises(UserError, match=r"^trainer\.max_epochs, [^\n]+ leaves no step to take: give at least 1$"):
            planned_steps(trainer_of(**settings), data)


def test_the_schedule_of_a_variant_spans_the_planned_steps(tiny, trainer_of):
    run = tiny("sine", "beta_schedule=linear", "beta_schedule.warmup_steps=20", "dataset.batch_size=8")
    with pytest.raises(UserError, match=r"^beta_schedule\.warmup_steps=20 does not fit into a run of 6 steps"):
        plan(trainer_of(max_epochs=1), run.variant, run.data())
    plan(trainer_of(max_epochs=5), run.variant, run.data())
    assert run.variant.total_steps == 30


@pytest.mark.parametrize("name", ["val", "test"])
def test_a_share_that_leaves_nothing_to_evaluate_on_is_refused(tiny, trainer_of, name):
    run, limit = tiny("sine"), f"limit_{name}_batches"
    plan(trainer_of(max_epochs=1, limit_val_batches=0), run.variant, run.data())
    with pytest.raises(UserError, match=rf"^trainer\.{limit}=0\.5 of 1 batches is none: give at least 1$"):
        plan(trainer_of(max_epochs=1, **{limit: 0.5}), run.variant, run.data())
