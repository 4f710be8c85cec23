"""How much of a signal a reconstruction explains."""

from math import isnan

import torch
from torch import Tensor

from vaelab.metrics.baseline import mean_reconstruction, pca_reconstruction

# Of the sum of squares: as much as single precision leaves of a spread that is none.
ROUNDING = 1e-12


def explained_variance(x: Tensor, reconstruction: Tensor, train_mean: Tensor) -> Tensor:
    """R²: one minus the squared error over that of the training mean; 1 is perfect, 0 as good as the mean.

    Args:
        x: held-out signals, `(items, channels, time)`.
        reconstruction: shaped as `x`.
        train_mean: broadcastable to `x`; not the mean of `x`, which a model cannot know.

    Returns:
        A scalar; NaN where `x` is nowhere but at that mean, so that there is nothing to explain.
    """
    spread = (x - train_mean).square().sum()
    explained = 1 - (x - reconstruction).square().sum() / spread
    return explained.where(spread > ROUNDING * x.square().sum(), torch.nan)


def rmse(x: Tensor, reconstruction: Tensor) -> Tensor:
    """Root of the mean squared error over all items and samples, in the unit of `x`: a scalar."""
    return (x - reconstruction).square().mean().sqrt()


def signal_measures(x: Tensor, reconstruction: Tensor, train: Tensor) -> dict[str, float]:
    """Measures of held-out signals, all `(items, channels, time)`; the training signals give the mean alone.

    Of signals that are all the same there is no share of a variance.
    """
    explained = float(explained_variance(x, reconstruction, mean_reconstruction(train, x)))
    measures = {} if isnan(explained) else {"explained_variance": explained}
    return measures | {"rmse": float(rmse(x, reconstruction))}


def signal_baselines(x: Tensor, train: Tensor, components: int) -> dict[str, float]:
    """The same of PCA with as many `components` as the code is wide, and the error of the mean training signal."""
    mean, pca = mean_reconstruction(train, x), pca_reconstruction(train, x, components)
    measures = {f"baseline/pca_{name}": value for name, value in signal_measures(x, pca, train).items()}
    return measures | {"baseline/mean_rmse": float(rmse(x, mean))}
