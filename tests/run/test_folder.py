import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from vaelab.cli import register_resolvers
from vaelab.errors import TakenError, UserError
from vaelab.run import folder
from vaelab.run.folder import Lock, own_folder
from vaelab.run.state import left_at, overrides_of, read_record

HOLD = """
import sys, time
from pathlib import Path
from vaelab.run.folder import Lock
lock = Lock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def test_a_lock_keeps_others_out_until_it_is_released_and_leaves_no_file(tmp_path):
    path = tmp_path / "a" / ".lock"
    lock = Lock(path)
    with pytest.raises(TakenError, match=rf"^{path.parent} is being written by process {os.getpid()} on [^\n]+$"):
        Lock(path)
    lock.release()
    assert not path.exists()
    Lock(path).release()


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    path = tmp_path / ".lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    with holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(TakenError, match=f"process {holder.pid} on"):
            Lock(path)
        holder.send_signal(signal.SIGKILL)
    assert path.exists()
    Lock(path).release()


def test_a_lock_whose_file_was_taken_away_meanwhile_is_of_the_new_file(tmp_path, monkeypatch):
    path, flock, opened = tmp_path / ".lock", folder.fcntl.flock, []

    def late(file, how):
        if not opened:
            path.unlink()
        opened.append(file)
        flock(file, how)

    monkeypatch.setattr(folder.fcntl, "flock", late)
    lock = Lock(path)
    assert len(opened) == 2 and path.exists()
    with pytest.raises(TakenError):
        Lock(path)
    lock.release()


def test_where_a_disk_has_no_locks_nobody_is_kept_out(tmp_path, monkeypatch):
    def without(file, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(folder.fcntl, "flock", without)
    one, other = Lock(tmp_path / ".lock"), Lock(tmp_path / ".lock")
    one.release()
    other.release()
    monkeypatch.setattr(folder, "fcntl", None)
    Lock(tmp_path / ".lock").release()


@pytest.mark.parametrize("lock", [".lock", "other"])
def test_a_folder_named_after_the_time_takes_the_next_number_and_another_is_refused(tmp_path, lock):
    register_resolvers()
    names = OmegaConf.create({"dated": f"{tmp_path}/${{began:%Y}}", "fixed": f"{tmp_path}/run"})
    held = []
    for _ in range(3):
        entering = own_folder(lambda: Path(names.dated), lambda path: path.name, lock)
        held.append((entering, *entering.__enter__()))
    year = held[0][1].name
    assert [path.name for _, path, _ in held] == [name for _, _, name in held] == [year, f"{year}_2", f"{year}_3"]
    with own_folder(lambda: tmp_path / "run", lambda path: None, lock), pytest.raises(TakenError):
        own_folder(lambda: Path(names.fixed), lambda path: None, lock).__enter__()
    assert names.dated.endswith("_3")
    for entering, path, _ in held:
        entering.__exit__(None, None, None)
        assert not list(path.iterdir())


def test_a_folder_that_was_refused_is_free_again(tmp_path):
    def refuse(path):
        raise UserError("a mistake")

    with pytest.raises(UserError, match="a mistake"), own_folder(lambda: tmp_path / "run", refuse, ".lock"):
        pass
    assert not list((tmp_path / "run").iterdir())


@pytest.mark.parametrize(
    ("files", "left"),
    [
        ([], None),
        (["provenance.json"], None),
        (["config.yaml"], "begun"),
        (["checkpoints/last.part", "config.yaml"], "begun"),
        (["checkpoints/best.ckpt"], "cut"),
        (["checkpoints/last.ckpt", "config.yaml"], "cut"),
        (["checkpoints/last.ckpt", "config.yaml", "metrics.json"], "done"),
        (["metrics.json"], "done"),
    ],
)
def test_how_far_a_run_came_is_seen_by_its_files(tmp_path, files, left):
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text('{"a": 1}')
    assert left_at(tmp_path) == left


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, "\xff", '"a"'])
def test_a_damaged_record_says_nothing(tmp_path, text):
    (tmp_path / "provenance.json").write_bytes(text.encode("latin-1"))
    assert read_record(tmp_path / "provenance.json") == {} and overrides_of(tmp_path) is None


@pytest.mark.parametrize(
    ("overrides", "found"), [('["a=1"]', ["a=1"]), ("[]", []), ("null", None), ("3", None), ("[1]", None)]
)
def test_the_words_of_a_run_are_read_where_they_are_words(tmp_path, overrides, found):
    (tmp_path / "provenance.json").write_text(f'{{"overrides": {overrides}}}')
    assert overrides_of(tmp_path) == found
