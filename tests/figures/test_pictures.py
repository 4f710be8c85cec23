import numpy as np
import pytest
import torch

from vaelab.figures.pictures import filled_pictures, picture_grid, picture_pairs, picture_path, tile

rng = np.random.default_rng(0)
GREY = rng.random((12, 1, 8, 6), dtype=np.float32)
COLOUR = rng.integers(0, 256, (12, 3, 8, 6), dtype=np.uint8)


def image(panel):
    return np.asarray(panel.images[0].get_array())


def test_the_original_row_is_above_the_reconstruction():
    drawn = picture_pairs(GREY, torch.tensor(1 - GREY), count=5)
    drawn.canvas.draw()
    assert len(drawn.axes) == 10
    above, below = drawn.axes[:5], drawn.axes[5:]
    for k in range(5):
        np.testing.assert_allclose(image(above[k]), GREY[k, 0])
        np.testing.assert_allclose(image(below[k]), 1 - GREY[k, 0])
        assert above[k].get_position().y0 > below[k].get_position().y1
    assert [drawn.axes[0].get_ylabel(), drawn.axes[5].get_ylabel()] == ["original", "reconstruction"]


def test_what_is_masked_has_a_colour_of_its_own_between_original_and_filled():
    hidden = rng.random((12, 1, 8, 6)) < 0.5
    drawn = filled_pictures(GREY, hidden, 1 - GREY, count=4)
    rows = [drawn.axes[k : k + 4] for k in (0, 4, 8)]
    assert [row[0].get_ylabel() for row in rows] == ["original", "masked", "filled"]
    for k in range(4):
        np.testing.assert_allclose(image(rows[0][k]), GREY[k, 0])
        np.testing.assert_allclose(image(rows[2][k]), 1 - GREY[k, 0])
        masked, where = image(rows[1][k]), hidden[k, 0]
        np.testing.assert_allclose(masked[~where], np.repeat(GREY[k, 0][~where][:, None], 3, axis=1))
        assert len(np.unique(masked[where], axis=0)) == 1 and np.ptp(masked[where][0]) > 0.3


def test_pairs_are_never_more_than_there_are_pictures():
    assert len(picture_pairs(GREY[:3], GREY[:3]).axes) == 6


def test_bytes_in_colour_are_drawn_as_they_are():
    panel = picture_pairs(COLOUR, COLOUR, count=2).axes[1]
    np.testing.assert_allclose(image(panel), COLOUR[1].transpose(1, 2, 0) / 255, atol=1e-6)


def test_the_pixels_of_tiny_pictures_stay_squares():
    assert picture_grid(GREY).axes[0].images[0].get_interpolation() == "nearest"
    assert picture_grid(np.zeros((2, 1, 90, 90))).axes[0].images[0].get_interpolation() != "nearest"


def test_grey_is_on_a_fixed_scale_so_that_a_faint_picture_stays_faint():
    panel = picture_grid(0.1 * GREY).axes[0]
    assert panel.images[0].get_clim() == (0, 1)


def test_a_titled_grid_has_one_panel_a_picture():
    drawn = picture_grid(GREY[:5], columns=3, titles=list("abcde"))
    assert [panel.get_title() for panel in drawn.axes] == list("abcde")


def test_an_untitled_grid_is_one_sheet_without_margins():
    drawn = picture_grid(GREY, columns=4, gap=0)
    (panel,) = drawn.axes
    drawn.canvas.draw()
    assert image(panel).shape == (3 * 8, 4 * 6)
    np.testing.assert_allclose(panel.get_position().bounds, (0, 0, 1, 1), atol=0.01)


def test_a_path_is_one_row():
    assert image(picture_path(COLOUR).axes[0]).shape == (8, 12 * 7 - 1, 3)


def test_tiles_stand_row_by_row():
    sheet = tile(GREY, columns=5)
    assert sheet.shape == (1, 3 * 8, 5 * 6)
    np.testing.assert_allclose(sheet[:, 8:16, 6:12], GREY[6])
    assert (sheet[:, 16:, 12:] == 1).all()


def test_a_gap_is_white_and_only_between_the_tiles():
    sheet = tile(np.zeros((4, 3, 2, 2), np.uint8), columns=2, gap=1)
    assert sheet.shape == (3, 5, 5)
    assert (sheet[:, 2] == 1).all()
    assert (sheet[:, :, 2] == 1).all()
    assert sheet.sum() == 3 * 9


@pytest.mark.parametrize(("count", "shape"), [(9, (24, 18)), (10, (24, 24)), (1, (8, 6))])
def test_tiles_make_a_near_square_by_default(count, shape):
    assert tile(GREY[:count]).shape[1:] == shape
