import gzip
import struct

import numpy as np
import pytest
from torchvision import datasets

from vaelab.dataset.arrays import read_idx
from vaelab.dataset.mnist import PARTS, FashionMnist, Mnist
from vaelab.errors import UserError

TRAIN, TEST = 5_003, 7


def idx(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def root(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part, shape in zip(PARTS, [(TRAIN, 2, 3), (TRAIN,), (TEST, 2, 3), (TEST,)], strict=True):
        high = 256 if "images" in part else 10
        (raw / part).write_bytes(idx(rng.integers(0, high, shape, np.uint8)))
    return tmp_path


@pytest.fixture
def no_network(monkeypatch):
    def fail(*_, **__):
        print("Failed to download (trying next):")
        raise RuntimeError("Error downloading")

    monkeypatch.setattr(datasets, "MNIST", fail)


def test_the_published_test_split_and_the_last_5000_of_training_are_the_folds(root):
    items = Mnist(str(root)).load()
    assert items.raw.shape == (TRAIN + TEST, 1, 2, 3) and items.label.shape == (TRAIN + TEST,)
    assert items.fold.tolist() == [0] * (TRAIN - 5000) + [1] * 5000 + [2] * TEST


def test_packed_files_are_read_as_they_are(root):
    plain = Mnist(str(root)).load()
    for part in PARTS:
        file = root / "MNIST" / "raw" / part
        file.with_name(f"{part}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    packed = Mnist(str(root)).load()
    assert packed.raw.equal(plain.raw) and packed.label.equal(plain.label)


def test_without_files_and_network_one_line_says_what_to_put_where(tmp_path, no_network, capsys):
    with pytest.raises(UserError) as error:
        Mnist(str(tmp_path)).load()
    message, raw = str(error.value), tmp_path / "MNIST" / "raw"
    assert "\n" not in message and str(raw) in message and all(part in message for part in PARTS)
    assert capsys.readouterr().out == ""


def test_a_damaged_file_is_named(root):
    file = root / "MNIST" / "raw" / PARTS[0]
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(UserError, match="train-images-idx3-ubyte is damaged"):
        Mnist(str(root)).load()


@pytest.mark.parametrize("data", [b"", b"\0\0", b"\0\0\x08\x03", b"\0\0\x0d\x01\0\0\0\x01\0", b"text is no idx"])
def test_what_is_no_idx_file_is_an_error(tmp_path, data):
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(UserError, match="damaged or no idx"):
        read_idx(tmp_path / "x")


def test_a_cut_gz_is_an_error(tmp_path):
    (tmp_path / "x.gz").write_bytes(gzip.compress(idx(np.zeros((4, 4), np.uint8)))[:-9])
    with pytest.raises(UserError, match=r"x\.gz cannot be read"):
        read_idx(tmp_path / "x.gz")


def test_rows_and_columns_of_a_picture_keep_their_order(tmp_path):
    (tmp_path / "x").write_bytes(idx(np.arange(6, dtype=np.uint8).reshape(1, 2, 3)))
    assert read_idx(tmp_path / "x").tolist() == [[[0, 1, 2], [3, 4, 5]]]


def test_clothes_have_a_folder_and_names_of_their_own(root):
    (root / "MNIST").rename(root / "FashionMNIST")
    items = FashionMnist(str(root)).load()
    assert items.label_names[9] == "Ankle boot" and len(items.label_names) == 10


@pytest.mark.parametrize(
    ("part", "array", "words"),
    [
        (1, np.zeros(TRAIN - 1, np.uint8), "holds 5,002 labels for 5,003 pictures"),
        (1, np.zeros(TRAIN + 1, np.uint8), "holds 5,004 labels for 5,003 pictures"),
        (3, np.array([0, 1, 2, 3, 4, 48, 6], np.uint8), r"t10k-labels[^ ]* holds the class 48, and there are 0 to 9"),
        (2, np.zeros((TEST, 3, 3), np.uint8), "the training pictures are 2 x 3, those of the test 3 x 3"),
        (0, np.zeros(TRAIN, np.uint8), "must hold \\(items, height, width\\)"),
        (0, np.zeros((TRAIN, 2, 3, 3), np.uint8), "must hold \\(items, height, width\\)"),
        (2, np.zeros((0, 2, 3), np.uint8), "is empty, uint8 \\(0, 2, 3\\)"),
    ],
)
def test_files_that_do_not_belong_together_are_an_error_in_one_line(root, part, array, words):
    (root / "MNIST" / "raw" / PARTS[part]).write_bytes(idx(array))
    with pytest.raises(UserError, match=words) as told:
        Mnist(str(root)).load()
    assert "\n" not in str(told.value)


def test_pictures_and_labels_that_are_swapped_are_named(root):
    images, labels = (root / "MNIST" / "raw" / part for part in PARTS[:2])
    kept = images.read_bytes()
    images.write_bytes(labels.read_bytes())
    labels.write_bytes(kept)
    with pytest.raises(UserError, match="are pictures and labels swapped"):
        Mnist(str(root)).load()


def test_fewer_pictures_than_validate_are_pointed_to_the_other_reader(root):
    for part, shape in zip(PARTS[:2], [(4_000, 2, 3), (4_000,)], strict=True):
        (root / "MNIST" / "raw" / part).write_bytes(idx(np.zeros(shape, np.uint8)))
    with pytest.raises(UserError, match=r"more than 5,000 are needed, [^\n]*dataset=image_table"):
        Mnist(str(root)).load()


@pytest.mark.parametrize("home", ["KMNIST/raw", "."])
def test_nothing_is_downloaded_into_a_folder_of_another_set(root, monkeypatch, home):
    (root / "MNIST" / "raw").rename(root / "other")
    (root / "MNIST").rmdir()
    (root / home).mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        (root / "other" / part).rename(root / home / part)
    (root / "other").rmdir()
    monkeypatch.setattr(Mnist, "_download", lambda *_: pytest.fail("downloads"))
    with pytest.raises(
        UserError, match=r"nothing is downloaded into it: [^\n]*image_table dataset\.file=[^\n]*idx3-ubyte$"
    ):
        Mnist(str(root)).load()


@pytest.mark.parametrize("holds", [[], ["MNIST/raw"], ["FashionMNIST/raw"], [".git"]])
def test_a_folder_that_is_empty_or_made_for_it_gets_the_download(tmp_path, monkeypatch, holds):
    for name in holds:
        (tmp_path / name).mkdir(parents=True)
    asked = []
    monkeypatch.setattr(Mnist, "_download", lambda self, raw: asked.append(raw))
    with pytest.raises(UserError, match="lacks some of its files"):
        Mnist(str(tmp_path)).load()
    assert asked == [tmp_path / "MNIST" / "raw"]
