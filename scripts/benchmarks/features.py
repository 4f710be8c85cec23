"""Features: the spectrogram codec on a batch of waves, against librosa clip by clip.

Held equal: the waves (one second of coloured noise each, float32), window, frame, hop, centring and padding, one
thread. `magnitude` is |STFT| alone; `features` is what a net sees: decibels under each clip's peak, floored at 80 dB
and scaled to [0, 1], which librosa does by `amplitude_to_db`. Ratios of processor time within a repetition, median
(smallest–largest). The largest difference is relative to the largest value; of decibels it is larger, since what lies
80 dB under the peak has lost four of float32's seven digits to it.
"""

from __future__ import annotations

from collections.abc import Callable

import librosa
import numpy as np
import torch
from torch import Tensor

from benchmarks._table import Options, Table, digits, ratios, spread
from benchmarks._timing import interleave, timed
from vaelab.codec.spectrogram import SpectrogramCodec

RATE = 22_050
Make = Callable[[], Tensor]


def measure(options: Options) -> Table:
    """A row for the magnitudes, one for the features."""
    columns = ["what", "clips", "codec, ms a clip", "librosa, ms a clip", "codec is faster by", "largest difference"]
    table = Table("Features: the codec in batches against librosa per clip", columns)
    waves = torch.randn(32 if options.quick else 256, RATE, generator=torch.Generator().manual_seed(0)).cumsum(1) * 0.01
    codec = SpectrogramCodec()
    codec.fit(waves[:, None])
    cases: dict[str, tuple[Make, Make]] = {
        "magnitude": (lambda: in_chunks(codec, waves), lambda: per_clip(waves, magnitude)),
        "features": (lambda: codec.encode(waves[:, None]).x[:, 0], lambda: per_clip(waves, scaled)),
    }
    with torch.inference_mode():
        for name, (ours, theirs) in cases.items():
            if options.wants(name):
                add_row(table, name, ours, theirs, options.repeats)
    return table


def in_chunks(codec: SpectrogramCodec, waves: Tensor) -> Tensor:
    """The codec's magnitudes as its encoding goes through them, a few clips at a time."""
    from vaelab.codec.spectrogram import CHUNK

    return torch.cat([codec._power(part).sqrt() for part in waves.split(CHUNK)])


def per_clip(waves: Tensor, feature: Callable[[np.ndarray], np.ndarray]) -> Tensor:
    """One clip after the other."""
    return torch.from_numpy(np.stack([feature(wave) for wave in waves.numpy()]))


def magnitude(wave: np.ndarray) -> np.ndarray:
    """|STFT| of one clip, without the topmost row."""
    return np.abs(librosa.stft(wave, n_fft=512, hop_length=128, pad_mode="constant"))[:-1]


def scaled(wave: np.ndarray) -> np.ndarray:
    """Decibels under the peak, from −80 to 0, on [0, 1]."""
    return 1 + librosa.amplitude_to_db(magnitude(wave), ref=np.max, top_db=80.0, amin=1e-7) / 80


def add_row(table: Table, name: str, ours: Make, theirs: Make, repeats: int) -> None:
    """Time both, and compare what they make."""
    reference = theirs()
    difference = float((ours() - reference).abs().max() / reference.abs().max())
    arms = {"codec": lambda: timed(ours), "librosa": lambda: timed(theirs)}
    records = [record | {"case": name} for record in interleave(arms, repeats)]
    table.records += [record | {"difference": difference} for record in records]
    each = [1000 * spread(records, arm, "cpu").median / len(reference) for arm in arms]
    faster = str(ratios(records, "librosa", "codec", "cpu"))
    table.rows.append([name, str(len(reference)), *map(digits, each), faster, f"{difference:.1e}"])
