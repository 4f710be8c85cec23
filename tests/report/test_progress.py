import io

import pytest
from lightning.pytorch.callbacks import LambdaCallback

from vaelab.report.checkpoints import Checkpoints, WholeFiles
from vaelab.report.console import Terminal
from vaelab.report.progress import TrainingBar
from vaelab.trainer.plan import plan


@pytest.fixture
def drawn(tiny, trainer_of, tmp_path):
    """The last frame that a terminal is shown of a training of three epochs."""

    def train(**settings):
        run, bar, out = tiny("sine", "dataset.batch_size=8"), TrainingBar(refresh_seconds=0.0), io.StringIO()
        bar.console = Terminal(file=out, force_terminal=True, width=160, color_system=None)

        def stop(trainer, module):
            trainer.should_stop = trainer.current_epoch == 2

        callbacks = [bar, LambdaCallback(on_train_epoch_end=stop), Checkpoints(tmp_path, {}, ("val/elbo", "max"))]
        trainer = trainer_of(callbacks=callbacks, enable_checkpointing=True, **settings)
        trainer.strategy.checkpoint_io = WholeFiles()
        plan(trainer, run.variant, run.data())
        trainer.fit(run.variant.train(), datamodule=run.data())
        return next(line for line in reversed(out.getvalue().splitlines()) if "epoch" in line).rpartition("epoch")[2]

    return train


def test_the_bar_goes_from_the_first_to_the_last_planned_step(drawn):
    frame = drawn(max_epochs=3)
    assert frame.startswith(" 3/3  step 18 ") and " 100% " in frame and "left 0:00:00" in frame
    assert " 50% " in drawn(max_epochs=6)


def test_of_a_training_without_an_end_no_time_is_left_to_tell(drawn):
    frame = drawn(max_epochs=-1)
    assert frame.startswith(" 3  step 18 ") and frame.rstrip().endswith("left")
