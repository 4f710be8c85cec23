"""Procedural music in three genres: sound to try things on without a file."""

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from torch import Tensor

from vaelab.data.items import Items, Signature
from vaelab.dataset.audio_folder import chunk_length, chunked, read_recording
from vaelab.dataset.files import set_labels
from vaelab.errors import UserError
from vaelab.memory import NUMBER, check_size
from vaelab.seeding import stream_seed
from vaelab.simulators.genres import Genre, genre_clip

GENRES: tuple[Genre, ...] = get_args(Genre)


@dataclass
class Genres:
    """Clips of techno, rock and piano in turn, cut into chunks.

    Attributes:
        clips: how many, all genres together.
        clip_seconds: length of each.
        chunk_seconds: length of one item.
        sample_rate: in Hz.
        seed: decides every note; a clip stays the same when more of them are asked for.
    """

    clips: int = 60
    clip_seconds: float = 6.0
    chunk_seconds: float = 1.0
    sample_rate: int = 22050
    seed: int = 0

    def load(self) -> Items:
        """Chunks `(items, 1, time)` float32, labelled by genre; those of one clip share a group.

        Raises `UserError` if there is nothing to make.
        """
        if self.clips < 1 or self.clip_seconds <= 0:
            raise UserError(f"clips={self.clips} clip_seconds={self.clip_seconds}: both must be above 0")
        numbers = self.clips * self.clip_seconds * self.sample_rate
        check_size(NUMBER * numbers, "dataset.clips", "dataset.clip_seconds", "dataset.sample_rate")
        length = chunk_length(self.chunk_seconds, self.sample_rate)
        chunks = [chunked(self._clip(k), length) for k in range(self.clips)]
        clip = np.repeat(np.arange(self.clips), [len(cut) for cut in chunks])
        items = Items("sound", torch.from_numpy(np.concatenate(chunks))[:, None], group=torch.from_numpy(clip))
        items.sample_rate = float(self.sample_rate)
        return set_labels(items, [GENRES[k % len(GENRES)] for k in clip.tolist()])

    def read(self, path: str | Path, signature: Signature) -> Tensor:
        """Chunks `(items, 1, time)` float32 of the user's own recording, in the model's length and rate."""
        return read_recording(path, signature)

    def _clip(self, number: int) -> np.ndarray:
        return genre_clip(
            GENRES[number % len(GENRES)],
            seconds=self.clip_seconds,
            sample_rate=self.sample_rate,
            generator=np.random.default_rng(stream_seed("data", self.seed, number)),
        )
