"""Bands of uncertainty that hold what they promise, and how sure a recovery may be of its peak.

What a probabilistic denoiser says of its own doubt is seldom calibrated, so it is held against traces of known truth
that it was not trained on. The band is the recovered trace ± factor · (spread of draws + floor): split conformal
prediction with local widths (Lei et al., 2018), one factor for the samples near the recovered peak and one for the
others (Mondrian conformal prediction: Vovk, Gammerman & Shafer, 2005). Traces are `(n, channels, time)`, scaled so that
the noisy one's largest |x| is 1.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from vaelab.metrics.radio import peak_hit

COVERAGE = 0.9
FLOOR = 1e-3  # so that a band is never without a width
REACH = 30  # samples on either side of a peak that belong to its pulse


class Calibration(NamedTuple):
    """What traces of known truth say of a recovery's doubt.

    Attributes:
        near: factor on the spread within `REACH` samples of the recovered peak.
        far: factor elsewhere.
        constant: half the width of a band that is as wide everywhere, the baseline.
        scores: `(steps,)` rising agreements of draws, as `agreement` gives them.
        shares: `(steps,)` share of peaks found at each, which never falls.
    """

    near: float
    far: float
    constant: float
    scores: Tensor
    shares: Tensor


def calibrate(clean: Tensor, recovered: Tensor, spread: Tensor, score: Tensor) -> Calibration:
    """Fit factors and certainty to traces of known truth that the model was not trained on.

    Args:
        clean: `(n, channels, time)`.
        recovered: shaped as `clean`.
        spread: shaped as `clean`, standard deviation of draws.
        score: `(n,)`, as `agreement` gives it.
    """
    from sklearn.isotonic import IsotonicRegression

    error, near = (clean - recovered).abs(), near_peak(recovered)
    misses, hit = error / (spread + FLOOR), peak_hit(recovered, clean)
    risen = IsotonicRegression(out_of_bounds="clip").fit(score.double().numpy(), hit.double().numpy())
    scores, shares = (torch.as_tensor(steps).float() for steps in (risen.X_thresholds_, risen.y_thresholds_))
    near_factor, far_factor, constant = (conformal_factor(of) for of in (misses[near], misses[~near], error))
    return Calibration(near_factor, far_factor, constant, scores, shares)


def conformal_factor(misses: Tensor, coverage: float = COVERAGE) -> float:
    """The ⌈(n + 1) · coverage⌉-th smallest of `n` misses: a new one lies below it with that probability.

    So it is for misses that could as well have come in any other order (Vovk et al., 2005). Samples of one trace hang
    together, so that as many traces count, not samples. Infinite where there are too few to tell.
    """
    rank = -int(-(misses.numel() + 1) * coverage // 1)
    return misses.flatten().kthvalue(rank).values.item() if rank <= misses.numel() else torch.inf


def band(recovered: Tensor, spread: Tensor, calibration: Calibration) -> tuple[Tensor, Tensor]:
    """Lower and upper end of the band around the recovered traces, shaped as them."""
    factor = torch.where(near_peak(recovered), calibration.near, calibration.far)
    half = factor * (spread + FLOOR)
    return recovered - half, recovered + half


def constant_band(recovered: Tensor, calibration: Calibration) -> tuple[Tensor, Tensor]:
    """The baseline: as `band`, but of one width for all samples."""
    return recovered - calibration.constant, recovered + calibration.constant


def near_peak(traces: Tensor) -> Tensor:
    """Which samples lie within 30 of the largest |value| of each trace: bool, shaped as `traces`."""
    peak = traces.abs().amax(1, keepdim=True).argmax(-1, keepdim=True)
    distance = (torch.arange(traces.shape[-1], device=traces.device) - peak).abs()
    return (distance <= REACH).expand_as(traces)


def agreement(draws: Tensor, recovered: Tensor) -> Tensor:
    """How much speaks for the recovered peak: share of draws that peak within 2 % of it, times its height.

    Args:
        draws: `(draws, n, channels, time)` traces decoded from draws of z.
        recovered: `(n, channels, time)`.

    Returns:
        `(n,)`; 1 for a peak as high as the noisy trace's, in the same place in every draw.
    """
    agreed = torch.stack([peak_hit(draw, recovered) for draw in draws]).double().mean(0)
    return (agreed * recovered.flatten(1).abs().amax(1)).float()


def certainty(score: Tensor, calibration: Calibration) -> Tensor:
    """Probability `(n,)` that the recovered peak is in the right place: the share found at such a score.

    The scores between two steps of the isotonic regression (Zadrozny & Elkan, 2002) are interpolated.
    """
    scores, shares = calibration.scores, calibration.shares
    if len(scores) == 1:
        return shares.expand(len(score))
    right = torch.searchsorted(scores, score.contiguous()).clamp(1, len(scores) - 1)
    step = scores[right] - scores[right - 1]
    weight = ((score - scores[right - 1]) / step.clamp(min=1e-12)).clamp(0, 1)
    return torch.lerp(shares[right - 1], shares[right], weight)


def certain_half(recovered: Tensor, clean: Tensor, score: Tensor) -> dict[str, float]:
    """Peak accuracy of that half of the traces with a pulse whose `agreement` is the greater; none without a pulse."""
    pulse = clean.flatten(1).any(1)
    order = score[pulse].argsort(descending=True, stable=True)
    certain = peak_hit(recovered, clean)[pulse][order][: -(-len(order) // 2)]
    return {"peak_accuracy_certain_half": certain.double().mean().item()} if len(certain) else {}


def band_measures(clean: Tensor, recovered: Tensor, lower: Tensor, upper: Tensor) -> dict[str, float]:
    """Share of the true samples that a band holds, and its mean width.

    `band_coverage` and `band_width` are of all samples; `…_recovered` of those within 30 of the recovered peak, where
    the calibration promises as much; `…_pulse` of those within 30 of the true peak. The last is below the promise
    wherever pulses are lost: a band that also covered those would have to be as wide as a pulse everywhere.
    """
    held, width = (lower <= clean) & (clean <= upper), upper - lower
    where = {
        "": torch.ones_like(held),
        "_recovered": near_peak(recovered),
        "_pulse": near_peak(clean) & (clean != 0).any(-1, keepdim=True),
    }
    measures = {}
    for name, inside in where.items():
        if inside.any():
            measures[f"band_coverage{name}"] = held[inside].double().mean().item()
            measures[f"band_width{name}"] = width[inside].double().mean().item()
    return measures
