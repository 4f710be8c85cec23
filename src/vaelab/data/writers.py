"""Files that are written whole or not at all, and files that grow in memory that does not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

import numpy as np

from vaelab.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image
    from soundfile import SoundFile

FRAME_MS = 100
WAV_BYTES = 2**32 - 2**16  # the sizes in its header have 32 bits


class Writer(Protocol):
    """Takes pieces, and is closed; what was written before is whole whenever it is closed."""

    def write(self, piece: np.ndarray) -> None:
        """Append a piece."""

    def close(self) -> None:
        """Finish the file."""


@contextmanager
def on_disk(path: Path) -> Iterator[None]:
    """Raise what a disk says that takes no more as a `UserError` that names the file."""
    try:
        yield
    except BrokenPipeError:
        raise
    except (OSError, RuntimeError) as error:
        # libsndfile's exception, which is only there where the library is.
        if not isinstance(error, OSError) and type(error).__name__ != "LibsndfileError":
            raise
        # Neither numpy nor libsndfile hands on what the system said.
        reason = getattr(error, "strerror", None) or "the disk takes no more"
        raise UserError(f"{reason}: {path}; free some space or choose another folder") from error


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path to write to, beside `path` and of the same ending: once whole it becomes that, else nothing is left.

    Raises:
        UserError: if the disk is full, or takes nothing for another reason.
    """
    part = path.with_name(f".part-{path.name}")
    try:
        with on_disk(path):
            yield part
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


class NpyWriter:
    """Pieces `(k, *shape)` one after the other as one npy file of `(items, *shape)`."""

    def __init__(self, path: Path) -> None:
        self.path, self.items = path, 0
        self.file: BinaryIO | None = None

    def write(self, piece: np.ndarray) -> None:
        """Append `(k, *shape)`, all of one shape and type.

        Raises:
            UserError: if the disk is full; what was written before is whole.
        """
        with on_disk(self.path):
            if self.file is None:
                # Without a buffer, or what found no room would come again when it is closed.
                self.file, self.like = self.path.open("wb", buffering=0), piece[:0]
                self._header(self.file)
                self.end = self.file.tell()
            write_all(self.file.fileno(), np.ascontiguousarray(piece))
            self.end = self.file.tell()
        self.items += len(piece)

    def close(self) -> None:
        """Put the number of items into the header; a file without any is taken away."""
        if self.file is None:
            return
        with self.file, on_disk(self.path):
            if not self.items:
                self.path.unlink()
                return
            # A piece that found no room may have left a part of it.
            self.file.truncate(self.end)
            self.file.seek(0)
            self._header(self.file)

    def _header(self, file: BinaryIO) -> None:
        # numpy pads its header so that the first number can grow in place.
        shape = (self.items, *self.like.shape[1:])
        described = {"descr": np.lib.format.dtype_to_descr(self.like.dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, described)


class WavWriter:
    """Pieces `(k, channels, time)` one after the other as one sound, in 32-bit floats, so at any amplitude."""

    def __init__(self, path: Path, sample_rate: int) -> None:
        self.path, self.sample_rate, self.bytes = path, sample_rate, 0
        self.file: SoundFile | None = None

    def write(self, piece: np.ndarray) -> None:
        """Append `(k, channels, time)`.

        Raises:
            UserError: when a wav, or the disk, can hold no more; what it holds is whole.
        """
        import soundfile

        if self.file is None:
            rate, channels = self.sample_rate, piece.shape[1]
            with on_disk(self.path):
                self.file = soundfile.SoundFile(self.path, "w", rate, channels, subtype="FLOAT", format="WAV")
        self.bytes += piece.nbytes
        if self.bytes > WAV_BYTES:
            raise UserError(f"{self.path} is full, a wav holds 4 GiB: use task.to=npy or stdout for more")
        with on_disk(self.path):
            self.file.write(piece.transpose(0, 2, 1).reshape(-1, piece.shape[1]))

    def close(self) -> None:
        """Finish the header."""
        if self.file is not None:
            with on_disk(self.path):
                self.file.close()


class ByteWriter:
    """Pieces as bare little-endian bytes into a file descriptor, such as a pipe's."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def write(self, piece: np.ndarray) -> None:
        """Append every number; raises `BrokenPipeError` when nobody reads any more."""
        little = piece.astype(piece.dtype.newbyteorder("<"), copy=False)
        write_all(self.descriptor, np.ascontiguousarray(little))

    def close(self) -> None:
        """Leave the descriptor to whoever opened it."""


def write_all(descriptor: int, values: np.ndarray) -> None:
    """Write the bytes of contiguous values into a file descriptor, which may take them in parts."""
    left = values.reshape(-1).view(np.uint8).data
    while left:
        left = left[os.write(descriptor, left) :]


class GifWriter:
    """Frames `(height, width, 3)` uint8 as one endless animation; all are kept until it is closed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.frames: list[Image] = []

    def write(self, piece: np.ndarray) -> None:
        """Append a frame."""
        from PIL import Image

        self.frames.append(Image.fromarray(piece).quantize(128, dither=Image.Dither.NONE))

    def close(self) -> None:
        """Write them all."""
        if self.frames:
            with whole(self.path) as path:
                self.frames[0].save(
                    path, save_all=True, append_images=self.frames[1:], duration=FRAME_MS, loop=0, optimize=False
                )


class Mp4Writer:
    """Frames `(height, width, 3)` uint8, of even height and width, as one film, encoded by ffmpeg as they come."""

    def __init__(self, path: Path) -> None:
        self.path, self.file = path, ExitStack()
        self.ffmpeg: subprocess.Popen[bytes] | None = None

    def write(self, piece: np.ndarray) -> None:
        """Append a frame.

        Raises:
            UserError: if ffmpeg takes no more.
        """
        with self._ffmpeg_told():
            if self.ffmpeg is None:
                self.ffmpeg = _encoder(self.file.enter_context(whole(self.path)), *piece.shape[:2])
            assert self.ffmpeg.stdin is not None
            write_all(self.ffmpeg.stdin.fileno(), np.ascontiguousarray(piece))

    def close(self) -> None:
        """Let ffmpeg finish; only a whole film is kept.

        Raises:
            UserError: if ffmpeg could not finish it.
        """
        if self.ffmpeg is None:
            return
        with self.file, self._ffmpeg_told():
            self.ffmpeg.communicate()
            if self.ffmpeg.returncode:
                raise OSError(f"ffmpeg ended with status {self.ffmpeg.returncode}")

    @contextmanager
    def _ffmpeg_told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            why = f"ffmpeg could not write {self.path}"
            raise UserError(f"{why}: free some space or choose another folder, or use task.to=gif") from error


def _encoder(path: Path, height: int, width: int) -> subprocess.Popen[bytes]:
    """An ffmpeg that reads the bytes of frames and says nothing.

    The package has a writer, too, but none that tells how ffmpeg ended.
    """
    rate = f"{1000 / FRAME_MS:g}"
    frames = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", rate, "-i", "-"]
    film = ["-c:v", "h264", "-pix_fmt", "yuv420p", "-y", str(path.absolute())]
    return subprocess.Popen(
        [find_ffmpeg(), *frames, *film],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        process_group=0,  # a Ctrl-C is for whoever writes: it has frames to come, or closes
    )


def find_ffmpeg() -> str:
    """The ffmpeg that the package imageio-ffmpeg brings or finds, or the one that `IMAGEIO_FFMPEG_EXE` names.

    Raises:
        UserError: if it cannot be run.
    """
    from imageio_ffmpeg import get_ffmpeg_exe

    with suppress(RuntimeError):
        if ffmpeg := shutil.which(get_ffmpeg_exe()):
            return ffmpeg
    raise UserError("task.to=mp4 needs ffmpeg, and it was not found: set IMAGEIO_FFMPEG_EXE to its path, or use gif")


@contextmanager
def bare_stdout() -> Iterator[int]:
    """A descriptor of standard output for bytes alone: whatever else is printed meanwhile goes to standard error."""
    sys.stdout.flush()
    own = os.dup(1)
    os.dup2(2, 1)
    try:
        yield own
    finally:
        sys.stdout.flush()
        os.dup2(own, 1)
        os.close(own)
