import math

import pytest
import torch

from vaelab.metrics.picture import picture_baselines, picture_measures
from vaelab.metrics.shape import are_silhouettes, edge_error, iou


def squares(*sides, size=32, level=1.0):
    """White squares of some sides in the upper left of black pictures, two pixels from the border."""
    x = torch.zeros(len(sides), 1, size, size)
    for picture, side in zip(x, sides, strict=True):
        picture[0, 2 : 2 + side, 2 : 2 + side] = level
    return x


def test_the_common_area_is_that_of_geometry():
    assert iou(squares(8, 4, 8), squares(8, 8, 16)).tolist() == pytest.approx([1, 16 / 64, 64 / 256])
    away = squares(8).roll(10, -1)
    assert iou(away, squares(8)).tolist() == [0]
    assert iou(squares(0), squares(0)).tolist() == [1]


def test_what_is_white_is_decided_in_the_middle_of_the_range():
    assert iou(squares(8, 8, level=0.5), squares(8, 8)).tolist() == [1, 1]
    assert iou(squares(8, level=0.49), squares(8)).tolist() == [0]


def test_an_error_at_the_edge_counts_by_its_share_of_the_band_and_one_elsewhere_does_not():
    true = squares(16)
    assert float(edge_error(true, true)) == 0
    # Within two pixels of the edge lie the pixels of a 20-pixel square less those of the 12-pixel one inside it.
    wrong = true.clone()
    wrong[0, 0, 2, 2:12] = 0
    assert float(edge_error(wrong, true)) == pytest.approx(10 / (20**2 - 12**2), rel=1e-5)
    deep, far = true.clone(), true.clone()
    deep[0, 0, 10, 10], far[0, 0, 30, 30] = 0, 1
    assert float(edge_error(deep, true)) == float(edge_error(far, true)) == 0
    assert math.isnan(edge_error(true, squares(0)))


def test_silhouettes_are_told_from_other_pictures_by_what_they_show():
    chance = torch.Generator().manual_seed(0)
    shapes = squares(8, 16)
    assert are_silhouettes(shapes) and are_silhouettes(1 - shapes)
    soft = shapes + 0.05 * torch.rand(shapes.shape, generator=chance)
    assert are_silhouettes(soft.clamp(0, 1))
    assert not are_silhouettes(torch.rand(shapes.shape, generator=chance))
    assert not are_silhouettes(shapes.expand(-1, 3, -1, -1))
    assert not are_silhouettes(torch.zeros(4, 1, 8, 8)) and not are_silhouettes(torch.ones(4, 1, 8, 8))
    greyish = shapes.clone()
    greyish[:, :, -2:] = 0.5  # a sixteenth of it
    assert not are_silhouettes(greyish)


def test_measures_of_silhouettes_have_them_beside_those_of_pca_and_the_mean_and_others_have_not():
    train, x = squares(4, 6, 8, 10, 12, 14), squares(5, 9, 13)
    told = picture_measures(x, x) | picture_baselines(x, train, components=2)
    assert told["iou"] == 1 and told["edge_error"] == 0
    assert 0 < told["baseline/mean_iou"] < told["baseline/pca_iou"] < 1
    assert told["baseline/mean_edge_error"] > told["baseline/pca_edge_error"] > 0
    assert "iou" not in picture_measures(0.5 * x, x) | picture_measures(0.5 * x, 0.5 * x)
