"""Sound: a folder of the user's own recordings, at any rate, in any number of channels."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vaelab.data.cache import Arrays, cached, file_digests
from vaelab.data.items import Items, Signature
from vaelab.dataset.files import (
    PassingReason,
    attempt,
    existing_file,
    existing_folder,
    files_under,
    folder_labels,
    given_split,
    in_threads,
    name_in,
    numbered,
    printable,
    set_fold,
    set_labels,
    sort_out,
)
from vaelab.dataset.sound_files import NEEDS_FFMPEG, native_rate, read_mono
from vaelab.dataset.sound_files import read_wave as read_wave
from vaelab.errors import UserError

SUFFIXES = frozenset({".aif", ".aiff", ".au", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".wav"}) | NEEDS_FFMPEG
HIGHEST_RATE = 22050  # in Hz: what is chosen for the user stays affordable
LOWEST_RATE = 100  # in Hz: a header that says less is wrong, or of no sound
FURTHEST = 32  # times that a rate is raised or lowered at most
LONGEST_CHUNK = 2**28  # samples
SILENCE = 1e-6
CANCELLED = 1e-3  # what may be left of a recording's peak when its channels are mixed
LOUDEST = 1e12  # the square of its spectrum is still a number
SHOWN = 5  # rates that a note names
LOST = 0.01  # share of the power that may go without a word


class Recording(NamedTuple):
    """A recording as the model hears it, and what it was.

    Attributes:
        wave: `(time,)` float32 in mono, at the rate asked for.
        rate: of the file, in Hz.
        energy: sum of the squares before the change of rate, times the seconds of a sample.
        kept: the same after it.
    """

    wave: np.ndarray
    rate: int
    energy: float
    kept: float


@dataclass
class AudioFolder:
    """Every recording below a folder, mixed to mono and cut into chunks of one length.

    Attributes:
        root: the folder.
        chunk_seconds: length of one item; zeros fill the last of a recording.
        sample_rate: in Hz; None for the commonest among the files, at most 22,050.
        label_from: `folder` for the class folder, `name` for a file name's part before the first underscore;
            None for whichever tells the files apart.
        silence: whether chunks of digital silence are left out (`drop`) or not (`keep`).
    """

    root: str
    chunk_seconds: float = 1.0
    sample_rate: int | None = None
    label_from: str | None = None
    silence: Literal["drop", "keep"] = "drop"

    def load(self) -> Items:
        """Chunks `(items, 1, time)` float32; those of one recording, or of its exact copies, share a group.

        The fold is that of folders named train, val and test, where there are any.

        Raises `UserError` if a setting makes no sense, or no recording can be used.
        """
        if self.silence not in ("drop", "keep"):
            raise UserError(f"silence={self.silence}: give drop or keep")
        root = existing_folder(self.root)
        paths, left_out = files_under(root, SUFFIXES, "recordings")
        folds, beside = given_split(root, paths)
        paths = list(folds) or paths
        digests = file_digests(paths)
        settings = [self.chunk_seconds, self.sample_rate, self.silence, version("soundfile")]
        decode = lambda: self._decode(paths)  # noqa: E731
        arrays = cached(["recordings", settings, digests], decode, lambda arrays: not arrays["passing"].any())
        usable, broken = sort_out(root, paths, arrays["reason"].tolist())
        if not usable:
            raise UserError(f"{root} holds no usable recording, the first: {broken[0].name}: {broken[0].reason}")
        recording = arrays["recording"]
        items = Items("sound", torch.from_numpy(arrays["raw"])[:, None], left_out=left_out + beside + broken)
        items.group = torch.from_numpy(np.unique(digests, return_inverse=True)[1][recording])
        items.sample_rate = float(arrays["sample_rate"])
        items.names = numbered([name_in(root, paths[k]) for k in recording.tolist()], "chunk")
        items.notes = rate_notes(arrays) + silence_notes(int(arrays["silent"]))
        set_fold(items, [folds[paths[k]] for k in recording.tolist()] if folds else [])
        labels = recording_labels([paths[k] for k in usable], self.label_from)
        name = dict(zip(usable, labels or [], strict=False))
        return set_labels(items, [name[k] for k in recording.tolist()] if labels else None)

    def read(self, path: str | Path, signature: Signature) -> Tensor:
        """Chunks `(items, 1, time)` float32 of one recording, in the model's length and sample rate."""
        return read_recording(path, signature)

    def _decode(self, paths: Sequence[Path]) -> Arrays:
        rate = self.sample_rate or commonest_rate(paths)
        length = chunk_length(self.chunk_seconds, rate)
        chunks: list[np.ndarray | str] = []
        kept: list[tuple[int, float, float]] = []
        silent = 0
        for heard in in_threads(lambda path: attempt(lambda p: decode_recording(p, rate), path), paths):
            if isinstance(heard, str):
                chunks.append(heard)
                continue
            whole = chunked(heard.wave, length)
            chunks.append(loud := self._loud(whole))
            if not isinstance(loud, str):
                kept.append(heard[1:])
                silent += len(whole) - len(loud)
        usable = {k: cut for k, cut in enumerate(chunks) if not isinstance(cut, str)}
        return {
            "raw": np.concatenate([np.empty((0, length), np.float32), *usable.values()]),
            "recording": np.repeat(np.array([*usable], np.int64), [len(cut) for cut in usable.values()]),
            "reason": np.array([cut if isinstance(cut, str) else "" for cut in chunks], str),
            "passing": np.array([isinstance(cut, PassingReason) for cut in chunks]),
            "silent": np.array(silent),
            "sample_rate": np.array(rate),
            "rates": np.array([of for of, _, _ in kept]),
            "energy": np.array([pair for _, *pair in kept]).reshape(-1, 2),
        }

    def _loud(self, chunks: np.ndarray) -> np.ndarray | str:
        """The chunks that are to be taken, or why there are none."""
        loud = np.abs(chunks).max(axis=1) >= SILENCE
        if self.silence == "keep" or loud.all():
            return chunks
        return chunks[loud] if loud.any() else "silent"


def read_recording(path: str | Path, signature: Signature) -> Tensor:
    """One recording as chunks `(items, 1, time)` float32, in the length and sample rate of the model.

    Raises `UserError` if the file is missing, unreadable, empty or silent, or the model is not one of sound.
    """
    file = existing_file(path)
    if signature.kind != "sound" or signature.sample_rate is None:
        raise UserError(f"{file}: the model was trained on a {signature.kind}, not on sound")
    rate = round(signature.sample_rate)
    heard = attempt(lambda p: decode_recording(p, rate), file)
    if isinstance(heard, str):
        raise UserError(f"{file} cannot be used: {heard}")
    if np.abs(heard.wave).max() < SILENCE:
        raise UserError(f"{file} cannot be used: silent")
    return torch.from_numpy(chunked(heard.wave, signature.raw_shape[-1]))[:, None]


def decode_recording(path: Path, sample_rate: int) -> Recording:
    """The recording in mono at `sample_rate` Hz; raises where it holds no sound."""
    mono, native, before = read_mono(path)
    if not mono.size:
        raise ValueError("of length zero")
    peak = float(np.maximum(mono.max(), -mono.min()))
    if not math.isfinite(peak):
        raise ValueError("holds NaN or infinity")
    if peak > LOUDEST:
        raise ValueError(f"holds values up to {peak:.3g}, which no sound has: scale them")
    if before >= SILENCE and peak < CANCELLED * before:
        raise ValueError("its channels cancel each other: give one of them")
    energy = float(np.dot(mono, mono)) / native
    if native == sample_rate:
        return Recording(mono, native, energy, energy)
    check_rates(native, sample_rate)
    import librosa

    wave = librosa.resample(mono, orig_sr=native, target_sr=sample_rate)
    kept = float(np.dot(wave, wave)) / sample_rate if sample_rate < native else energy
    return Recording(wave, native, energy, kept)


def check_rates(native: int, sample_rate: int) -> None:
    """Raise `ValueError` where a file's rate is none of sound, or the one asked for is out of all proportion to it."""
    if native < LOWEST_RATE:
        raise ValueError(f"its header says {native:,} Hz, which is no rate of sound")
    if not 1 / FURTHEST <= native / sample_rate <= FURTHEST:
        raise ValueError(
            f"its rate of {native:,} Hz lies more than {FURTHEST} times from {sample_rate:,}: set dataset.sample_rate"
        )


def rate_notes(arrays: Arrays) -> list[str]:
    """The rates of the files where they are not the one taken, and a loss of power that is worth a word."""
    rate, votes = int(arrays["sample_rate"]), Counter(arrays["rates"].tolist())
    if set(votes) == {rate}:
        return []
    listed = ", ".join(f"{count:,} at {of:,} Hz" for of, count in votes.most_common(SHOWN))
    notes = [f"recorded {listed}{', …' if len(votes) > SHOWN else ''}: all brought to {rate:,} Hz"]
    total, lost = arrays["energy"][:, 0].sum(), -np.diff(arrays["energy"])[:, 0]
    share = {of: float(lost[arrays["rates"] > of].sum() / total) if total else 0.0 for of in sorted({rate, *votes})}
    if share[rate] > LOST:
        enough = next(of for of, gone in share.items() if gone <= LOST)
        notes.append(
            f"{100 * share[rate]:.4g} % of the power lies above {rate / 2:,.0f} Hz and is lost at this rate: "
            f"dataset.sample_rate={enough} keeps it"
        )
    return notes


def silence_notes(count: int) -> list[str]:
    """A line on chunks of silence that were left out, if there are any."""
    return [f"{count:,} chunks of digital silence are left out (dataset.silence=keep takes them)"] if count else []


def commonest_rate(paths: Sequence[Path]) -> int:
    """The rate in Hz that most files have, at most 22,050; of two as common the higher one."""
    rates = in_threads(lambda path: attempt(native_rate, path), paths)
    votes = Counter(rate for rate in rates if isinstance(rate, int) and rate >= LOWEST_RATE)
    return min(HIGHEST_RATE, max(votes, key=lambda rate: (votes[rate], rate), default=HIGHEST_RATE))


def chunk_length(chunk_seconds: float, sample_rate: float) -> int:
    """Samples in a chunk. Raises `UserError` where there are none."""
    samples = chunk_seconds * sample_rate
    if not samples <= LONGEST_CHUNK:
        raise UserError(f"chunk_seconds={chunk_seconds} at {sample_rate} Hz is too long: make it shorter")
    length = round(samples)
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
    by_folder, by_name = folder_labels(paths), [printable(path.stem.split("_")[0]) for path in paths]
    if label_from == "name":
        return by_name
    if label_from == "folder" and by_folder is None:
        raise UserError(f"label_from=folder: {paths[0].parent} has no class folders; use name or null")
    return by_folder or (by_name if _tells_apart(paths, by_name) else None)


def _tells_apart(paths: Sequence[Path], names: Sequence[str]) -> bool:
    """A prefix is a class when every file has one, and some but not all files share it."""
    return all("_" in path.stem for path in paths) and 1 < len(set(names)) <= math.ceil(len(paths) / 2)
