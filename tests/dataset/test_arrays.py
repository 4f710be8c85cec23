import gzip
import struct
import zipfile

import numpy as np
import pytest

from vaelab.dataset.arrays import IDX_TYPES, is_idx, load_array, read_idx, stored_arrays
from vaelab.errors import UserError

CODES = {np.dtype(kind).newbyteorder("=").str[1:]: code for code, kind in IDX_TYPES.items()}


def idx(array):
    code = CODES[array.dtype.str[1:]]
    return (
        struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape) + array.astype(IDX_TYPES[code]).tobytes()
    )


@pytest.mark.parametrize("kind", ["u1", "i1", "i2", "i4", "f4", "f8"])
@pytest.mark.parametrize("name", ["x", "x.gz"])
def test_numbers_of_every_kind_in_an_idx_are_read(tmp_path, kind, name):
    array = np.arange(-3 if kind != "u1" else 0, 21).astype(kind)[:21].reshape(7, 3)
    (tmp_path / name).write_bytes(gzip.compress(idx(array)) if name.endswith("gz") else idx(array))
    found = read_idx(tmp_path / name)
    assert is_idx(tmp_path / name) and found.dtype == kind and found.dtype.isnative
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-9], lambda b: b[:30] + b"\xff\xff\xff" + b[33:], lambda b: b[:3] + b"\xff"]
)
def test_a_damaged_gzip_is_an_error_in_one_line(tmp_path, damage):
    packed = gzip.compress(idx(np.random.default_rng(0).integers(0, 256, (50, 4, 4), np.uint8)))
    (tmp_path / "a-ubyte.gz").write_bytes(damage(packed))
    assert is_idx(tmp_path / "a-ubyte.gz")
    with pytest.raises(UserError, match=r"a-ubyte\.gz [^\n]+put a fresh copy there$"):
        read_idx(tmp_path / "a-ubyte.gz")


@pytest.mark.parametrize("change", [-1, 1])
def test_an_idx_that_holds_less_or_more_than_its_header_says_is_an_error(tmp_path, change):
    data = idx(np.zeros((5, 4, 4), np.uint8))
    data = data + b"\0" if change > 0 else data[:-1]
    for name, content in (("x", data), ("x.gz", gzip.compress(data))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=r"fresh copy"):
            read_idx(tmp_path / name)


def test_a_gzip_that_would_fill_the_memory_is_refused_by_its_header(tmp_path, monkeypatch):
    head = struct.pack(">HBB3I", 0, 8, 3, 6_000_000, 32, 32)
    (tmp_path / "x.gz").write_bytes(gzip.compress(head + bytes(2**20)))
    monkeypatch.setattr(np, "empty", lambda *_: pytest.fail("memory was taken"))
    with pytest.raises(UserError, match=r"x\.gz unpacks from [\d,]+ to 6,144,000,000 bytes"):
        read_idx(tmp_path / "x.gz")


def test_a_gzip_whose_header_promises_little_is_not_unpacked_further(tmp_path):
    (tmp_path / "x.gz").write_bytes(gzip.compress(struct.pack(">HBBI", 0, 8, 1, 4) + bytes(2**26)))
    with pytest.raises(UserError, match="promises 4 bytes, and it holds more"):
        read_idx(tmp_path / "x.gz")


def test_an_array_of_objects_hurts_only_who_asks_for_it(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.ones((3, 4)), notes=np.array([{}, None], dtype=object))
    arrays = stored_arrays(tmp_path / "a.npz")
    assert load_array(tmp_path / "a.npz", "x", arrays["x"]).shape == (3, 4)
    with pytest.raises(UserError, match=r"a\.npz: notes holds Python objects"):
        load_array(tmp_path / "a.npz", "notes", arrays["notes"])


def test_a_damaged_member_of_an_npz_hurts_only_who_asks_for_it(tmp_path):
    np.savez(tmp_path / "whole.npz", x=np.ones((3, 4)), y=np.ones(3))
    with zipfile.ZipFile(tmp_path / "whole.npz") as whole, zipfile.ZipFile(tmp_path / "a.npz", "w") as cut:
        cut.writestr("x.npy", whole.read("x.npy"))
        cut.writestr("y.npy", whole.read("y.npy")[:-8])
    arrays = stored_arrays(tmp_path / "a.npz")
    assert arrays["x"].shape == (3, 4) and not arrays["x"].reason and "not as long" in arrays["y"].reason


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_an_array_that_does_not_fit_into_memory_is_refused_before_it_is_read(tmp_path, name, monkeypatch):
    (np.save if name.endswith("npy") else np.savez)(tmp_path / name, np.zeros((100, 100)))
    (array,) = stored_arrays(tmp_path / name).items()
    monkeypatch.setattr("vaelab.memory.available", lambda: 1000)
    with pytest.raises(UserError, match="KiB of memory"):
        load_array(tmp_path / name, *array)


def test_an_npy_that_promises_more_than_it_has_is_an_error(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((100, 100)))
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-1])
    with pytest.raises(UserError, match=r"promises 80,128 bytes, and it has 80,127"):
        stored_arrays(tmp_path / "a.npy")
