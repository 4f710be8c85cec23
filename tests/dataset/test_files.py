import os
from pathlib import Path

import pytest

from vaelab.dataset.files import (
    PassingReason,
    Unavailable,
    attempt,
    existing_file,
    existing_folder,
    files_under,
    folder_labels,
    given_split,
    printable,
)
from vaelab.errors import UserError


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_a_missing_root_is_one_line_with_path_and_remedy(tmp_path):
    with pytest.raises(UserError, match=r"gone does not exist: set dataset\.root") as error:
        existing_folder(tmp_path / "gone")
    assert "\n" not in str(error.value)


def test_a_file_is_no_root_and_a_folder_is_no_file(tmp_path):
    touch(tmp_path, "a.png")
    with pytest.raises(UserError, match=r"a\.png is a file"):
        existing_folder(tmp_path / "a.png")
    with pytest.raises(UserError, match="is a folder"):
        existing_file(tmp_path)


def test_an_empty_root_says_what_to_put_there(tmp_path):
    with pytest.raises(UserError, match=r"holds no pictures: put some there \(\.png\)"):
        files_under(tmp_path, {".png"}, "pictures")


def test_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert existing_folder("~") == tmp_path


def test_other_and_hidden_files_are_left_out_by_name(tmp_path):
    touch(tmp_path, "b/2.PNG", "a.png", "notes.txt", ".hidden.png", ".git/x.png")
    paths, left_out = files_under(tmp_path, {".png"}, "pictures")
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == ["a.png", "b/2.PNG"]
    assert sorted(name for name, _ in left_out) == [".git", ".hidden.png", "notes.txt"]


def test_linked_folders_are_read_and_a_loop_of_links_ends(tmp_path):
    touch(tmp_path, "elsewhere/1.png", "root/2.png")
    (tmp_path / "root" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "loop").symlink_to(tmp_path / "elsewhere")
    paths, _ = files_under(tmp_path / "root", {".png"}, "pictures")
    assert {path.name for path in paths} == {"1.png", "2.png"}


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["a.png", "b.png"], None),
        (["set/a.png", "set/b.png"], None),
        (["cat/a.png", "dog/b.png"], ["cat", "dog"]),
        (["set/cat/a.png", "set/dog/young/b.png"], ["cat", "dog"]),
        (["set/a.png", "set/dog/b.png"], ["set", "dog"]),
    ],
)
def test_the_first_folder_that_tells_files_apart_is_their_class(names, labels):
    assert folder_labels([Path("root", name) for name in names]) == labels


@pytest.mark.parametrize(
    ("names", "folds", "labels"),
    [
        (["train/cat/a", "train/dog/b", "test/cat/c", "test/dog/d"], [0, 0, 2, 2], ["cat", "dog", "cat", "dog"]),
        (["Training/a", "VALID/b", "Testing/c"], [0, 1, 2], None),
        (["set/train2017/a", "set/val2017/b"], [0, 1], None),
        (["training_set/cat/a", "test_set/dog/b"], [0, 2], ["cat", "dog"]),
        (["train/images/cat/a", "test/images/dog/b"], [0, 2], ["cat", "dog"]),
        (["cat/train/a", "cat/test/b", "dog/train/c"], [0, 2, 0], ["cat", "cat", "dog"]),
        (["train/cat/a", "test/b"], [0, 2], ["cat", "root"]),
        (["train/a", "car/b", "bus/c"], None, ["train", "car", "bus"]),
        (["train/a", "train/b"], None, None),
        (["trainer/a", "tester/b"], None, ["trainer", "tester"]),
        (
            ["train/a", "test/b", *(f"album{k}/c" for k in range(3))],
            None,
            ["train", "test", "album0", "album1", "album2"],
        ),
    ],
)
def test_folders_named_after_the_parts_of_a_split_are_the_split(names, folds, labels):
    paths = [Path("root", name) for name in names]
    given, beside = given_split(Path("root"), paths)
    assert not beside and ([given[path] for path in paths] if given else None) == folds
    assert folder_labels(paths) == labels


def test_what_lies_beside_the_folders_of_a_split_is_left_out_with_the_reason(tmp_path):
    paths = [tmp_path / name for name in ("train/a", "test/b", "masks/c")]
    given, beside = given_split(tmp_path, paths)
    assert given == {paths[0]: 0, paths[1]: 2}
    assert beside == [("masks/c", "lies beside the folders of the given split (test, train)")]


def test_pipes_devices_and_links_to_nothing_are_left_out(tmp_path):
    touch(tmp_path, "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "endless.png").symlink_to("/dev/zero")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
    paths, left_out = files_under(tmp_path, {".png"}, "pictures")
    assert paths == [tmp_path / "a.png"]
    assert dict(left_out) == {
        "pipe.png": "no regular file but a pipe or a device",
        "endless.png": "no regular file but a pipe or a device",
        "gone.png": "a link to nothing",
    }
    with pytest.raises(UserError, match=r"pipe\.png is no regular file"):
        existing_file(tmp_path / "pipe.png")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"caf\xe9", r"caf\xe9"),
        (b"caf\xc3\xa9", "café"),
        (b"a\tb\nc", r"a\x09b\x0ac"),
        (b"[/b] \xf0\x9f\x90\x88", "[/b] 🐈"),
    ],
)
def test_names_are_shown_in_one_line_of_utf8(name, shown):
    assert printable(os.fsdecode(name)) == shown and shown.encode()


def test_a_reason_that_lies_in_the_machine_is_told_from_one_in_the_file():
    def fail(error):
        def read(path):
            raise error

        return attempt(read, Path("a.png"))

    of_machine = [MemoryError(), OSError(24, "Too many open files"), Unavailable("needs x"), OSError("out of memory")]
    assert all(isinstance(fail(error), PassingReason) for error in of_machine)
    assert not any(isinstance(fail(error), PassingReason) for error in (OSError("truncated"), ValueError("odd")))


def test_a_reason_that_names_a_file_can_be_printed():
    reason = attempt(lambda path: (_ for _ in ()).throw(ValueError("a\udce9b: broken")), Path("x"))
    assert reason == r"a\xe9b: broken"
