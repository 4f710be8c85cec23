import os

import numpy as np
import pytest
import soundfile

from vaelab.data.items import Signature
from vaelab.data.split import split_items
from vaelab.dataset.signal_table import SignalTable
from vaelab.errors import UserError

VALUES = np.arange(12.0, dtype=np.float32).reshape(4, 3)
ONE = Signature("signal", (1, 3), None, (), {})


def write(path, text):
    path.write_text(text)
    return str(path)


def table(tmp_path, *lines, name="a.csv"):
    return write(tmp_path / name, "\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("name", "mark"), [("a.csv", ","), ("a.tsv", "\t"), ("a.csv", ";"), ("a.txt", "  "), ("a.txt", "\t")]
)
def test_rows_of_a_text_are_signals_whatever_parts_the_cells(tmp_path, name, mark):
    items = SignalTable(table(tmp_path, *(mark.join(map(str, row)) for row in VALUES), name=name)).load()
    assert items.raw.shape == (4, 1, 3) and items.kind == "signal" and items.label is None
    np.testing.assert_array_equal(items.raw[:, 0], VALUES)


def test_a_header_is_no_signal_and_names_the_label(tmp_path):
    file = table(tmp_path, "\ufefft0,t1,kind", "1,2,ok", "3,4,bad", "5,6,ok")
    items = SignalTable(file, label="kind").load()
    assert items.raw[:, 0].tolist() == [[1, 2], [3, 4], [5, 6]]
    assert items.label_names == ("bad", "ok") and items.label.tolist() == [1, 0, 1]


@pytest.mark.parametrize("label", [2, -1])
def test_a_table_without_header_takes_the_label_by_number(tmp_path, label):
    items = SignalTable(table(tmp_path, "1,2,ok", "3,4,bad", "5,6,ok"), label=label).load()
    assert len(items) == 3 and items.label.tolist() == [1, 0, 1]


def test_a_class_written_as_a_float_keeps_its_short_name(tmp_path):
    file = table(tmp_path, "1.0e+00 5 6", "2.0e+00 7 8", "1.0e+00 9 9", name="a.txt")
    assert SignalTable(file, label=0).load().label_names == ("1", "2")


def test_bad_rows_are_left_out_by_their_line_and_reason(tmp_path):
    good = [f"{k},1,2" for k in range(6)]
    file = table(tmp_path, "# made by hand", *good, "1,2", "1,x,3", "", "1,nan,3", "1,2,1e99")
    items = SignalTable(file).load()
    reasons = dict(items.left_out)
    assert len(items) == 6 and list(reasons) == ["row 8", "row 9", "row 11", "row 12"]
    assert reasons["row 8"] == "2 columns where most rows have 3" and "'x'" in reasons["row 9"]
    assert "NaN" in reasons["row 11"] and "too large" in reasons["row 12"]


def test_labels_stay_with_their_rows_when_a_row_between_is_left_out(tmp_path):
    items = SignalTable(table(tmp_path, "1,2,a", "3,x,b", "5,6,c", "7,8,d"), label=2).load()
    assert [items.label_names[k] for k in items.label] == ["a", "c", "d"]


def test_a_table_that_is_mostly_bad_is_an_error_with_a_remedy(tmp_path):
    file = table(tmp_path, "1,2,a", "3,4,b", "5,6,c", "7,8,d")
    with pytest.raises(UserError, match=r"4 of 4 rows .* row 1: .*'a'.*dataset\.label") as error:
        SignalTable(file).load()
    assert "\n" not in str(error.value)


def test_a_label_that_is_not_there_is_an_error_that_lists_what_is(tmp_path):
    with_header, without = table(tmp_path, "t0,t1", "1,2"), table(tmp_path, "1,2", name="b.csv")
    with pytest.raises(UserError, match="no column kind: it has t0, t1"):
        SignalTable(with_header, label="kind").load()
    with pytest.raises(UserError, match="no header: give the column's number"):
        SignalTable(without, label="kind").load()
    with pytest.raises(UserError, match="no column 7: it has 2"):
        SignalTable(without, label=7).load()


@pytest.mark.parametrize("text", ["", "\n\n", "t0,t1\n", "1,2\n3,4\n"])
def test_too_few_rows_are_an_error(tmp_path, text):
    with pytest.raises(UserError, match=r"a\.csv"):
        SignalTable(write(tmp_path / "a.csv", text)).load()


def test_an_npy_of_two_or_three_dimensions_is_read(tmp_path):
    np.save(tmp_path / "a.npy", VALUES.astype(np.int16))
    np.save(tmp_path / "b.npy", np.arange(24.0).reshape(3, 2, 4))
    assert SignalTable(str(tmp_path / "a.npy")).load().raw.tolist() == VALUES[:, None].tolist()
    raw = SignalTable(str(tmp_path / "b.npy")).load().raw
    assert raw.shape == (3, 2, 4) and raw[1, 1].tolist() == [12, 13, 14, 15]


def test_an_npy_gives_its_label_by_column(tmp_path):
    np.save(tmp_path / "a.npy", VALUES)
    items = SignalTable(str(tmp_path / "a.npy"), label=0).load()
    assert items.raw[0, 0].tolist() == [1, 2] and len(items.label_names) == 4


def test_an_npz_gives_its_only_table_and_the_label_by_key(tmp_path):
    np.savez(tmp_path / "a.npz", x=VALUES, y=np.array([1, 0, 1, 1]))
    items = SignalTable(str(tmp_path / "a.npz"), label="y").load()
    assert items.raw.shape == (4, 1, 3) and items.label.tolist() == [1, 0, 1, 1]


def test_an_npz_of_several_tables_asks_which(tmp_path):
    np.savez(tmp_path / "a.npz", x=VALUES, z=VALUES + 1)
    with pytest.raises(UserError, match=r"x \(4, 3\), z \(4, 3\): name one table with dataset\.key"):
        SignalTable(str(tmp_path / "a.npz")).load()
    assert SignalTable(str(tmp_path / "a.npz"), key="z").load().raw[0, 0, 0] == 1
    with pytest.raises(UserError, match="no array w"):
        SignalTable(str(tmp_path / "a.npz"), key="w").load()


def test_rows_of_an_array_that_are_not_finite_are_left_out_with_their_labels(tmp_path):
    values = VALUES.astype(np.float64)
    values[1, 2] = np.inf
    np.savez(tmp_path / "a.npz", x=values, y=np.array(["a", "b", "c", "d"]))
    items = SignalTable(str(tmp_path / "a.npz"), label="y").load()
    assert [left.name for left in items.left_out] == ["row 2"] and items.label_names == ("a", "c", "d")


@pytest.mark.parametrize("array", [np.array([{}]), np.array([[1j, 2]]), np.zeros((2, 2, 2, 2)), np.array("x")])
def test_what_is_no_table_of_real_numbers_is_an_error(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(UserError, match=r"a\.npy"):
        SignalTable(str(tmp_path / "a.npy")).load()


@pytest.mark.parametrize("name", ["a.npz", "a.npy"])
@pytest.mark.parametrize("text", ["no archive", ""])
def test_a_broken_archive_is_an_error(tmp_path, name, text):
    with pytest.raises(UserError, match=rf"{name} cannot be read"):
        SignalTable(write(tmp_path / name, text)).load()


def test_own_signals_of_any_length_are_read_uncut(tmp_path):
    source = SignalTable("/nowhere")
    assert source.read(table(tmp_path, "1,2,3,4,5", "6,7,8,9,0"), ONE).shape == (2, 1, 5)
    np.save(tmp_path / "a.npy", np.arange(1000.0))
    assert source.read(tmp_path / "a.npy", ONE).shape == (1, 1, 1000)
    column = source.read(table(tmp_path, *"12345678", name="column.txt"), ONE)
    assert column.tolist() == [[[1, 2, 3, 4, 5, 6, 7, 8]]]


def test_an_own_wav_keeps_its_samples_and_its_channels(tmp_path):
    wave = np.linspace(-0.5, 0.5, 200).reshape(100, 2)
    soundfile.write(tmp_path / "a.wav", wave, 8000, subtype="FLOAT")
    two = Signature("signal", (2, 3), None, (), {})
    np.testing.assert_allclose(SignalTable("").read(tmp_path / "a.wav", two)[0], wave.T, atol=1e-7)
    with pytest.raises(UserError, match=r"a\.wav holds signals \(2, 100\): the model takes 1"):
        SignalTable("").read(tmp_path / "a.wav", ONE)


def test_own_rows_as_many_as_the_models_channels_are_one_item(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 50)))
    assert SignalTable("").read(tmp_path / "a.npy", Signature("signal", (2, 3), None, (), {})).shape == (
        1,
        2,
        50,
    )


def test_a_bad_row_in_an_own_file_is_an_error(tmp_path):
    with pytest.raises(UserError, match="row 2: could not convert"):
        SignalTable("").read(table(tmp_path, "1,2", "1,x"), ONE)


def test_a_table_says_how_its_axes_were_read_and_takes_what_is_said_instead(tmp_path):
    columns = np.random.default_rng(0).normal(size=(400, 3))
    file = table(tmp_path, *(",".join(map(str, row)) for row in columns))
    with pytest.raises(UserError, match=r"400 items of 3 samples, or 3 items of 400 samples\?"):
        SignalTable(file).load()
    items = SignalTable(file, axes=["time", "items"]).load()
    np.testing.assert_allclose(items.raw[:, 0], columns.T, rtol=1e-6)
    assert items.notes == ["axes of (400, 3) read as time, items (dataset.axes)"]
    assert SignalTable(file, axes="items,time").load().raw.shape == (400, 1, 3)
    with pytest.raises(UserError, match="names 3 axes"):
        SignalTable(file, axes="items,channels,time").load()


def test_channels_last_are_read_when_it_is_said(tmp_path):
    array = np.random.default_rng(0).normal(size=(4, 100, 3)).astype(np.float32)
    np.save(tmp_path / "a.npy", array)
    items = SignalTable(str(tmp_path / "a.npy"), axes="items,time,channels").load()
    np.testing.assert_array_equal(items.raw, array.transpose(0, 2, 1))


def test_signals_in_columns_need_every_row_and_have_no_label_column(tmp_path):
    file = table(tmp_path, *(f"{k}.5,{k * k % 7},3" for k in range(20)), "1,x,2")
    with pytest.raises(UserError, match=r"row 21: could not convert [^\n]*: each signal needs every row$"):
        SignalTable(file, axes="time,items").load()
    with pytest.raises(UserError, match=r"dataset\.label and group name columns, and here columns are items"):
        SignalTable(table(tmp_path, "1,2,3", "4,5,6"), label=0, axes="time,items").load()


def test_pictures_are_pointed_to_their_own_dataset_unless_axes_say_signals(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((50, 28, 28), np.uint8))
    with pytest.raises(UserError, match="use experiment=images dataset=image_table"):
        SignalTable(str(tmp_path / "a.npy")).load()
    assert SignalTable(str(tmp_path / "a.npy"), axes=["items", "channels", "time"]).load().raw.shape == (50, 28, 28)
    np.save(tmp_path / "b.npy", np.zeros((50, 28, 28, 3), np.uint8))
    with pytest.raises(UserError, match="dataset=image_table"):
        SignalTable(str(tmp_path / "b.npy")).load()


def test_an_idx_of_pictures_is_known_by_its_first_bytes_whatever_its_name(tmp_path):
    (tmp_path / "letters.dat").write_bytes(bytes([0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 9, 0, 0, 0, 9]) + bytes(4 * 81))
    with pytest.raises(UserError, match=r"letters\.dat [^\n]*dataset=image_table"):
        SignalTable(str(tmp_path / "letters.dat")).load()


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (np.array([b"cat", b"dog", b"cat", b"cat"]), ("cat", "dog")),
        (np.array(["cat", "dog", "cat", "cat"]), ("cat", "dog")),
        (np.array([1.0, 2.0, 1.0, 1.0]), ("1", "2")),
        (np.array([0.5, 2.0, 0.5, 0.5]), ("0.5", "2")),
        (np.array([True, False, True, True]), ("False", "True")),
        (np.array([[7], [9], [7], [7]]), ("7", "9")),
    ],
)
def test_labels_of_an_array_are_named_as_they_read(tmp_path, labels, names):
    np.savez(tmp_path / "a.npz", x=VALUES, y=labels)
    items = SignalTable(str(tmp_path / "a.npz"), label="y").load()
    assert items.label_names == names and len(set(items.label.tolist())) == 2


def test_rows_without_a_label_are_left_out(tmp_path):
    np.savez(tmp_path / "a.npz", x=VALUES, y=np.array([1, np.nan, 2, 1]))
    items = SignalTable(str(tmp_path / "a.npz"), label="y").load()
    assert dict(items.left_out) == {"row 2": "has no label"} and items.label.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.array([{}] * 4, dtype=object), "y holds Python objects"),
        (np.eye(4), r"y has shape \(4, 4\): give one label"),
        (np.array([1, 2, 3]), "label=y has 3 entries for 4 items"),
        (np.array([1j] * 4), "y holds complex128"),
    ],
)
def test_what_is_no_label_is_an_error_that_names_the_array(tmp_path, labels, words):
    np.savez(tmp_path / "a.npz", x=VALUES, y=labels)
    assert len(SignalTable(str(tmp_path / "a.npz"), key="x").load()) == 4
    with pytest.raises(UserError, match=words):
        SignalTable(str(tmp_path / "a.npz"), key="x", label="y").load()


@pytest.mark.parametrize("ending", ["csv", "npz"])
def test_windows_of_one_recording_stay_on_one_side_of_the_split(tmp_path, ending):
    values, recording = np.random.default_rng(0).normal(size=(40, 5)), np.arange(40) // 4
    if ending == "csv":
        lines = [",".join([*map(str, row), f"r{k}"]) for row, k in zip(values, recording, strict=True)]
        source = SignalTable(table(tmp_path, *lines), group=-1)
    else:
        np.savez(tmp_path / "a.npz", x=values, recording=recording)
        source = SignalTable(str(tmp_path / "a.npz"), group="recording")
    items = source.load()
    np.testing.assert_allclose(items.raw[:, 0], values, rtol=1e-6)
    sides = split_items(items, [0.6, 0.2, 0.2], seed=0)
    seen = [set(recording[index.numpy()]) for index in sides.values()]
    assert all(seen) and sum(map(len, seen)) == 10


def test_a_folder_of_arrays_is_one_signal_each_with_class_folders_as_labels(tmp_path):
    waves = np.random.default_rng(0).normal(size=(5, 50)).astype(np.float32)
    for k, wave in enumerate(waves):
        folder = tmp_path / ("odd" if k % 2 else "even")
        folder.mkdir(exist_ok=True)
        np.save(folder / f"{k}.npy", wave) if k < 3 else np.savez(folder / f"{k}.npz", wave=wave)
    np.save(tmp_path / "odd" / "short.npy", waves[0, :9])
    (tmp_path / "odd" / "bad.npy").write_text("no array")
    np.save(tmp_path / "odd" / "copy.npy", waves[1])
    items = SignalTable(str(tmp_path)).load()
    np.testing.assert_array_equal(items.raw[:, 0], waves[[0, 2, 4, 1, 3, 1]])
    assert items.label_names == ("even", "odd") and items.label.tolist() == [0, 0, 0, 1, 1, 1]
    assert items.group[3] == items.group[5] and len(items.group.unique()) == 5
    reasons = dict(items.left_out)
    assert reasons["odd/short.npy"] == "is of shape (9,) where most are (50,)" and "odd/bad.npy" in reasons


def test_a_folder_of_signals_of_several_channels_takes_axes(tmp_path):
    waves = np.random.default_rng(0).normal(size=(4, 50, 2)).astype(np.float32)
    for k, wave in enumerate(waves):
        np.save(tmp_path / f"{k}.npy", wave)
    with pytest.raises(UserError, match="4 items of 50 channels of 2 samples, or 4 items of 2 channels of 50 samples"):
        SignalTable(str(tmp_path)).load()
    items = SignalTable(str(tmp_path), axes="time,channels").load()
    np.testing.assert_array_equal(items.raw, waves.transpose(0, 2, 1))
    assert SignalTable(str(tmp_path), axes="time,channels").read(tmp_path, Signature.of(items)).equal(items.raw)


def test_a_file_with_a_header_and_no_rows_is_an_error_in_one_line(tmp_path):
    for text in ("t0,t1,t2\n", "# only this\n", ""):
        with pytest.raises(UserError, match=r"a\.csv [^\n]+$"):
            SignalTable("").read(write(tmp_path / "a.csv", text), ONE)


def test_an_own_table_is_read_so_that_it_fits_the_model(tmp_path):
    signature, waves = Signature("trace", (1, 200), None, (), {}), np.random.default_rng(0).normal(size=(200, 3))
    source, file = SignalTable(""), table(tmp_path, *(",".join(map(str, row)) for row in waves))
    values, axes = source.read_with_axes(file, signature)
    assert axes == ("time", "items")
    np.testing.assert_allclose(values[:, 0], waves.T, rtol=1e-6)
    two = Signature("trace", (3, 50), None, (), {})
    values, axes = source.read_with_axes(file, two)
    assert axes == ("time", "channels") and values.shape == (1, 3, 200)
    np.save(tmp_path / "a.npy", waves[None])
    assert source.read_with_axes(tmp_path / "a.npy", two)[1] == ("items", "time", "channels")


def test_an_own_table_with_the_runs_label_column_is_read_without_it(tmp_path):
    file = table(tmp_path, "a,b,c,kind", "1,2,3.5,ok", "4,5,6,bad")
    assert SignalTable("", label="kind").read(file, ONE)[:, 0].tolist() == [[1, 2, 3.5], [4, 5, 6]]
    bare = table(tmp_path, "1,2,3.5", "4,5,6", name="b.csv")
    for label in ("kind", -1):
        assert SignalTable("", label=label).read(bare, ONE).shape == (2, 1, 3)


def test_a_pipe_is_refused_at_once(tmp_path):
    for name in ("a.csv", "a.npy", "a.wav"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(UserError, match="a pipe or a device"):
            SignalTable("").read(tmp_path / name, ONE)
    with pytest.raises(UserError, match="a pipe or a device"):
        SignalTable(str(tmp_path / "a.csv")).load()


def test_the_axes_of_the_runs_own_table_hold_for_another_that_has_them(tmp_path):
    signature, source = Signature("trace", (1, 200), None, (), {}), SignalTable("", axes="time,items")
    np.save(tmp_path / "a.npy", np.zeros((90, 5)))
    assert source.read_with_axes(tmp_path / "a.npy", signature)[0].shape == (5, 1, 90)
    np.save(tmp_path / "b.npy", np.zeros(90))
    assert source.read_with_axes(tmp_path / "b.npy", signature)[1] == ("time",)
    rows = SignalTable("", axes="items,time")
    assert rows.read_with_axes(table(tmp_path, *"12345678"), signature)[0].shape == (1, 1, 8)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0,), (4, 0, 9)])
def test_an_empty_array_is_refused_in_one_line(tmp_path, shape):
    np.save(tmp_path / "a.npy", np.zeros(shape))
    for ask in (SignalTable(str(tmp_path / "a.npy")).load, lambda: SignalTable("").read(tmp_path / "a.npy", ONE)):
        with pytest.raises(UserError, match=r"a\.npy is empty, float64 [^\n]+$"):
            ask()


def test_a_text_that_is_named_like_an_archive_is_read_all_the_same(tmp_path):
    (tmp_path / "a.csv.gz").write_text("1,2.5,3\n2,0.5,4\n3,1.5,4\n")
    assert SignalTable(str(tmp_path / "a.csv.gz")).load().raw[:, 0].tolist() == [[1, 2.5, 3], [2, 0.5, 4], [3, 1.5, 4]]
