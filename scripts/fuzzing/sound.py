"""A folder of four good recordings and one that is odd: of any format, rate, length and name, damaged, or no sound.

The good ones must come out as they do without it, with their classes. The same wave in another format that loses
nothing must come out the same, one in a lossy format as long as it is; the sums in flac and ogg promise that damage is
found, and a header with a wrong length may hide nothing of what is there without a word.
"""

from __future__ import annotations

import io
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from fuzzing import _doors
from fuzzing._bytes import cut, damaged, flipped, with_head
from fuzzing._kind import Input, Kind, Reading, Rng, pick
from fuzzing.pictures import no_file

RATE, SECONDS, CHUNK = 8000, 1.0, 0.25
AUDIO = [
    *("experiment=audio", "dataset=audio_folder", f"dataset.sample_rate={RATE}", f"dataset.chunk_seconds={CHUNK}"),
    *("dataset.codec.n_fft=128", "dataset.codec.hop_length=64", "architecture.width=4", "latent.dim=2"),
]
LOSSLESS = (
    *(("wav", "PCM_16"), ("wav", "PCM_24"), ("wav", "PCM_32"), ("wav", "FLOAT"), ("wav", "DOUBLE"), ("flac", "PCM_16")),
    *(("flac", "PCM_24"), ("aiff", "PCM_16"), ("aiff", "FLOAT"), ("au", "PCM_16"), ("au", "FLOAT"), ("aif", "PCM_24")),
)
LOSSY = (
    ("ogg", "VORBIS"),
    ("mp3", "MPEG_LAYER_III"),
    ("opus", "OPUS"),
    ("oga", "VORBIS"),
    ("wav", "ULAW"),
    ("au", "ALAW"),
)
ALSO = (("wav", "PCM_U8"), ("wav", "IMA_ADPCM"), ("wav", "MS_ADPCM"), ("wav", "GSM610"), ("aiff", "PCM_S8"))
FORMATS = {"wav": "WAV", "flac": "FLAC", "aiff": "AIFF", "aif": "AIFF", "au": "AU", "ogg": "OGG", "oga": "OGG"}
SUFFIXES = ("wav", "flac", "ogg", "mp3", "aiff", "au", "m4a", "aac", "wma", "opus")
LOUDEST = 1e30


def tone(number: int, seconds: float = SECONDS, rate: int = RATE) -> np.ndarray:
    """A tone with its own pitch, `(time,)`, in steps that 16 bits hold."""
    time = np.arange(round(seconds * rate)) / rate
    wave = 0.5 * np.sin(2 * np.pi * (150 + 110 * number) * time) * np.cos(1.5 * time * number)
    return np.round(wave * 32768) / 32768


def prepare(folder: Path) -> None:
    """The good recordings, and how they and the plain form of the odd one come out."""
    for k in range(4):
        good = folder / "good" / "ab"[k % 2] / f"{k}.wav"
        good.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(good, tone(k), RATE, "PCM_16")
    shutil.copytree(folder / "good", folder / "all")
    soundfile.write(folder / "all" / "a" / "x.wav", tone(9), RATE, "PCM_16")
    # In the order of their names: a/0, a/2, a/x, b/1, b/3, of four chunks each.
    items = _doors.load(AUDIO, root=str(folder / "all")).values.reshape(5, -1)
    np.savez(folder / "known.npz", good=items[[0, 3, 1, 4]], odd=items[2])


# One odd recording ------------------------------------------------------------------------------------------------

# Its suffix, its bytes, words for it, and what must come of it: the wave, its seconds, or nothing known.
Odd = tuple[str, bytes, str, str]


def saved(wave: np.ndarray, suffix: str, subtype: str, rate: int = RATE) -> bytes:
    """A wave `(time,)` or `(time, channels)` as a file of that format."""
    file = io.BytesIO()
    soundfile.write(
        file, wave, rate, subtype, format=FORMATS.get(suffix, "OGG" if subtype == "OPUS" else suffix.upper())
    )
    return file.getvalue()


def lossless(rng: Rng) -> Odd:
    """The same wave in a format that holds it whole, in one channel or in several alike."""
    suffix, subtype = pick(rng, LOSSLESS)
    channels = int(pick(rng, (1, 1, 2, 6)))
    wave = np.repeat(tone(9)[:, None], channels, axis=1)
    return suffix, saved(wave, suffix, subtype), f"{channels} channels of {subtype} as {suffix}", "wave"


def lossy(rng: Rng) -> Odd:
    """The same wave in a format that keeps its length."""
    suffix, subtype = pick(rng, LOSSY)
    return suffix, saved(tone(9), suffix, subtype), f"{subtype} as {suffix}", "length"


def of_any_rate(rng: Rng) -> Odd:
    """A wave of another rate, as long as it says; of the strangest rates nothing is known."""
    rate = int(
        pick(rng, (8000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000, 256_000, 3_999, 8_001, 1, 8, 100))
    )
    rate = rate if rate > 1000 or rng.random() < 0.5 else (2**31 - 1)
    wave = tone(9, 1.0, rate) if 1000 < rate < 10**6 else tone(9)
    return "wav", saved(wave, "wav", "PCM_16", rate), f"{rate} Hz", "length" if 1000 < rate < 10**6 else ""


def checked(rng: Rng) -> Odd:
    """A flac or ogg with bits turned or its end missing, whose sums tell."""
    suffix, subtype = pick(rng, (("flac", "PCM_16"), ("flac", "PCM_24"), ("ogg", "VORBIS")))
    data, how = damaged(saved(tone(9), suffix, subtype), rng, (flipped, cut))
    return suffix, data, f"{suffix}: {how}", "wave" if suffix == "flac" else "length"


def wrong_length(rng: Rng) -> Odd:
    """A wav whose header says another length than it has, as a recorder that crashed leaves it."""
    said = int(pick(rng, (0, 1, 2**31 - 1, 2**32 - 1, 2**32 - 2, 4000, 40_000)))
    data = saved(tone(9), "wav", "PCM_16")
    place = data.index(b"data") + 4
    data = data[:place] + said.to_bytes(4, "little") + data[place + 4 :]
    if rng.random() < 0.5:
        data = data[:4] + min(said + 36, 2**32 - 1).to_bytes(4, "little") + data[8:]
    return "wav", data, f"a header of {said} bytes", "length" if said >= 16_000 or said == 0 else ""


def header_fields(rng: Rng) -> Odd:
    """A wav with a field of its format replaced by an odd value."""
    data = bytearray(saved(tone(9), "wav", "PCM_16"))
    place = bytes(data).index(b"fmt ") + 8
    offset, size = pick(rng, ((0, 2), (2, 2), (4, 4), (8, 4), (12, 2), (14, 2), (-4, 4)))
    value = int(pick(rng, (0, 1, 2, 3, 7, 8, 255, 65_535, 65_534, 2**31 - 1, 2**32 - 1, 6, 17))) % 256**size
    data[place + offset : place + offset + size] = value.to_bytes(size, "little")
    return "wav", bytes(data), f"{value} at {offset} of the format", ""


def odd_values(rng: Rng) -> Odd:
    """Silence, NaN, infinity, or far too loud; or too short to be a sound."""
    name = pick(rng, ("silence", "nan", "inf", "1e30", "1e38", "1e-20", "constant", "nothing", "one sample", "all nan"))
    wave = tone(9)
    if name in ("nan", "inf", "1e30", "1e38"):
        wave[rng.integers(0, len(wave), 3)] = float(name)
    else:
        wave = {
            "silence": 0 * wave,
            "1e-20": 1e-20 * wave,
            "constant": 0 * wave + 0.5,
            "nothing": wave[:0],
            "one sample": wave[5:6],
            "all nan": wave * np.nan,
        }[name]
    subtype = pick(rng, ("FLOAT", "DOUBLE"))
    return "wav", saved(wave, "wav", subtype), f"{name} as {subtype}", ""


def also(rng: Rng) -> Odd:
    """Older formats, and many channels."""
    if rng.random() < 0.3:
        channels = int(pick(rng, (8, 32, 200)))
        wave = np.repeat(tone(9, 0.1)[:, None], channels, axis=1)
        return "wav", saved(wave, "wav", "PCM_16"), f"{channels} channels", ""
    suffix, subtype = pick(rng, ALSO)
    return suffix, saved(tone(9), suffix, subtype), f"{subtype} as {suffix}", ""


def damaged_any(rng: Rng) -> Odd:
    """A recording of any format, damaged, or with another's header or name."""
    suffix, subtype = pick(rng, (*LOSSLESS, *LOSSY, *LOSSY))
    data, how = saved(tone(9), suffix, subtype), pick(rng, ("bytes", "bytes", "bytes", "head", "name"))
    if how == "bytes":
        data, words = damaged(data, rng)
        return suffix, data, f"{suffix}: {words}", ""
    if how == "head":
        other, theirs = pick(rng, LOSSY)
        return suffix, with_head(data, saved(tone(3), other, theirs), rng), f"{suffix} with the head of {other}", ""
    other = pick(rng, SUFFIXES)
    return other, data, f"{suffix} named {other}", ""


def bomb(rng: Rng) -> Odd:
    """A few bytes that unpack to many samples."""
    count = int(pick(rng, (2**20, 2**24, 2**26)))
    data = bytearray(saved(tone(9), "flac", "PCM_16"))
    # The last 36 bits of the stream's facts say how many samples there are.
    data[21:26] = struct.pack(">Q", ((data[21] & 0xF0) << 32) | min(count * 64, 2**36 - 1))[3:]
    if rng.random() < 0.5:
        return "flac", bytes(data), "flac that promises too much", ""
    data = bytearray(saved(np.zeros(count, np.int16), "flac", "PCM_16"))
    return "flac", bytes(data), f"flac of {count} zeros", ""


# The folder around it ---------------------------------------------------------------------------------------------


def make(rng: Rng, folder: Path, ready: Path) -> Input:
    """A folder with one odd recording, or one thing that is none."""
    root = folder / "root"
    shutil.copytree(ready / "good", root)
    if rng.random() < 0.05:
        words = no_file(rng, root / "a" / f"x.{pick(rng, SUFFIXES)}")
        return Input(words, lambda: _doors.load(AUDIO, root=str(root)), kept(ready, ""))
    suffix, data, words, known = pick(rng, MAKERS)(rng)
    path = root / "a" / f"x.{suffix}"
    path.write_bytes(data)
    if rng.random() < 0.2:
        return Input(f"{words}, for a task", lambda: _task(path, root), kept(ready, known, alone=True))
    made = Input(words, lambda: _doors.load(AUDIO, root=str(root)), kept(ready, known))
    if rng.random() < 0.2:
        # The rate is then chosen among the files', and nothing known of the numbers.
        free = [word for word in AUDIO if "dataset.sample_rate" not in word]
        read = lambda: _doors.load(free, root=str(root))  # noqa: E731 - one of several ways to read it
        return replace(made, words=f"{words}, at any rate", read=read, check=bounded)
    return made


def _task(path: Path, root: Path) -> Reading:
    import torch

    from vaelab.data.items import Items, Signature

    items = Items("sound", torch.zeros(3, 1, round(RATE * CHUNK)), sample_rate=float(RATE))
    return _doors.read(AUDIO, path, Signature.of(items), root=str(root))


def bounded(reading: Reading) -> str:
    """That all values are numbers such as a sound has."""
    if not np.isfinite(reading.values).all():
        return "holds NaN or infinity"
    return "" if np.abs(reading.values).max(initial=0) < LOUDEST else f"holds {np.abs(reading.values).max():.3g}"


def kept(ready: Path, known: str, *, alone: bool = False) -> Callable[[Reading], str]:
    """That the good recordings are there, and the odd one, if it is there, with its `wave` or `length`."""

    size = round(RATE * CHUNK)

    def check(reading: Reading) -> str:
        if reading.values.shape[1:] != (1, size):
            return f"chunks of shape {reading.values.shape[1:]}"
        facts, rest = np.load(ready / "known.npz"), list(reading.values[:, 0])
        for k, good in enumerate([] if alone else facts["good"]):
            for part in good.reshape(-1, size):
                places = [j for j, chunk in enumerate(rest) if np.allclose(chunk, part, atol=1e-6)]
                if not places:
                    return f"the good recording {k} is another, or gone"
                rest.pop(places[0])
        if known and rest and not reading.notes:
            count = SECONDS / CHUNK
            if abs(len(rest) - count) > (known == "length"):
                return f"the odd recording has {len(rest)} chunks of {count:g}"
            if known == "wave" and not np.allclose(np.concatenate(rest), facts["odd"], atol=1e-3):
                return "the odd recording is another"
        return bounded(reading)

    return check


MAKERS = (
    *(
        lossless,
        lossless,
        lossy,
        of_any_rate,
        of_any_rate,
        checked,
        checked,
        wrong_length,
        header_fields,
        header_fields,
    ),
    *(odd_values, odd_values, also, damaged_any, damaged_any, damaged_any, bomb),
)


def warm() -> None:
    """Compose what every input needs."""
    _doors.composed(*AUDIO)
    _doors.composed(*[word for word in AUDIO if "dataset.sample_rate" not in word])


KIND = Kind(make, (*_doors.READERS, "librosa"), warm, prepare)
