from pathlib import Path

import pytest

from vaelab.data.sources.files import existing_file, existing_folder, files_under, folder_labels
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
