import pytest
import torch

from vaelab.metrics.picture import picture_baselines, picture_measures, psnr_db, sharpness_ratio, ssim


def pictures(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def blurred(x):
    return torch.nn.functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def test_an_error_of_a_tenth_has_a_psnr_of_twenty_decibels():
    x = 0.5 * pictures(4, 3, 8, 8)
    error = torch.tensor([0.1, 0.1, 0.01, 1.0])[:, None, None, None]
    torch.testing.assert_close(psnr_db(x + error, x), torch.tensor([20.0, 20.0, 40.0, 0.0]), atol=1e-3, rtol=0)


def test_an_exact_copy_has_a_finite_psnr():
    x = pictures(2, 1, 8, 8)
    assert psnr_db(x, x).tolist() == pytest.approx([100, 100])


@pytest.mark.parametrize("side", [3, 4, 8, 10, 11, 28, 64])
def test_ssim_of_itself_is_one_at_any_size(side):
    x = pictures(3, 1, side, side + 1)
    assert float(ssim(x, x)) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("shape", [(5, 1, 8, 8), (5, 3, 32, 32)])
def test_ssim_falls_with_the_noise(shape):
    x, noise = pictures(*shape), torch.randn(shape, generator=torch.Generator().manual_seed(1))
    scores = [float(ssim(x + level * noise, x)) for level in (0.02, 0.1, 0.5)]
    assert 1 > scores[0] > scores[1] > scores[2]


def test_ssim_of_large_pictures_has_the_window_of_the_paper():
    from torchmetrics.functional.image import structural_similarity_index_measure

    x, y = pictures(2, 3, 32, 32), blurred(pictures(2, 3, 32, 32))
    torch.testing.assert_close(ssim(x, y), structural_similarity_index_measure(x, y, data_range=1.0))


def test_a_picture_too_small_for_ssim_is_named():
    with pytest.raises(ValueError, match="not 2×9"):
        ssim(pictures(1, 1, 2, 9), pictures(1, 1, 2, 9))


def test_a_blurred_picture_has_a_sharpness_ratio_below_one():
    x = pictures(4, 3, 16, 16)
    assert float(sharpness_ratio(x, x)) == pytest.approx(1)
    assert float(sharpness_ratio(blurred(x), x)) < 0.5
    assert float(sharpness_ratio(0.5 * x, x)) == pytest.approx(0.25)


def test_brightness_does_not_count_as_sharpness():
    x = pictures(4, 1, 16, 16)
    assert float(sharpness_ratio(x + 0.3, x)) == pytest.approx(1, abs=1e-4)


def test_a_flat_reference_gives_no_infinity():
    x = torch.cat([torch.zeros(1, 1, 8, 8), pictures(1, 1, 8, 8)])
    assert float(sharpness_ratio(x, x)) == pytest.approx(1)


def test_real_digits_stand_beside_pca_and_the_mean():
    from sklearn.datasets import load_digits

    digits = torch.tensor(load_digits().images / 16, dtype=torch.float32)[:, None]
    train, test = digits[:1500], digits[1500:]
    measures = picture_measures(test, test) | picture_baselines(test, train, components=8)
    assert set(measures) == {
        *("psnr_db", "ssim", "sharpness_ratio"),
        *("baseline/pca_psnr_db", "baseline/pca_ssim", "baseline/pca_sharpness_ratio", "baseline/mean_psnr_db"),
    }
    assert measures["psnr_db"] > measures["baseline/pca_psnr_db"] > measures["baseline/mean_psnr_db"]
    assert measures["ssim"] == pytest.approx(1, abs=1e-5)
    assert 0 < measures["baseline/pca_ssim"] < 1


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_where_all_pictures_are_flat_nothing_is_said_of_sharpness(level):
    flat, sharp = torch.full((6, 1, 8, 8), level), pictures(6, 1, 8, 8)
    measures = picture_measures(flat, sharp) | picture_baselines(flat, flat, components=2)
    assert set(measures) == {"psnr_db", "ssim", "baseline/pca_psnr_db", "baseline/pca_ssim", "baseline/mean_psnr_db"}


def test_one_grey_in_one_pixel_of_many_is_sharp():
    x = torch.full((100, 1, 64, 64), 0.3)
    x[0, 0, 30, 30] += 1 / 255
    assert picture_measures(x, x)["sharpness_ratio"] == pytest.approx(1)
