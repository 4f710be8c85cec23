"""Files are whole or as they were, the best is not what the last has become, and what waits is not lost."""

import os
import resource
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.callbacks import LambdaCallback
from lightning.pytorch.utilities.exceptions import SIGTERMException

from vaelab.optimizer.adamw_cosine import adamw_cosine
from vaelab.report.checkpoints import HOLD, Checkpoints, WholeFiles, check_restored, second_name


@pytest.fixture
def small_disk():
    """No file can grow beyond 100 kB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_an_error_of_the_disk_and_leaves_what_was_there(small_disk, tmp_path):
    file = tmp_path / "checkpoints" / "last.ckpt"
    WholeFiles().save_checkpoint({"step": torch.tensor(1)}, file)
    with pytest.raises(OSError, match="too large"):
        WholeFiles().save_checkpoint({"step": torch.tensor(2), "weights": torch.zeros(1_000_000)}, file)
    assert torch.load(file, weights_only=True)["step"] == 1
    assert list(file.parent.iterdir()) == [file]


def test_other_faults_of_writing_are_not_hidden(tmp_path):
    with pytest.raises(Exception, match="pickle"):
        WholeFiles().save_checkpoint({"function": lambda: None}, tmp_path / "last.ckpt")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("links", [True, False])
def test_the_best_stays_when_the_last_goes_on(tmp_path, monkeypatch, links):
    def refused(*_):
        raise PermissionError("no links here")

    if not links:
        monkeypatch.setattr(os, "link", refused)
    last, best = tmp_path / "last.ckpt", tmp_path / "best.ckpt"
    for step in (1, 2):
        WholeFiles().save_checkpoint({"step": step}, last)
        second_name(last, best)
    WholeFiles().save_checkpoint({"step": 3}, last)
    assert [torch.load(file, weights_only=True)["step"] for file in (best, last)] == [2, 3]
    assert sorted(tmp_path.iterdir()) == [best, last]


def steps(folder):
    return {file.stem: torch.load(file, weights_only=True)["step"].item() for file in folder.iterdir()}


def test_what_is_held_is_what_it_was_then(tmp_path):
    files, weights = WholeFiles(), torch.tensor(1)
    files.save_checkpoint({"step": weights, "of": [{"deep": weights}]}, tmp_path / "last.ckpt", HOLD)
    weights += 1
    assert not list(tmp_path.iterdir())
    files.write_held()
    assert steps(tmp_path) == {"last": 1}
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["of"][0]["deep"] == 1
    (tmp_path / "last.ckpt").unlink()
    files.write_held()
    assert not list(tmp_path.iterdir())


def test_the_best_is_written_before_a_last_that_knows_of_it(tmp_path, monkeypatch):
    files = WholeFiles()
    best, last = tmp_path / "best.ckpt", tmp_path / "last.ckpt"
    files.save_checkpoint({"step": torch.tensor(2)}, last, HOLD)
    files.save_checkpoint({"step": torch.tensor(1)}, best, HOLD)
    write = WholeFiles._write

    def once(self, checkpoint, path):
        write(self, checkpoint, path)
        raise OSError("the disk is gone")

    monkeypatch.setattr(WholeFiles, "_write", once)
    with pytest.raises(OSError, match="gone"):
        files.write_held()
    assert steps(tmp_path) == {"best": 1}


def test_one_checkpoint_under_two_names_is_written_once(tmp_path):
    files = WholeFiles()
    best, last = tmp_path / "best.ckpt", tmp_path / "last.ckpt"
    files.save_checkpoint({"step": torch.tensor(1)}, last, HOLD)
    files.held[best] = files.held[last]
    files.write_held()
    assert best.samefile(last)


def test_what_was_held_does_not_come_over_a_later_step(tmp_path):
    files = WholeFiles()
    for step, option in ((1, HOLD), (2, None)):
        files.save_checkpoint({"step": torch.tensor(step)}, tmp_path / "last.ckpt", option)
    files.write_held()
    assert steps(tmp_path) == {"last": 2}


@pytest.fixture
def fitted(tiny, trainer_of, tmp_path, monkeypatch):
    """Train five epochs of which the third is the best; the epochs that were written as the last, and what is there."""

    def fit(share, broken=None, by=None):
        seen, scores = [], {1: 1.0, 2: 2.0, 3: 5.0, 4: 3.0, 5: 4.0}
        write = WholeFiles.write_held

        def watched(self):
            if self.held:
                seen.append(self.held[tmp_path / "last.ckpt"]["epoch"] + 1)
            write(self)

        def score(trainer, module):
            trainer.callback_metrics["val/elbo"] = torch.tensor(scores[trainer.current_epoch + 1])
            if trainer.current_epoch + 1 == broken:
                raise by or RuntimeError("broken")

        monkeypatch.setattr(WholeFiles, "write_held", watched)
        monkeypatch.setattr(Checkpoints, "SHARE", share)
        run = tiny("sine")
        checkpoints = Checkpoints(tmp_path, {}, ("val/elbo", "max"))
        callbacks = [LambdaCallback(on_validation_end=score), checkpoints]
        trainer = trainer_of(max_epochs=5, callbacks=callbacks, enable_checkpointing=True)
        trainer.strategy.checkpoint_io = WholeFiles()
        try:
            trainer.fit(run.variant.train(), datamodule=run.data())
        except SystemExit:
            assert isinstance(by, SIGTERMException)
        except RuntimeError as error:
            assert str(error) == "broken"
        epochs = {
            file.stem: torch.load(file, weights_only=True)["epoch"] + 1 for file in sorted(tmp_path.glob("*.ckpt"))
        }
        return seen, epochs

    return fit


def test_where_writing_costs_nothing_each_epoch_is_written(fitted):
    assert fitted(share=1e9) == ([1, 2, 3, 4, 5], {"best": 3, "last": 5})


def test_where_writing_would_cost_too_much_the_end_is_written(fitted):
    assert fitted(share=0.0) == ([1, 5], {"best": 3, "last": 5})


def test_an_interruption_writes_the_best_before_the_last(fitted, monkeypatch):
    written, write = [], WholeFiles._write

    def noted(self, checkpoint, path):
        written.append(path.stem)
        write(self, checkpoint, path)

    monkeypatch.setattr(WholeFiles, "_write", noted)
    _, epochs = fitted(share=0.0, broken=5, by=SIGTERMException())
    assert written == ["best", "best", "last"]
    assert epochs == {"best": 3, "last": 5}


def test_an_error_loses_no_epoch_that_was_whole(fitted):
    seen, epochs = fitted(share=0.0, broken=5)
    assert seen == [1, 4]
    assert epochs == {"best": 3, "last": 4}


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda optimizer, schedule: None, None),
        (
            lambda optimizer, schedule: schedule.base_lrs.__setitem__(0, "0x10"),
            "schedule has rates that are no numbers",
        ),
        (lambda optimizer, schedule: setattr(schedule, "last_epoch", [1]), "schedule has rates that are no numbers"),
        (lambda optimizer, schedule: optimizer.param_groups[0].update(lr="1e-3"), "learning rate is no number"),
        (lambda optimizer, schedule: first(optimizer).update(exp_avg=torch.zeros(2)), "exp_avg is not shaped"),
    ],
)
def test_what_was_put_back_is_checked(damage, words):
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer, schedule = adamw_cosine([weight], 10)
    weight.sum().backward()
    optimizer.step()
    schedule.step()
    damage(optimizer, schedule)
    planned = [SimpleNamespace(scheduler=schedule)]
    trainer = SimpleNamespace(callbacks=[], optimizers=[optimizer], lr_scheduler_configs=planned)
    with nullcontext() if words is None else pytest.raises(TypeError, match=words):
        check_restored(trainer)


def first(optimizer):
    return next(iter(optimizer.state.values()))
