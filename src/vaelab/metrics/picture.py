"""How near a reconstructed picture is to its original, and how sharp."""

from collections.abc import Mapping

import torch
from torch import Tensor

from vaelab.linear import LinearCode
from vaelab.metrics.baseline import mean_reconstruction, pca_reconstruction
from vaelab.metrics.shape import are_silhouettes, shape_measures

# Quantisation to bytes alone costs 59 dB; an exact copy must not make a mean infinite.
SMALLEST_MSE = 1e-10
LARGEST_RADIUS = 5
# Variance of a Laplacian that is rounding alone: one grey of 255 in one pixel of many is far above.
FLAT = 1e-12


def psnr_db(x: Tensor, reference: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each picture, −10 log10 MSE for a data range of 1; at most 100 dB.

    Args:
        x: `(items, channels, height, width)` in [0, 1].
        reference: shaped as `x`.

    Returns:
        `(items,)` in dB.
    """
    mse = (x - reference).square().flatten(1).mean(dim=1)
    return -10 * mse.clamp_min(SMALLEST_MSE).log10()


def ssim(x: Tensor, reference: Tensor) -> Tensor:
    """Mean structural similarity (Wang et al. 2004, eq. 13) with a Gaussian window that fits the pictures.

    The window is the paper's, 11 pixels and σ = 1.5, wherever it fits; smaller pictures get the largest odd
    window that does, with σ in proportion (8×8: 7 pixels, σ = 0.9).

    Args:
        x: `(items, channels, height, width)` in [0, 1], at least 3×3.
        reference: shaped as `x`.

    Returns:
        A scalar; 1 for equal pictures.

    Raises:
        ValueError: a side is shorter than 3 pixels.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    radius = min(LARGEST_RADIUS, (min(x.shape[-2:]) - 1) // 2)
    if radius < 1:
        raise ValueError(f"SSIM needs pictures of at least 3×3 pixels, not {x.shape[-2]}×{x.shape[-1]}")
    similarity = structural_similarity_index_measure(
        x, reference, sigma=0.3 * radius, kernel_size=2 * radius + 1, data_range=1.0
    )
    assert isinstance(similarity, Tensor)
    return similarity


def sharpness_ratio(x: Tensor, reference: Tensor) -> Tensor:
    """Variance of the Laplacian of `x` over that of `reference` (Pech-Pacheco et al. 2000); blur is below 1.

    Args:
        x: `(items, channels, height, width)`, at least 3×3.
        reference: shaped as `x`.

    Returns:
        A scalar: the ratio of the mean variances, so that a flat picture among the references does no harm. NaN where
        all of them are flat.
    """
    sharp = _laplacian_variance(reference)
    return (_laplacian_variance(x) / sharp).where(sharp > FLAT, torch.nan)


def picture_measures(x: Tensor, reconstruction: Tensor) -> dict[str, float]:
    """How near reconstructions are to held-out pictures, both `(items, channels, height, width)` in [0, 1].

    Flat pictures have no sharpness to compare with. Of silhouettes there is what they have in common, too.
    """
    measures = {"psnr_db": psnr_db(reconstruction, x).mean()}
    # Structure needs room to show: smaller pictures have none.
    if min(x.shape[-2:]) >= 3:
        measures |= {"ssim": ssim(reconstruction, x), "sharpness_ratio": sharpness_ratio(reconstruction, x)}
    told = {name: float(value) for name, value in measures.items() if not value.isnan()}
    return told | (shape_measures(x, reconstruction) if are_silhouettes(x) else {})


def picture_baselines(
    x: Tensor, train: Tensor, components: int, codes: Mapping[str, LinearCode] | None = None
) -> dict[str, float]:
    """The same of PCA with as many `components` as the code is wide, and of further linear codes by their names.

    Of the mean training picture, what it has of it.
    """
    restored = {name: code.restore(code.project(x)) for name, code in (codes or {}).items()}
    restored["pca"] = pca_reconstruction(train, x, components)
    mean = mean_reconstruction(train, x)
    of_mean = {"psnr_db": float(psnr_db(mean, x).mean())} | (shape_measures(x, mean) if are_silhouettes(x) else {})
    measures = {f"baseline/mean_{name}": value for name, value in of_mean.items()}
    for code, made in restored.items():
        # Outside [0, 1] there is no picture: clipping can only help them.
        told = picture_measures(x, made.clamp(0, 1))
        measures |= {f"baseline/{code}_{name}": value for name, value in told.items()}
    return measures


def _laplacian_variance(x: Tensor) -> Tensor:
    """Variance within each picture and channel of its five-point Laplacian, mean over all: a scalar."""
    kernel = x.new_tensor([[0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]
    planes = x.flatten(0, 1)[:, None]
    return torch.conv2d(planes, kernel).flatten(1).var(dim=1, correction=0).mean()
