import os
import resource
import stat
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import soundfile
from PIL import Image

from vaelab.data import writers
from vaelab.data.writers import ByteWriter, GifWriter, Mp4Writer, NpyWriter, WavWriter, find_ffmpeg, whole
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


@pytest.mark.parametrize(("count", "size"), [(1, (2, 2)), (2, (20, 30)), (25, (420, 720))])
def test_a_film_shows_every_frame_and_nothing_is_said(tmp_path, capfd, count, size):
    writer = Mp4Writer(tmp_path / "a.mp4")
    for k in range(count):
        writer.write(np.full((*size, 3), 10 * k, np.uint8))
    assert not (tmp_path / "a.mp4").exists()
    writer.close()
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"] and capfd.readouterr() == ("", "")
    assert imageio_ffmpeg.count_frames_and_secs(tmp_path / "a.mp4") == (count, pytest.approx(count / 10))
    decoded = [find_ffmpeg(), "-i", tmp_path / "a.mp4", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    pixels = np.frombuffer(subprocess.run(decoded, capture_output=True, check=True).stdout, np.uint8)
    grey = pixels.reshape(count, *size, 3).mean((1, 2, 3))
    assert grey == pytest.approx([10 * k for k in range(count)], abs=3)


STOPPED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from vaelab.data.writers import Mp4Writer

signal.signal(signal.SIGINT, lambda *_: None)
writer = Mp4Writer(Path(sys.argv[1]))
for k in range(20):
    writer.write(np.zeros((40, 60, 3), np.uint8))
    if k == 10:
        os.killpg(0, signal.SIGINT)
writer.close()
"""


def test_a_ctrl_c_is_for_whoever_writes_the_film_and_not_for_ffmpeg(tmp_path):
    path = tmp_path / "a.mp4"
    subprocess.run([sys.executable, "-c", STOPPED, path], check=True, start_new_session=True)
    assert imageio_ffmpeg.count_frames_and_secs(path)[0] == 20


def test_a_film_may_lie_in_a_folder_of_any_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("-y", "a:b", "100%d", "two words"):
        Path(name).mkdir()
        writer = Mp4Writer(Path(name) / "a.mp4")
        writer.write(np.zeros((4, 6, 3), np.uint8))
        writer.close()
        assert (tmp_path / name / "a.mp4").stat().st_size > 0


def test_nothing_written_leaves_no_broken_file(tmp_path):
    for writer in (
        WavWriter(tmp_path / "a.wav", 8000),
        GifWriter(tmp_path / "a.gif"),
        NpyWriter(tmp_path / "a.npy"),
        Mp4Writer(tmp_path / "a.mp4"),
    ):
        writer.close()
    assert not list(tmp_path.iterdir())


def test_ffmpeg_comes_with_the_package_and_another_one_may_be_chosen(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Path(find_ffmpeg()).is_file()
    program = tmp_path / "own"
    program.write_text("#!/bin/sh\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))
    assert find_ffmpeg() == str(program)


def found_nowhere():
    raise RuntimeError("No ffmpeg exe could be found.")


@pytest.mark.parametrize("find", [lambda: "no/ffmpeg", found_nowhere])
def test_a_lack_of_ffmpeg_is_told(monkeypatch, find):
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", find)
    with pytest.raises(UserError, match=r"^task.to=mp4 needs ffmpeg[^\n]+set IMAGEIO_FFMPEG_EXE[^\n]+gif$"):
        find_ffmpeg()


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


NO_FILM = r"^ffmpeg could not write [^\n]+a.mp4: free some space[^\n]+gif$"


def test_a_film_that_finds_no_room_is_told_and_not_left(tmp_path, capfd):
    (tmp_path / "a.mp4").write_bytes(b"the one before")
    writer, rng = Mp4Writer(tmp_path / "a.mp4"), np.random.default_rng(0)
    with full(1000):
        with pytest.raises(UserError, match=NO_FILM):
            for _ in range(200):
                writer.write(rng.integers(0, 255, (200, 300, 3), np.uint8))
        with pytest.raises(UserError, match=NO_FILM):
            writer.close()
    assert (tmp_path / "a.mp4").read_bytes() == b"the one before"
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"] and capfd.readouterr() == ("", "")


def test_a_film_that_finds_no_room_only_at_its_end_is_told_and_not_left(tmp_path):
    writer = Mp4Writer(tmp_path / "a.mp4")
    with full(100):
        writer.write(np.zeros((4, 6, 3), np.uint8))
        with pytest.raises(UserError, match=NO_FILM):
            writer.close()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("script", ["exit 1", "head -c 10 > /dev/null; exit 1"])
def test_what_is_no_ffmpeg_is_told(tmp_path, monkeypatch, script):
    broken, films = tmp_path / "ffmpeg", tmp_path / "films"
    broken.write_text(f"#!/bin/sh\n{script}\n")
    broken.chmod(0o755)
    films.mkdir()
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(broken))
    writer = Mp4Writer(films / "a.mp4")
    with pytest.raises(UserError, match=NO_FILM), closing(writer):
        for _ in range(10):
            writer.write(np.zeros((400, 600, 3), np.uint8))
    assert not list(films.iterdir())


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
