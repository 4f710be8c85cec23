import struct

import numpy as np
import pytest
from PIL import Image

from vaelab.data.items import Signature
from vaelab.dataset.image_table import ImageTable, picture_axes
from vaelab.errors import UserError

GREYS = np.random.default_rng(0).integers(0, 256, (6, 9, 12), dtype=np.uint8)
COLOURS = np.random.default_rng(1).integers(0, 256, (6, 9, 12, 3), dtype=np.uint8)


def idx(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def load(path, array, **settings):
    np.save(path / "a.npy", array)
    return ImageTable(str(path / "a.npy"), **settings).load()


def test_bytes_are_pictures_as_they_are(tmp_path):
    items = load(tmp_path, GREYS)
    assert items.kind == "picture" and items.raw.shape == (6, 1, 9, 12) and items.label is None
    np.testing.assert_array_equal(items.raw[:, 0], GREYS)
    assert items.notes == ["axes of (6, 9, 12) read as items, height, width (dataset.axes)"]


def test_channels_first_and_last_are_the_same_pictures(tmp_path):
    last, first = load(tmp_path, COLOURS), load(tmp_path, COLOURS.transpose(0, 3, 1, 2))
    assert last.raw.equal(first.raw)
    np.testing.assert_array_equal(last.raw[2, :, 3, 4], COLOURS[2, 3, 4])
    assert "items, height, width, channels" in last.notes[0] and "items, channels, height, width" in first.notes[0]


def test_axes_that_are_named_hold(tmp_path):
    items = load(tmp_path, GREYS.transpose(1, 2, 0), axes=["height", "width", "items"])
    np.testing.assert_array_equal(items.raw[:, 0], GREYS)


@pytest.mark.parametrize("shape", [(28, 28, 1000), (64, 48, 3), (100, 3, 20, 3), (5, 6, 9, 7)])
def test_axes_that_could_be_others_are_refused_in_one_line(tmp_path, shape):
    with pytest.raises(UserError, match=r"a\.npy[^\n]+$"):
        load(tmp_path, np.zeros(shape, np.uint8))
    with pytest.raises(UserError, match=r"neither axis|dataset\.axes="):
        picture_axes(tmp_path, shape)


@pytest.mark.parametrize(
    ("values", "bytes_", "words"),
    [
        (np.float32([0, 0.5, 1, 0.25]), [0, 128, 255, 64], "0 is black, 1 white"),
        (np.float64([0, 127.5, 255, 1]), [0, 128, 255, 1], "0 is black, 255 white"),
        (np.int64([0, 7, 200, 255]), [0, 7, 200, 255], "0 is black, 255 white"),
        (np.uint16([0, 2048, 4000, 4095]), [0, 128, 249, 255], "taken as 12 bits: 4095 is white"),
        (np.uint16([0, 32768, 65535, 1]), [0, 128, 255, 0], "taken as 16 bits: 65535 is white"),
        (np.int16([-1000, 0, 1000, 500]), [0, 128, 255, 191], "-1000 is black, 1000 white"),
        (np.float32([2, 4, 6, 18]), [0, 32, 64, 255], "2 is black, 18 white"),
        (np.array([False, True, True, False]), [0, 255, 255, 0], "0 is black, 1 white"),
    ],
)
def test_other_numbers_are_scaled_over_all_pictures_and_told(tmp_path, values, bytes_, words):
    items = load(tmp_path, values[:, None, None] * np.ones((4, 3, 3), values.dtype))
    assert items.raw[:, 0, 0, 0].tolist() == bytes_ and words in items.notes[1]


def test_opacity_lies_over_white(tmp_path):
    picture = np.zeros((3, 4, 2, 2), np.uint8)
    picture[0, 3], picture[1, 3], picture[2, 3] = 0, 255, 51
    assert load(tmp_path, picture).raw[:, :, 0, 0].tolist() == [[255] * 3, [0] * 3, [204] * 3]


def test_an_npz_gives_its_only_pictures_and_the_labels_by_key(tmp_path):
    labels = np.array([b"cat", b"dog"] * 3)
    np.savez(tmp_path / "a.npz", x=GREYS, y=labels, odd=np.array([{}], dtype=object))
    items = ImageTable(str(tmp_path / "a.npz"), label="y").load()
    assert items.label_names == ("cat", "dog") and items.label.tolist() == [0, 1] * 3
    np.savez(tmp_path / "b.npz", x=GREYS, z=GREYS)
    with pytest.raises(UserError, match=r"x \(6, 9, 12\), z \(6, 9, 12\): name one table with dataset\.key"):
        ImageTable(str(tmp_path / "b.npz")).load()
    assert len(ImageTable(str(tmp_path / "b.npz"), key="z").load()) == 6


@pytest.mark.parametrize("label", [None, "k-labels-idx1", "names.npy"])
def test_an_idx_of_any_name_has_its_labels_beside_it(tmp_path, label):
    (tmp_path / "k-images-idx3").write_bytes(idx(GREYS))
    (tmp_path / "k-labels-idx1").write_bytes(idx(np.array([0, 48, 0, 48, 3, 3], np.uint8)))
    np.save(tmp_path / "names.npy", np.array(["0", "48", "0", "48", "3", "3"]))
    items = ImageTable(str(tmp_path / "k-images-idx3"), label=label).load()
    np.testing.assert_array_equal(items.raw[:, 0], GREYS)
    assert items.label_names == ("0", "3", "48") and items.label.tolist() == [0, 2, 0, 2, 1, 1]
    assert any("k-labels-idx1" in note for note in items.notes) == (label is None)


def test_fewer_labels_than_pictures_are_an_error(tmp_path):
    (tmp_path / "images-idx3").write_bytes(idx(GREYS))
    (tmp_path / "labels-idx1").write_bytes(idx(np.zeros(5, np.uint8)))
    with pytest.raises(UserError, match="holds 6 pictures, and there are 5 labels"):
        ImageTable(str(tmp_path / "images-idx3")).load()
    with pytest.raises(UserError, match="no such file: name the file that holds the labels"):
        ImageTable(str(tmp_path / "images-idx3"), label="nowhere").load()


def test_a_folder_of_arrays_is_one_picture_each_with_class_folders_as_labels(tmp_path):
    for k, picture in enumerate(COLOURS):
        folder = tmp_path / ("left" if k % 2 else "right")
        folder.mkdir(exist_ok=True)
        np.save(folder / f"{k}.npy", picture) if k < 4 else np.savez(folder / f"{k}.npz", picture)
    np.save(tmp_path / "left" / "small.npy", COLOURS[0, :2])
    items = ImageTable(str(tmp_path)).load()
    assert items.raw.shape == (6, 3, 9, 12) and items.label_names == ("left", "right")
    assert items.label.tolist() == [0, 0, 0, 1, 1, 1]
    np.testing.assert_array_equal(items.raw[0].permute(1, 2, 0), COLOURS[1])
    assert dict(items.left_out) == {"left/small.npy": "is of shape (2, 12, 3) where most are (9, 12, 3)"}


def test_a_folder_of_idx_files_says_which_to_name(tmp_path):
    (tmp_path / "k-images-idx3-ubyte").write_bytes(idx(GREYS))
    with pytest.raises(UserError, match=r"dataset\.file=[^\n]*k-images-idx3-ubyte$"):
        ImageTable(str(tmp_path)).load()


def test_pictures_that_are_not_finite_are_left_out_with_their_labels(tmp_path):
    values = GREYS.astype(np.float32)
    values[1, 0, 0] = np.nan
    np.savez(tmp_path / "a.npz", x=values, y=np.arange(6.0))
    items = ImageTable(str(tmp_path / "a.npz"), label="y").load()
    assert len(items) == 5 and items.label_names == ("0", "2", "3", "4", "5")
    assert dict(items.left_out) == {"picture 2": "holds NaN or infinity"}


def test_another_file_is_read_on_the_scale_of_the_first(tmp_path):
    items = load(tmp_path, np.float32([[[0, 2]], [[4, 40]], [[1, 1]]]))
    np.save(tmp_path / "b.npy", np.float32([[[10, 20]], [[0, 80]]]))
    found = ImageTable("").read(tmp_path / "b.npy", Signature.of(items))
    assert found.flatten().tolist() == [64, 128, 0, 255]
    Image.fromarray(GREYS[0]).save(tmp_path / "a.png")
    assert ImageTable("").read(tmp_path / "a.png", Signature.of(items)).shape == (1, 1, 1, 2)


@pytest.mark.parametrize(
    "array", [np.zeros((6, 4)), np.zeros((3, 2, 2), complex), np.zeros((0, 4, 4)), np.zeros((3, 2, 5, 5))]
)
def test_what_is_no_stack_of_pictures_is_an_error_in_one_line(tmp_path, array):
    with pytest.raises(UserError, match=r"^[^\n]+$"):
        load(tmp_path, array)


def test_a_folder_of_picture_files_is_pointed_to_its_own_dataset(tmp_path):
    Image.fromarray(GREYS[0]).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="use dataset=image_folder"):
        ImageTable(str(tmp_path / "a.png")).load()
