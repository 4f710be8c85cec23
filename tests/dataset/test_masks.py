import numpy as np
import pytest
import torch
from PIL import Image

from vaelab.dataset.masks import read_mask
from vaelab.errors import UserError


def picture(path, pixels):
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)
    return path


@pytest.fixture
def spot():
    white = np.zeros((6, 8), np.uint8)
    white[2:4, 5] = 255
    return white


def test_what_is_white_is_missing(tmp_path, spot):
    file = picture(tmp_path / "a.png", np.zeros((6, 8)))
    grey = np.where(spot, 200, 90)
    for mask in (spot, grey, np.repeat(spot[..., None], 3, axis=2)):
        read = read_mask(picture(tmp_path / "m.png", mask), (6, 8), file)
        assert read.shape == (1, 1, 6, 8) and torch.equal(read[0, 0], torch.from_numpy(spot > 0))


def test_a_mask_is_fitted_as_its_picture_is_and_takes_all_that_has_a_share_in_a_missing_pixel(tmp_path):
    from vaelab.data.items import Signature
    from vaelab.dataset.image_folder import read_picture

    rng, missing = np.random.default_rng(0), np.zeros((50, 60), bool)
    missing[20:31, 14:25] = True
    pixels = rng.integers(0, 256, (50, 60), dtype=np.uint8)
    read = read_mask(picture(tmp_path / "m.png", 255 * missing), (10, 10), picture(tmp_path / "a.png", pixels))
    signature = Signature("picture", (1, 10, 10), None, (), {})
    one, other = (
        read_picture(picture(tmp_path / f"{fill}.png", np.where(missing, fill, pixels)), signature) for fill in (0, 255)
    )
    assert torch.equal(one[~read], other[~read])
    assert 4 <= read.sum() <= 60


def test_an_array_says_with_anything_but_zero_what_is_missing(tmp_path):
    one, each = np.array([0, 1, np.nan, -2]), np.array([[True, False, False, False], [False, True, True, False]])
    for values, rows in ((one, [[False, True, True, True]]), (each, each.tolist())):
        np.save(tmp_path / "m.npy", values)
        read = read_mask(tmp_path / "m.npy", (4,), "x.csv")
        assert read.shape == (len(rows), 1, 4) and read[:, 0].tolist() == rows


def test_for_what_is_no_picture_file_a_mask_has_the_items_own_size(tmp_path, spot):
    np.save(tmp_path / "a.npy", np.zeros((3, 6, 8)))
    mask = picture(tmp_path / "m.png", spot)
    assert read_mask(mask, (6, 8), tmp_path / "a.npy").sum() == 2
    with pytest.raises(UserError, match=r"has 8 x 6 pixels, and .*a.npy 5 x 5: give a mask of the same size"):
        read_mask(mask, (5, 5), tmp_path / "a.npy")


def test_a_mask_of_another_size_or_none_at_all_is_refused(tmp_path, spot):
    file, mask = picture(tmp_path / "a.png", np.zeros((9, 9))), picture(tmp_path / "m.png", spot)
    np.save(tmp_path / "m.npy", np.zeros((3, 5)))
    (tmp_path / "text.png").write_text("hello")
    for path, size, words in (
        (mask, (6, 8), "m.png has 8 x 6 pixels, and .*a.png 9 x 9: give a mask of the same size"),
        (mask, (32,), "m.png must be npy, an array of 32 numbers with 0 where nothing is missing"),
        (tmp_path / "m.npy", (4,), r"m.npy is of shape \(3, 5\): give an array of 4 numbers"),
        (tmp_path / "m.npy", (2, 5), "give an array of 2 x 5 numbers"),
        (tmp_path / "text.png", (6, 8), "text.png cannot be read: "),
        (tmp_path / "no.png", (6, 8), "no.png does not exist"),
    ):
        with pytest.raises(UserError, match=words):
            read_mask(path, size, file)
