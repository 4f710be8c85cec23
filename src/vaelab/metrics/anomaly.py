"""How well a score parts anomalies from what is normal, beside the error of a linear code."""

import numpy as np
from torch import Tensor

from vaelab.metrics.baseline import pca_reconstruction


def auroc(scores: Tensor, anomaly: Tensor) -> float:
    """Chance that an anomaly scores higher than a normal item, ties counting half (Hanley and McNeil 1982).

    Args:
        scores: `(items,)`, higher for what is stranger.
        anomaly: `(items,)` bool; both kinds must be there.
    """
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(anomaly.numpy(), scores.double().numpy()))


def threshold_at(normal: Tensor, false_positive_rate: float) -> float:
    """The lowest of the normal items' scores `(items,)` above which at most that share of them lies."""
    return float(np.quantile(normal.double().numpy(), 1 - false_positive_rate, method="higher"))


def share_above(scores: Tensor, threshold: float) -> float:
    """Share of the scores `(items,)` above the threshold: those that raise an alarm."""
    return float((scores.double() > threshold).double().mean())


def pca_error(train: Tensor, test: Tensor, components: int) -> Tensor:
    """`(items,)` mean squared error of each test item's reconstruction by PCA fitted on the training items.

    Args:
        train: `(items, *size)`.
        test: `(items, *size)`.
        components: size of the code.
    """
    return (pca_reconstruction(train, test, components) - test).flatten(1).square().mean(1)
