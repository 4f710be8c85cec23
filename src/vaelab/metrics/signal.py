"""How much of a signal a reconstruction explains."""

from torch import Tensor

from vaelab.metrics.baseline import mean_reconstruction, pca_reconstruction


def explained_variance(x: Tensor, reconstruction: Tensor, train_mean: Tensor) -> Tensor:
    """R²: one minus the squared error over that of the training mean; 1 is perfect, 0 as good as the mean.

    Args:
        x: held-out signals, `(items, channels, time)`.
        reconstruction: shaped as `x`.
        train_mean: broadcastable to `x`; not the mean of `x`, which a model cannot know.

    Returns:
        A scalar.
    """
    spread = (x - train_mean).square().sum()
    return 1 - (x - reconstruction).square().sum() / spread.clamp_min(1e-12)


def rmse(x: Tensor, reconstruction: Tensor) -> Tensor:
    """Root of the mean squared error over all items and samples, in the unit of `x`: a scalar."""
    return (x - reconstruction).square().mean().sqrt()


def signal_measures(x: Tensor, reconstruction: Tensor, train: Tensor, components: int) -> dict[str, float]:
    """Measures of held-out signals, and those of PCA with as many components and of the mean signal.

    Args:
        x: held-out signals, `(items, channels, time)`.
        reconstruction: shaped as `x`.
        train: training signals, `(items, channels, time)`, for the baselines.
        components: of the PCA: the size of the code that it stands beside.
    """
    mean, pca = mean_reconstruction(train, x), pca_reconstruction(train, x, components)
    measures = {
        "explained_variance": explained_variance(x, reconstruction, mean),
        "rmse": rmse(x, reconstruction),
        "baseline/pca_explained_variance": explained_variance(x, pca, mean),
        "baseline/pca_rmse": rmse(x, pca),
        "baseline/mean_rmse": rmse(x, mean),
    }
    return {name: float(value) for name, value in measures.items()}
