import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from vaelab.linear import fit_linear_code, principal_components

DIGITS = torch.tensor(load_digits().images / 16, dtype=torch.float32)[:, None]


def smooth(n, *shape, seed=0):
    """Items whose neighbouring numbers are alike: sums of walks along each axis."""
    x = torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed))
    for axis in range(2, x.ndim):
        x = x.cumsum(axis) / x.shape[axis] ** 0.5
    return x


def fitted(x, size, **settings):
    return fit_linear_code(lambda: x.split(100), size, **settings)


def error(code, x):
    return float((code.restore(code.project(x)) - x).square().mean())


def test_of_many_items_with_few_numbers_it_is_pca():
    pca = PCA(10).fit(DIGITS.flatten(1).numpy())
    code = fitted(DIGITS.repeat(40, 1, 1, 1), 10)
    best = float(
        ((pca.inverse_transform(pca.transform(DIGITS.flatten(1).numpy())) - DIGITS.flatten(1).numpy()) ** 2).mean()
    )
    assert best <= error(code, DIGITS) < 1.001 * best
    assert code.variances == pytest.approx(pca.explained_variance_, rel=0.01)
    assert float(code.rest) == pytest.approx(float(pca.noise_variance_), rel=0.02)


@pytest.mark.parametrize("shape", [(1, 50), (3, 12, 10), (2, 30)])
def test_directions_are_orthonormal_and_codes_go_there_and_back(shape):
    x = smooth(300, *shape)
    code = fitted(x, 12)
    flat = code.directions.flatten(1)
    assert torch.allclose(flat @ flat.T, torch.eye(12), atol=1e-4)
    assert torch.allclose(code.mean, x.mean(0), atol=1e-4)
    z = torch.randn(5, 12)
    assert torch.allclose(code.project(code.restore(z)), z, atol=1e-4)
    assert code.restore(z).shape == (5, *shape)


def test_of_few_items_it_restores_new_ones_better_than_pca_does():
    seen, new = smooth(60, 1, 24, 24), smooth(400, 1, 24, 24, seed=1)
    pca = PCA(40).fit(seen.flatten(1).numpy())
    plain = torch.tensor(pca.inverse_transform(pca.transform(new.flatten(1).numpy()))).view_as(new)
    assert error(fitted(seen, 40), new) < 0.8 * float((plain - new).square().mean())


def test_without_correlations_it_is_the_frequencies_of_most_variance():
    x = smooth(500, 1, 64)
    code = fitted(x, 8, correlated=False)
    rows = code.directions[:, 0]
    # A cosine that is sampled in the middle of its steps is even about its ends.
    place = (torch.arange(64) + 0.5) * torch.pi / 64
    found = sorted(int((torch.cos(torch.arange(64)[:, None] * place) @ row).abs().argmax()) for row in rows)
    assert found == list(range(8))
    assert error(fitted(x, 8), x) <= error(code, x)


def test_the_size_is_at_most_that_of_an_item():
    assert fitted(smooth(30, 1, 6), 40).directions.shape == (6, 1, 6)
    assert float(fitted(smooth(30, 1, 6), 40).rest) == pytest.approx(0, abs=1e-6)


def test_principal_components_are_those_of_pca():
    pca = PCA(10).fit(DIGITS.flatten(1).numpy())
    code = principal_components(DIGITS, 10, seed=0)
    assert code.variances == pytest.approx(pca.explained_variance_, rel=1e-3)
    made = torch.tensor(pca.inverse_transform(pca.transform(DIGITS.flatten(1).numpy()))).view_as(DIGITS)
    assert torch.allclose(code.restore(code.project(DIGITS)), made, atol=1e-4)
    assert principal_components(DIGITS[:4], 10, seed=0).directions.shape == (4, 1, 8, 8)
