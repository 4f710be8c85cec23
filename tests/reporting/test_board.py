from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from vaelab.figures.style import figure, png
from vaelab.reporting.board import add_picture


def test_the_picture_on_the_board_is_the_file_itself(tmp_path):
    file = png(figure(width=2.0, height=1.0)[0])
    with SummaryWriter(tmp_path) as writer:
        add_picture(writer, "test/nothing", file, 7)
    board = EventAccumulator(str(tmp_path))
    board.Reload()
    (found,) = board.Images("test/nothing")
    assert (found.step, found.width, found.height) == (7, 300, 150)
    assert found.encoded_image_string == file
