"""How near a recovered signal of any kind comes to the clean one, beside what needs no net."""

import numpy as np
import torch
from torch import Tensor

from vaelab.metrics.radio import gain_db, mean_power, output_snr_db, spectral_agreement, wiener

WIDTHS = (5, 9, 15, 25, 41)  # samples


def denoising_measures(noisy: Tensor, clean: Tensor, recovered: Tensor) -> dict[str, float]:
    """Output SNR in dB (the zero signal has 0), its gain over the noisy signals, and agreement of the spectra.

    All `(n, channels, time)`, at any scale. Signals that are zero throughout have no SNR and do not count; where there
    are no others, nothing is measured.
    """
    noisy, clean, recovered = _alive(clean, noisy, clean, recovered)
    if not len(clean):
        return {}
    # Each over its own height, which all three have in common: what is small is not the less right.
    height = clean.flatten(1).abs().amax(1).view(-1, 1, 1)
    noisy, clean, recovered = noisy / height, clean / height, recovered / height
    return {
        "output_snr_db": output_snr_db(recovered, clean),
        "gain_db": gain_db(noisy, recovered, clean),
        "spectral_agreement": spectral_agreement(recovered, clean),
    }


def denoising_baselines(noisy: Tensor, clean: Tensor, train_noisy: Tensor, train_clean: Tensor) -> dict[str, float]:
    """Output SNRs in dB of filters: Wiener's with the training signals' mean spectra, the local one, and none at all.

    All `(n, channels, time)`, at any scale; signals that are zero throughout do not count. The local filter's width is
    the one that suits the training signals.
    """
    noisy, clean = _alive(clean, noisy, clean)
    train_noisy, train_clean = _alive(train_clean, train_noisy, train_clean)
    if not len(clean) or not len(train_clean):
        return {"baseline/zero_output_snr_db": 0.0}
    signal, noise = mean_power(train_clean), mean_power(train_noisy - train_clean)
    # Where neither has any power nothing passes.
    noise = noise.where(signal + noise > 0, 1)
    filters = {
        "wiener": wiener(noisy, signal, noise),
        "local_wiener": local_wiener(noisy, best_width(train_noisy, train_clean)),
        "noisy": noisy,
    }
    measures = {f"baseline/{name}_output_snr_db": output_snr_db(x, clean) for name, x in filters.items()}
    return {**measures, "baseline/zero_output_snr_db": 0.0}


def _alive(clean: Tensor, *signals: Tensor) -> tuple[Tensor, ...]:
    """Those of `(n, channels, time)` whose clean signal is not zero, in double precision, which squares of all fit."""
    alive = clean.flatten(1).any(1)
    return tuple(signal[alive].double() for signal in signals)


def best_width(noisy: Tensor, clean: Tensor) -> int:
    """The one of `WIDTHS` with which the local Wiener filter gives these signals the best output SNR."""
    return max(WIDTHS, key=lambda width: output_snr_db(local_wiener(noisy, width), clean))


def local_wiener(noisy: Tensor, width: int) -> Tensor:
    """Each sample drawn to the mean of `width` around it by how little they vary (Lee, 1980), of all channels alike."""
    from scipy.signal import wiener as filtered

    with np.errstate(divide="ignore", invalid="ignore"):  # a constant stretch has no variance
        rows = [filtered(row, width) for row in noisy.double().flatten(0, 1).numpy()]
    return torch.from_numpy(np.nan_to_num(np.array(rows))).to(noisy).view_as(noisy)
