import logging
import os

import numpy as np
import pytest

from vaelab.data.cache import cache_folder, cached, file_digests


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("VAELAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Reader:
    """Counts how often it is asked to read."""

    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return {"raw": np.arange(6.0).reshape(2, 3), "reason": np.array(["", "broken"])}


def test_what_was_read_once_is_not_read_again(folder):
    read = Reader()
    first, second = cached(["pictures", 64], read), cached(["pictures", 64], read)
    assert read.calls == 1
    np.testing.assert_array_equal(first["raw"], second["raw"])
    assert second["reason"].tolist() == ["", "broken"]


def test_another_setting_is_read_anew(folder):
    read = Reader()
    cached(["pictures", 64], read)
    cached(["pictures", 65], read)
    assert read.calls == 2


@pytest.mark.parametrize("damage", [b"", b"no archive", "cut", "flip"])
def test_a_corrupt_cache_file_is_rebuilt(folder, damage, caplog):
    read = Reader()
    cached(["x"], read)
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    flipped = whole[:150] + bytes([whole[150] ^ 1]) + whole[151:]
    path.write_bytes({"cut": whole[:-30], "flip": flipped}.get(damage, damage))
    with caplog.at_level(logging.WARNING):
        found = cached(["x"], read)
    assert read.calls == 2 and found["raw"].shape == (2, 3)
    assert str(path) in caplog.text
    cached(["x"], read)
    assert read.calls == 2


def test_a_cache_that_cannot_be_written_costs_a_warning_only(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("VAELAB_CACHE", str(tmp_path / "file" / "cache"))
    assert cached(["x"], Reader())["raw"].shape == (2, 3)
    assert "cannot be written" in caplog.text


def test_a_full_disk_costs_a_warning_and_leaves_nothing_half_written(folder, monkeypatch, caplog):
    def full(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    assert cached(["x"], Reader())["raw"].shape == (2, 3)
    assert "No space left" in caplog.text and not list(folder.iterdir())


def test_objects_in_a_cache_file_are_never_unpickled(folder):
    read = Reader()
    cached(["x"], read)
    (path,) = folder.iterdir()
    np.savez(path, raw=np.array([{"a": 1}], dtype=object))
    assert cached(["x"], read)["raw"].shape == (2, 3) and read.calls == 2


def test_equal_files_have_equal_digests_and_one_byte_makes_another(tmp_path):
    for name, data in {"a": b"same", "b": b"same", "c": b"samf", "d": b""}.items():
        (tmp_path / name).write_bytes(data)
    a, b, c, d, gone = file_digests([tmp_path / name for name in "abcd"] + [tmp_path / "gone"])
    assert a == b and len({a, c, d, gone}) == 4 and gone == ""


def test_without_the_variable_the_cache_is_the_users_own(monkeypatch):
    monkeypatch.delenv("VAELAB_CACHE", raising=False)
    assert "vaelab" in cache_folder().parts


def test_what_does_not_last_is_not_kept(folder):
    read = Reader()
    for _ in range(2):
        cached(["x"], read, lambda arrays: "broken" not in arrays["reason"])
    assert read.calls == 2 and not folder.exists()


def test_what_is_no_regular_file_has_no_digest_and_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "endless").symlink_to("/dev/zero")
    assert file_digests([tmp_path / "pipe", tmp_path / "endless", tmp_path]) == ["", "", ""]
