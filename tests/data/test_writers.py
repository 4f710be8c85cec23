import os
import resource
import stat
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest
import soundfile
from PIL import Image

from vaelab.data import writers
from vaelab.data.writers import ByteWriter, GifWriter, NpyWriter, WavWriter, find_ffmpeg, whole
from vaelab.errors import UserError

FULL = r"^File too large: [^\n]+a\.\w+; free some space or choose another folder$"
WAVES = np.random.default_rng(0).normal(size=(10, 2, 5)).astype(np.float32)


@pytest.mark.parametrize("values", [WAVES, (WAVES * 9).astype(np.uint8)])
def test_an_npy_that_grew_in_pieces_is_the_one_of_the_whole(tmp_path, values):
    writer = NpyWriter(tmp_path / "a.npy")
    for piece in (values[:3], values[3:3], values[3:10]):
        writer.write(piece)
    writer.close()
    np.save(tmp_path / "b.npy", values)
    loaded = np.load(tmp_path / "a.npy")
    assert np.array_equal(loaded, values) and loaded.dtype == values.dtype
    assert (tmp_path / "a.npy").stat().st_size == (tmp_path / "b.npy").stat().st_size


def test_a_wav_has_the_waves_one_after_the_other_at_any_amplitude(tmp_path):
    writer = WavWriter(tmp_path / "a.wav", 8000)
    writer.write(WAVES[:4])
    writer.write(WAVES[4:])
    writer.close()
    sound, rate = soundfile.read(tmp_path / "a.wav", dtype="float32")
    assert rate == 8000 and sound.shape == (50, 2) and np.abs(sound).max() > 1
    assert np.array_equal(sound[5:10], WAVES[1].T)


def test_a_full_wav_is_told_and_what_it_holds_is_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(writers, "WAV_BYTES", WAVES[:6].nbytes)
    writer = WavWriter(tmp_path / "a.wav", 8000)
    writer.write(WAVES[:5])
    with pytest.raises(UserError, match=r"^[^\n]+a.wav is full[^\n]+npy or stdout[^\n]+$"):
        writer.write(WAVES[5:])
    writer.close()
    assert len(soundfile.read(tmp_path / "a.wav")[0]) == 25


def test_bytes_are_little_endian_and_a_reader_that_left_is_noticed():
    reader, writer = os.pipe()
    ByteWriter(writer).write(WAVES[:, :1].transpose(0, 2, 1))
    assert np.array_equal(np.frombuffer(os.read(reader, 10_000), "<f4"), WAVES[:, 0].ravel())
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        ByteWriter(writer).write(WAVES)
    os.close(writer)


def test_a_gif_shows_every_frame_for_ever(tmp_path):
    writer = GifWriter(tmp_path / "a.gif")
    for k in range(3):
        writer.write(np.full((4, 6, 3), 80 * k, np.uint8))
    writer.close()
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.n_frames == 3 and gif.size == (6, 4) and gif.info["loop"] == 0


def test_nothing_written_leaves_no_broken_file(tmp_path):
    for writer in (WavWriter(tmp_path / "a.wav", 8000), GifWriter(tmp_path / "a.gif"), NpyWriter(tmp_path / "a.npy")):
        writer.close()
    assert not list(tmp_path.iterdir())


def test_ffmpeg_is_looked_for_and_its_lack_told(tmp_path, monkeypatch):
    monkeypatch.setattr(writers, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"^task.to=mp4 needs ffmpeg[^\n]+install it[^\n]+gif$"):
        find_ffmpeg()
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    assert find_ffmpeg() == str(program)


def test_words_do_not_meet_the_bytes_on_standard_output():
    script = """
import os
from vaelab.data.writers import bare_stdout
print("before")
with bare_stdout() as own:
    print("words")
    os.write(own, b"bytes")
print("after")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("before\nbytesafter\n", "words\n")


@contextmanager
def full(size):
    """Inside, no file grows beyond so many bytes: to whoever writes, the disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        # Not only at the test's end: its own report may go into a file.
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_told_and_an_npy_holds_the_items_before(tmp_path):
    writer = NpyWriter(tmp_path / "a.npy")
    with full(700):
        writer.write(WAVES)
        with pytest.raises(UserError, match=FULL):
            writer.write(WAVES)
        writer.close()
    assert np.array_equal(np.load(tmp_path / "a.npy"), WAVES)
    assert (tmp_path / "a.npy").stat().st_size == 128 + WAVES.nbytes


@pytest.mark.parametrize("size", [0, 50, 200])
def test_an_npy_without_room_for_one_piece_is_not_left(tmp_path, size):
    writer = NpyWriter(tmp_path / "a.npy")
    with full(size):
        with pytest.raises(UserError, match=FULL):
            writer.write(WAVES)
        writer.close()
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_told_and_a_wav_can_be_heard(tmp_path):
    writer, told = WavWriter(tmp_path / "a.wav", 8000), FULL.replace("File too large", "the disk takes no more")
    with full(20_000):
        with pytest.raises(UserError, match=told):
            for _ in range(1000):
                writer.write(WAVES)
        writer.close()
    sound, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    expected = np.tile(WAVES.transpose(0, 2, 1).reshape(-1, 2), (1000, 1))
    assert len(sound) > 2000 and np.array_equal(sound, expected[: len(sound)])


def test_a_gif_that_finds_no_room_is_not_left(tmp_path):
    writer = GifWriter(tmp_path / "a.gif")
    for _ in range(3):
        writer.write(np.random.default_rng(0).integers(0, 255, (40, 60, 3)).astype(np.uint8))
    with full(1000), pytest.raises(UserError, match=FULL):
        writer.close()
    assert not list(tmp_path.iterdir())


def test_a_film_that_finds_no_room_is_told(tmp_path, monkeypatch):
    broken = tmp_path / "ffmpeg"
    broken.write_text("#!/bin/sh\nhead -c 10 > /dev/null; exit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(writers, "find_ffmpeg", lambda: str(broken))
    writer = writers.Mp4Writer(tmp_path / "a.mp4")
    told = r"^ffmpeg could not write [^\n]+a.mp4: free some space[^\n]+gif$"
    with pytest.raises(UserError, match=told):
        for _ in range(100):
            writer.write(np.zeros((400, 600, 3), np.uint8))
    with pytest.raises(UserError, match=told):
        writer.close()


WAYS = {
    "npy": lambda path: np.save(path, np.zeros(10_000)),
    "wav": lambda path: soundfile.write(path, np.zeros(10_000), 8000),
    "csv": lambda path: path.write_text("1,2\n" * 10_000),
}


@pytest.mark.parametrize("ending", WAYS)
def test_a_file_is_written_whole_or_not_at_all(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    with whole(path) as part:
        WAYS[ending](part)
    before = path.read_bytes()
    told = FULL.replace("File too large", "(File too large|the disk takes no more)")
    with full(1000), pytest.raises(UserError, match=told), whole(path) as part:
        WAYS[ending](part)
    assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == [path.name]


def test_what_fails_for_another_reason_says_so(tmp_path):
    with pytest.raises(RuntimeError, match=r"^of its own$"), whole(tmp_path / "a.npy"):
        raise RuntimeError("of its own")
