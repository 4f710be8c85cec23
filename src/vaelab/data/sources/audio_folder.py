"""Sound: a folder of the user's own recordings, at any rate, in any number of channels."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vaelab.data.cache import Arrays, cached, file_digests
from vaelab.data.items import Items, Signature
from vaelab.data.sources.files import (
    attempt,
    existing_file,
    existing_folder,
    files_under,
    folder_labels,
    in_threads,
    name_in,
    numbered,
    set_labels,
    sort_out,
)
from vaelab.errors import UserError

NEEDS_LIBROSA = frozenset({".aac", ".m4a", ".wma"})
SUFFIXES = frozenset({".aif", ".aiff", ".au", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".wav"}) | NEEDS_LIBROSA
HIGHEST_RATE = 22050  # in Hz: what is chosen for the user stays affordable
SILENCE = 1e-6


@dataclass
class AudioFolder:
    """Every recording below a folder, mixed to mono and cut into chunks of one length.

    Attributes:
        root: the folder.
        chunk_seconds: length of one item; zeros fill the last of a recording.
        sample_rate: in Hz; None for the commonest among the files, at most 22,050.
        label_from: `folder` for the class folder, `name` for a file name's part before the first underscore;
            None for whichever tells the files apart.
    """

    root: str
    chunk_seconds: float = 1.0
    sample_rate: int | None = None
    label_from: str | None = None

    def load(self) -> Items:
        """Chunks `(items, 1, time)` float32; those of one recording, or of its exact copies, share a group.

        Raises `UserError` if a setting makes no sense, or no recording can be used.
        """
        root = existing_folder(self.root)
        paths, left_out = files_under(root, SUFFIXES, "recordings")
        digests = file_digests(paths)
        settings = [self.chunk_seconds, self.sample_rate]
        found = cached(["recordings", settings, digests], lambda: self._decode(paths))
        usable, broken = sort_out(root, paths, found["reason"].tolist())
        if not usable:
            raise UserError(f"{root} holds no usable recording, the first: {broken[0].name}: {broken[0].reason}")
        recording = found["recording"]
        items = Items("sound", torch.from_numpy(found["raw"])[:, None], left_out=left_out + broken)
        items.group = torch.from_numpy(np.unique(digests, return_inverse=True)[1][recording])
        items.sample_rate = float(found["sample_rate"])
        items.names = numbered([name_in(root, paths[k]) for k in recording.tolist()], "chunk")
        labels = recording_labels([paths[k] for k in usable], self.label_from)
        name = dict(zip(usable, labels or [], strict=False))
        return set_labels(items, [name[k] for k in recording.tolist()] if labels else None)

    def read(self, path: str | Path, signature: Signature) -> Tensor:
        """Chunks `(items, 1, time)` float32 of one recording, in the model's length and sample rate."""
        return read_recording(path, signature)

    def _decode(self, paths: Sequence[Path]) -> Arrays:
        rate = self.sample_rate or commonest_rate(paths)
        length = chunk_length(self.chunk_seconds, rate)
        waves = list(in_threads(lambda path: attempt(lambda p: decode_recording(p, rate), path), paths))
        chunks = {k: chunked(wave, length) for k, wave in enumerate(waves) if not isinstance(wave, str)}
        return {
            "raw": np.concatenate([np.empty((0, length), np.float32), *chunks.values()]),
            "recording": np.repeat(np.array([*chunks], np.int64), [len(cut) for cut in chunks.values()]),
            "reason": np.array([wave if isinstance(wave, str) else "" for wave in waves]),
            "sample_rate": np.array(rate),
        }


def read_recording(path: str | Path, signature: Signature) -> Tensor:
    """One recording as chunks `(items, 1, time)` float32, in the length and sample rate of the model.

    Raises `UserError` if the file is missing, unreadable, empty or silent, or the model is not one of sound.
    """
    file = existing_file(path)
    if signature.kind != "sound" or signature.sample_rate is None:
        raise UserError(f"{file}: the model was trained on a {signature.kind}, not on sound")
    rate = round(signature.sample_rate)
    wave = attempt(lambda p: decode_recording(p, rate), file)
    if isinstance(wave, str):
        raise UserError(f"{file} cannot be used: {wave}")
    return torch.from_numpy(chunked(wave, signature.raw_shape[-1]))[:, None]


def decode_recording(path: Path, sample_rate: int) -> np.ndarray:
    """The recording in mono, `(time,)` float32 at `sample_rate` Hz; raises where it holds no sound."""
    wave, native = read_wave(path)
    if not wave.size:
        raise ValueError("of length zero")
    if not np.isfinite(wave).all():
        raise ValueError("holds NaN or infinity")
    mono = wave.mean(axis=0)
    if np.abs(mono).max() < SILENCE:
        raise ValueError("silent")
    if native == sample_rate:
        return mono
    import librosa

    return librosa.resample(mono, orig_sr=native, target_sr=sample_rate)


def read_wave(path: Path) -> tuple[np.ndarray, int]:
    """All channels as they are in the file, `(channels, time)` float32, and the rate in Hz."""
    if path.suffix.lower() in NEEDS_LIBROSA:
        import librosa

        wave, rate = librosa.load(path, sr=None, mono=False)
        return np.atleast_2d(wave), round(rate)
    import soundfile

    wave, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return wave.T, rate


def commonest_rate(paths: Sequence[Path]) -> int:
    """The rate in Hz that most files have, at most 22,050; of two as common the higher one."""
    import soundfile

    rates = list(in_threads(lambda path: attempt(lambda p: soundfile.info(p).samplerate, path), paths))
    votes = Counter(rate for rate in rates if isinstance(rate, int))
    return min(HIGHEST_RATE, max(votes, key=lambda rate: (votes[rate], rate), default=HIGHEST_RATE))


def chunk_length(chunk_seconds: float, sample_rate: float) -> int:
    """Samples in a chunk. Raises `UserError` where there are none."""
    length = round(chunk_seconds * sample_rate)
    if length < 1:
        raise UserError(f"chunk_seconds={chunk_seconds} at {sample_rate} Hz is less than a sample: make it longer")
    return length


def chunked(wave: np.ndarray, length: int) -> np.ndarray:
    """Cut `(time,)` into `(chunks, length)`; zeros fill the last, or a rest under a tenth is dropped.

    >>> chunked(np.ones(5, np.float32), 3).tolist()
    [[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]]
    """
    whole, rest = divmod(len(wave), length)
    count = max(1, whole + (rest >= 0.1 * length and rest > 0))
    filled = np.zeros(count * length, np.float32)
    filled[: len(wave)] = wave[: len(filled)]
    return filled.reshape(count, length)


def recording_labels(paths: Sequence[Path], label_from: str | None) -> list[str] | None:
    """The class of every recording, or None where nothing tells them apart.

    Raises `UserError` where the wished kind of label is not to be had.
    """
    if label_from not in ("folder", "name", None):
        raise UserError(f"label_from={label_from}: give folder, name or null")
    by_folder, by_name = folder_labels(paths), [path.stem.split("_")[0] for path in paths]
    if label_from == "name":
        return by_name
    if label_from == "folder" and by_folder is None:
        raise UserError(f"label_from=folder: {paths[0].parent} has no class folders; use name or null")
    return by_folder or (by_name if _tells_apart(paths, by_name) else None)


def _tells_apart(paths: Sequence[Path], names: Sequence[str]) -> bool:
    """A prefix is a class when every file has one, and some but not all files share it."""
    return all("_" in path.stem for path in paths) and 1 < len(set(names)) <= math.ceil(len(paths) / 2)
