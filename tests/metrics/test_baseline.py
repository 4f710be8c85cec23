import pytest
import torch

from vaelab.metrics.baseline import gaussian_samples, mean_reconstruction, pca_reconstruction


@pytest.fixture
def items():
    return torch.randn(40, 1, 3, 4, generator=torch.Generator().manual_seed(0))


def test_pca_with_all_components_reconstructs(items):
    torch.testing.assert_close(pca_reconstruction(items, items[:5], 12), items[:5], atol=1e-5, rtol=0)


def test_more_components_than_dimensions_are_as_good_as_all(items):
    torch.testing.assert_close(pca_reconstruction(items, items, 500), items, atol=1e-5, rtol=0)


def test_pca_is_fitted_on_the_training_items_only():
    line = torch.linspace(-1, 1, 20)[:, None]
    train, test = line * torch.tensor([1.0, 0, 0]), line * torch.tensor([0, 1.0, 0])
    torch.testing.assert_close(pca_reconstruction(train, test, 1), torch.zeros(20, 3))


def test_a_reconstruction_does_not_depend_on_the_other_test_items(items):
    alone = pca_reconstruction(items[:30], items[30:31], 3)
    torch.testing.assert_close(pca_reconstruction(items[:30], items[30:], 3)[:1], alone)


def test_more_components_reconstruct_better(items):
    errors = [(pca_reconstruction(items, items, k) - items).square().mean() for k in (1, 4, 8, 12)]
    assert errors == sorted(errors, reverse=True)


def test_the_same_seed_gives_the_same_large_pca():
    items = torch.randn(60, 2000, generator=torch.Generator().manual_seed(0))
    assert torch.equal(pca_reconstruction(items, items, 4), pca_reconstruction(items, items, 4))


def test_the_mean_is_that_of_the_training_items(items):
    recovered = mean_reconstruction(items[:30], items[30:])
    assert recovered.shape == items[30:].shape
    torch.testing.assert_close(recovered[7], items[:30].mean(0))


def test_gaussian_samples_have_the_training_items_mean_and_covariance():
    mixing = torch.tensor([[2.0, 0.0, 0.0], [1.0, 0.5, 0.0], [-1.0, 0.3, 0.1]])
    train = (torch.randn(4_000, 3, generator=torch.Generator().manual_seed(1)) @ mixing.T + torch.arange(3.0))[:, None]
    drawn = gaussian_samples(train, 50_000, seed=0)
    assert drawn.shape == (50_000, 1, 3)
    assert torch.allclose(drawn.mean(0), train.mean(0), atol=0.03)
    assert torch.allclose(drawn[:, 0].T.cov(), train[:, 0].T.cov(), atol=0.08)
