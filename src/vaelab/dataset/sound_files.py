"""Sound files: every sample that is in them, whatever their header says of their length."""

import io
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vaelab.dataset.files import Unavailable

if TYPE_CHECKING:
    from soundfile import SoundFile

NEEDS_FFMPEG = frozenset({".aac", ".m4a", ".wma"})
BLOCK = 2**20  # samples, of all channels, that are read at a time
LARGE = 2**26  # samples: a larger file must not be a small one that unpacks to it
MOST_OF_BYTE = 64  # samples that a byte of such a file may stand for; of the smallest speech it is 24
TAGS = 2**12  # bytes behind the last frame of an mp3 that are no sound
# Numbers of libsndfile's errors: what the operating system did, and "no regular file", said of a damaged mp3 too.
SYSTEM_ERROR, NO_FILE = 2, 7


class Mono(NamedTuple):
    """A recording mixed to one channel: `(time,)` float32, the rate in Hz, and the peak of what was mixed."""

    wave: np.ndarray
    rate: int
    peak: float


def read_wave(path: Path) -> tuple[np.ndarray, int]:
    """All channels as they are in the file, `(channels, time)` float32, and the rate in Hz.

    Raises whatever decoders raise, and `ValueError` for a small file that unpacks to a huge one.
    """
    blocks, rate = _read(path, np.copy)
    return np.concatenate(blocks).T, rate


def read_mono(path: Path) -> Mono:
    """The mean of all channels; raises as `read_wave` does."""
    peaks = [0.0]

    def mix(block: np.ndarray) -> np.ndarray:
        if block.shape[1] == 1:
            return block[:, 0].copy()
        peaks.append(float(np.abs(block).max(initial=0)))
        return block.mean(axis=1)

    with np.errstate(all="ignore"):  # whoever takes the wave looks for what is not finite
        blocks, rate = _read(path, mix)
    return Mono(np.concatenate(blocks), rate, max(peaks))


def native_rate(path: Path) -> int:
    """The rate in Hz that the header gives; raises what libsndfile raises."""
    with _opened(os.fsencode(path)) as sound:
        return sound.samplerate


def _read(path: Path, take: Callable[[np.ndarray], np.ndarray]) -> tuple[list[np.ndarray], int]:
    """What `take` makes of every block `(time, channels)`, copied, of at least one, and the rate in Hz."""
    if path.suffix.lower() in NEEDS_FFMPEG:
        return _read_by_ffmpeg(path, take)
    with _opened(os.fsencode(path)) as sound:
        if sound.format != "MP3" and sound.frames:
            if sound.frames < 2**48:  # else the length is unknown
                _check_size(path, sound.frames * sound.channels)
            return _taken(path, sound, take), sound.samplerate
        is_mp3 = sound.format == "MP3"
    return (_read_mp3 if is_mp3 else _read_unfinished)(path, take)


def _read_unfinished(path: Path, take: Callable[[np.ndarray], np.ndarray]) -> tuple[list[np.ndarray], int]:
    with _opened(io.BytesIO(_of_unknown_length(path.read_bytes()))) as sound:
        return _taken(path, sound, take), sound.samplerate


def _read_mp3(path: Path, take: Callable[[np.ndarray], np.ndarray]) -> tuple[list[np.ndarray], int]:
    """An mp3 to the last of its frames.

    Their number is in none of them. It stands in an extra one at the start, which may be missing or wrong; without it
    the decoder guesses from the size of the first frame, and ends there.
    """
    data = _Mp3(path.read_bytes())
    for source in (data, data.without_length()):
        with _opened(source) as sound:
            blocks = _taken(path, sound, take)
        if source.tell() >= source.size - TAGS:
            break
    return blocks, sound.samplerate


class _Mp3(io.BytesIO):
    """An mp3 in memory, which says that it is `stretch` times as long as it is."""

    def __init__(self, data: bytes, stretch: int = 1) -> None:
        super().__init__(data)
        self.size, self.said = len(data), len(data) * stretch

    def without_length(self) -> "_Mp3":
        """The same with the extra frame made void, and so long that no guess at the length falls short of it."""
        data = self.getvalue()
        for name in (b"Xing", b"Info", b"VBRI"):
            data = data.replace(name, bytes(4), 1) if name in data[: 2**16] else data
        # The smallest frame is a fortieth of the largest.
        return _Mp3(data, stretch=64)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return super().seek(self.said + offset) if whence == os.SEEK_END else super().seek(offset, whence)

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        at = self.tell()
        # In the last 128 bytes the decoder looks for a tag: they are those of the file.
        if self.size < self.said and at >= self.said - 128:
            self.seek(at - self.said + self.size)
            count = super().readinto(buffer)
            self.seek(at + count)
            return count
        return super().readinto(buffer)


def _of_unknown_length(data: bytes) -> bytes:
    """A file that is empty by its header, since whoever wrote it never came to the end, as one of unknown length."""
    unknown = b"\xff\xff\xff\xff"
    if data[:4] == b".snd":
        return data[:8] + unknown + data[12:]
    if data[:4] not in (b"RIFF", b"RF64"):
        return data
    at = 12
    while at < len(data) and data[at : at + 4] != b"data":
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + size + size % 2
    behind = len(data) - at - 8
    if behind >= 8 and int.from_bytes(data[at + 12 : at + 16], "little") + 8 in (behind, behind - 1):
        return data  # it is empty, and a chunk of words follows
    # The lengths of more than 4 GiB lie in a chunk of their own, which is made void.
    head = b"RIFF" + unknown + data[8:at].replace(b"ds64", b"JUNK", 1)
    return head + data[at : at + 4] + unknown + data[at + 8 :]


@contextmanager
def _opened(file: bytes | io.BytesIO) -> Iterator["SoundFile"]:
    """The file by its name in bytes, which need not be UTF-8, or its content; complaints without either in them."""
    import soundfile

    try:
        with soundfile.SoundFile(file) as sound:
            yield sound
    except soundfile.LibsndfileError as error:
        kind = Unavailable if error.code == SYSTEM_ERROR else ValueError
        raise kind("damaged" if error.code == NO_FILE else error.error_string.strip()) from None


def _taken(path: Path, sound: "SoundFile", take: Callable[[np.ndarray], np.ndarray]) -> list[np.ndarray]:
    # Behind each block soundfile would seek to where it is, which fails at the end of a length that is not known.
    sound.seekable = lambda: False
    # Room for one sample more than the file should hold: a block that is not full is the last.
    room = max(1, min(BLOCK // sound.channels, sound.frames + 1))
    space = np.empty((room, sound.channels), np.float32)
    blocks: list[np.ndarray] = []
    count = 0
    while True:
        block = sound.read(out=space)
        count += block.size
        _check_size(path, count)
        blocks.append(take(block))
        if len(block) < len(space):
            return blocks


def _check_size(path: Path, samples: int) -> None:
    size = path.stat().st_size
    if samples > LARGE and samples > MOST_OF_BYTE * size:
        raise ValueError(f"its {size:,} bytes unpack to more than {4 * samples / 2**30:.2g} GiB")


def _read_by_ffmpeg(path: Path, take: Callable[[np.ndarray], np.ndarray]) -> tuple[list[np.ndarray], int]:
    import audioread  # librosa's own way to ffmpeg

    try:
        opened = audioread.audio_open(path)
    except audioread.NoBackendError:
        if shutil.which("ffmpeg"):
            raise ValueError("ffmpeg finds no sound in it") from None
        raise Unavailable(f"{path.suffix} files need ffmpeg: install it, or convert them to wav or flac") from None
    blocks, count, rest = [take(np.zeros((0, opened.channels), np.float32))], 0, b""
    with opened as sound:
        for data in sound:
            data = rest + data
            whole = len(data) - len(data) % (2 * sound.channels)
            block, rest = np.frombuffer(data[:whole], "<i2").reshape(-1, sound.channels), data[whole:]
            count += block.size
            _check_size(path, count)
            blocks.append(take(block.astype(np.float32) / 2**15))
        return blocks, round(sound.samplerate)
