from types import SimpleNamespace

import torch
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from vaelab.figures.style import figure, png
from vaelab.reporting import board
from vaelab.reporting.board import Board, add_picture


def test_the_picture_on_the_board_is_the_file_itself(tmp_path):
    file = png(figure(width=2.0, height=1.0)[0])
    with SummaryWriter(tmp_path) as writer:
        add_picture(writer, "test/nothing", file, 7)
    written = EventAccumulator(str(tmp_path))
    written.Reload()
    (found,) = written.Images("test/nothing")
    assert (found.step, found.width, found.height) == (7, 300, 150)
    assert found.encoded_image_string == file


def test_pictures_take_two_hundredths_of_a_training_and_a_short_one_has_none(tiny, tmp_path, monkeypatch):
    clock, drawn = [100.0], []

    def drawing(*_):
        drawn.append(clock[0])
        clock[0] += 3.0
        return {}

    monkeypatch.setattr(board.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(board, "draw", drawing)
    run = tiny("sine")
    run.variant.kl = torch.zeros(1)
    pictures = Board(run.data(), every_epochs=None)
    trainer = SimpleNamespace(is_global_zero=True, global_step=1, current_epoch=0)
    trainer.logger = TensorBoardLogger(tmp_path)
    clock[0] = 1000.0
    pictures.on_train_start(trainer, run.variant)
    spent_at = {}
    for _ in range(2000):
        clock[0] += 1.0
        pictures.on_validation_end(trainer, run.variant)
        spent_at[clock[0] - 1000] = 3.0 * len(drawn)
    assert drawn[0] - 1000 == 50  # the first are thought to take one second
    assert len(drawn) > 10 and all(spent <= 0.02 * at for at, spent in spent_at.items() if at > 200)
    trainer.logger.experiment.close()


def test_while_training_the_same_draw_from_all_of_the_validation_split_is_shown_each_time(
    tiny, tmp_path, fifths, monkeypatch
):
    run, shown = tiny("digits", "dataset.split=[0.6,0.3,0.1]"), []
    monkeypatch.setattr(board, "draw", lambda variant, examined: shown.append(examined) or {})
    pictures = Board(run.data(), every_epochs=1)
    run.variant.kl = torch.zeros(3)
    trainer = SimpleNamespace(is_global_zero=True, global_step=1, current_epoch=0, logger=TensorBoardLogger(tmp_path))
    for _ in range(2):
        pictures.on_validation_end(trainer, run.variant)
        assert fifths(run.data(), "val") == (64, 5)
    assert torch.equal(shown[0].item, shown[1].item)
    # The figures show the first few of them.
    assert len(shown[0].head(10).label.unique()) > 4
    trainer.logger.experiment.close()
