"""How near a reconstructed spectrogram is to its original, between its baselines and its ceiling."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaelab.metrics.baseline import mean_reconstruction, pca_reconstruction
from vaelab.seeding import short_seed

AUDIBLE_DB = 100.0  # how far below the loudest item's peak another one's may lie and still be sound


def spectral_convergence(magnitude: Tensor, reference: Tensor) -> Tensor:
    """‖M − R‖ / ‖R‖ in the Frobenius norm (Sturmel and Daudet 2011) of each item, mean over the items.

    Args:
        magnitude: linear, `(items, channels, bins, frames)`.
        reference: shaped as `magnitude`.

    Returns:
        A scalar.
    """
    error, size = (y.flatten(1).norm(dim=1) for y in (magnitude - reference, reference))
    return (error / size.clamp_min(1e-12)).mean()


def log_spectral_distance_db(a_db: Tensor, b_db: Tensor, range_db: float = 60.0) -> Tensor:
    """Root mean square over the bins of the difference in dB, mean over all frames (Gray and Markel 1976).

    Both are first raised to `range_db` below the highest level of the reference item: what lies deeper is
    not heard. Frames of padding count: there any sound is an error.

    Args:
        a_db: `(items, channels, bins, frames)` in dB.
        b_db: the reference, shaped as `a_db`, on the same 0 dB.
        range_db: how far below its peak an item is heard.

    Returns:
        A scalar in dB.
    """
    floor = b_db.flatten(1).amax(dim=1) - range_db
    floor = floor.reshape(-1, *[1] * (b_db.ndim - 1))
    difference = torch.maximum(a_db, floor) - torch.maximum(b_db, floor)
    return difference.square().mean(dim=-2).sqrt().mean()


def audio_measures(x_db: Tensor, reconstruction_db: Tensor, prefix: str = "") -> dict[str, float]:
    """How near reconstructions are to held-out spectrograms, both `(items, channels, bins, frames)` in dB.

    The measures' names begin with `prefix`. Items whose peak lies more than 100 dB below the loudest one's are silent:
    an error relative to them means nothing, so they are in no mean, and `silent_items` counts them if there are any.
    """
    peaks = x_db.flatten(1).amax(dim=1)
    audible = peaks >= peaks.max() - AUDIBLE_DB
    x_db, reconstruction_db = x_db[audible], reconstruction_db[audible]
    silent = 0 if prefix else int((~audible).sum())  # the same for every baseline
    magnitudes = (10 ** (db / 20) for db in (reconstruction_db, x_db))
    return ({"silent_items": float(silent)} if silent else {}) | {
        f"{prefix}log_spectral_distance_db": float(log_spectral_distance_db(reconstruction_db, x_db)),
        f"{prefix}spectral_convergence": float(spectral_convergence(*magnitudes)),
    }


def audio_baselines(x_db: Tensor, train_db: Tensor, components: int) -> dict[str, float]:
    """The same of PCA with as many `components` as the code is wide, and of the mean training spectrogram."""
    pca, mean = pca_reconstruction(train_db, x_db, components), mean_reconstruction(train_db, x_db)
    return audio_measures(x_db, pca, "baseline/pca_") | audio_measures(x_db, mean, "baseline/mean_")


def griffin_lim_ceiling(
    waves: Tensor,
    n_fft: int,
    hop_length: int,
    iterations: int = 60,
    momentum: float = 0.99,
    count: int = 32,
    seed: int = 0,
) -> dict[str, float]:
    """What even the true magnitudes lose when a phase is found for them: the loss that is not the model's.

    Fast Griffin–Lim (Perraudin, Balazs and Søndergaard 2013), by librosa.

    Args:
        waves: `(items, channels, time)`; shorter ones than `n_fft` are padded on the right.
        n_fft: window of the transform, in samples.
        hop_length: samples from frame to frame.
        iterations: of Griffin–Lim.
        momentum: of Griffin–Lim; 0 is the original of 1984.
        count: the most items that are measured: Griffin–Lim is slow.
        seed: of the first phase.
    """
    import librosa

    chosen = librosa.util.fix_length(waves[:count].cpu().numpy(), size=max(waves.shape[-1], n_fft))
    # The same padding on both ways: zeros on the way back make the convergence a third worse.
    frames: dict[str, Any] = {"n_fft": n_fft, "hop_length": hop_length, "pad_mode": "reflect"}
    true = np.abs(librosa.stft(chosen, **frames))
    heard = librosa.griffinlim(
        true,
        n_iter=iterations,
        momentum=momentum,
        random_state=short_seed("solver", seed),
        length=chosen.shape[-1],
        **frames,
    )
    again = np.abs(librosa.stft(heard, **frames))
    return audio_measures(_to_db(true), _to_db(again), "ceiling/")


def _to_db(magnitude: np.ndarray) -> Tensor:
    return 20 * torch.from_numpy(magnitude).clamp_min(1e-10).log10()
