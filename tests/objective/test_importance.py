import math

import pytest
import torch

from vaelab.latent.gaussian import GaussianLatent, GaussianPosterior
from vaelab.likelihood.base import gaussian_log_density
from vaelab.objective.importance import importance_bounds, log_weights

# A linear-Gaussian model of one number, z ~ N(0, 1) and x | z ~ N(2z, 0.25), whose log p(x) is known.
X, SLOPE, VARIANCE = 1.3, 2.0, 0.25
EXACT = float(gaussian_log_density(torch.tensor(X), torch.tensor(0.0), SLOPE**2 + VARIANCE))
PRECISION = 1 + SLOPE**2 / VARIANCE
TRUE_POSTERIOR = (SLOPE * X / VARIANCE / PRECISION, 1 / PRECISION)


def weights(mean, variance, draws, chunk):
    posterior = GaussianPosterior(torch.tensor([[mean]]), torch.tensor([[math.log(variance)]]))

    def log_likelihood(codes):
        assert len(codes) <= chunk
        return gaussian_log_density(torch.tensor(X), SLOPE * codes, VARIANCE).sum(1)

    return log_weights(posterior, GaussianLatent(1), log_likelihood, draws, chunk)


@pytest.mark.parametrize("chunk", [1, 3, 7, 100])
def test_every_draw_counts_once_whatever_the_chunk(chunk):
    assert weights(0.0, 1.0, draws=10, chunk=chunk).shape == (10,)


def test_with_the_true_posterior_one_draw_gives_the_exact_log_likelihood():
    assert weights(*TRUE_POSTERIOR, draws=5, chunk=2).tolist() == pytest.approx([EXACT] * 5, abs=1e-4)


def test_the_bound_rises_with_k_from_the_elbo_to_the_exact_log_likelihood():
    torch.manual_seed(0)
    mean, variance = TRUE_POSTERIOR[0] + 0.1, 3 * TRUE_POSTERIOR[1]
    many = torch.stack([weights(mean, variance, draws=1000, chunk=300) for _ in range(400)])
    bounds = importance_bounds(many, [1, 10, 100, 1000]).mean(0)
    assert bool((bounds.diff() > 0).all())
    assert bounds[-1].item() == pytest.approx(EXACT, abs=0.01) and bounds[0].item() < EXACT - 0.1
    elbo = many.mean().item()
    assert bounds[0].item() == pytest.approx(elbo, abs=0.1)


def test_bounds_are_log_means_of_the_first_k_weights():
    log_weight = torch.log(torch.tensor([[1.0, 3.0, 8.0]]))
    assert importance_bounds(log_weight, [1, 2, 3]).exp().tolist()[0] == pytest.approx([1.0, 2.0, 4.0])
