import math

import pytest
import torch

from vaelab.errors import UserError
from vaelab.latent.circle import CircleLatent
from vaelab.latent.densities import code_sampler, sample_codes
from vaelab.latent.flow import Flow
from vaelab.latent.gaussian import GaussianLatent
from vaelab.latent.point import PointLatent


def unfitted(size):
    """A flow that knows of codes no more than that they are normal."""
    flow = Flow(size)
    flow.out_of.copy_(torch.eye(size))
    return flow


def test_the_prior_needs_no_data_and_is_the_latents_own():
    drawn = draw("prior", n=20_000)
    assert drawn.mean(0).abs().max() < 0.05 and (drawn.std(0) - 1).abs().max() < 0.05
    assert draw("prior", latent=CircleLatent(2)).square().sum(1).tolist() == pytest.approx([2.0] * 300, abs=1e-4)


NORMAL = unfitted(3)


def clusters(n=400):
    torch.manual_seed(0)
    centres = torch.tensor([[5.0, 0.0, -5.0], [-5.0, 5.0, 0.0]])
    return centres[torch.arange(n) % 2] + 0.1 * torch.randn(n, 3), centres


def draw(density, n=300, latent=None, codes=None, seed=0):
    return sample_codes(density, n, latent=latent or GaussianLatent(3), codes=codes, seed=seed, flow=NORMAL)


@pytest.mark.parametrize("density", ["prior", "gmm", "posterior", "flow"])
def test_one_seed_gives_the_same_codes_and_leaves_the_worlds_randomness_alone(density):
    codes, _ = clusters()
    torch.manual_seed(7)
    first = draw(density, codes=codes)
    after = torch.rand(1)
    torch.manual_seed(7)
    assert torch.equal(after, torch.rand(1))
    assert torch.equal(first, draw(density, codes=codes))
    assert not torch.equal(first, draw(density, codes=codes, seed=1))


def test_a_mixture_fitted_on_two_clusters_draws_from_both_in_mixed_order():
    codes, centres = clusters()
    drawn = draw("gmm", codes=codes)
    distance = torch.cdist(drawn, centres)
    assert drawn.dtype == torch.float32 and distance.amin(1).max() < 1
    share = (distance.argmin(1) == 0).float()
    assert 0.3 < share[:150].mean() < 0.7 and 0.3 < share[150:].mean() < 0.7


def test_the_posterior_draws_the_codes_of_the_items_themselves():
    codes, _ = clusters(40)
    drawn = draw("posterior", codes=codes)
    assert set(map(tuple, drawn.tolist())) <= set(map(tuple, codes.tolist()))
    assert len(drawn.unique(dim=0)) == 40


def test_a_mixture_on_the_circle_stays_on_the_circle():
    phase = torch.linspace(-math.pi, math.pi, 200)[:, None]
    drawn = draw("gmm", latent=CircleLatent(1), codes=torch.cat([phase.cos(), phase.sin()], 1))
    assert drawn.norm(dim=1).tolist() == pytest.approx([1.0] * 300, abs=1e-5)


def test_a_flow_on_the_circle_stays_on_the_circle():
    drawn = sample_codes("flow", 300, latent=CircleLatent(1), codes=None, seed=0, flow=unfitted(2))
    assert drawn.norm(dim=1).tolist() == pytest.approx([1.0] * 300, abs=1e-5)


def test_wide_codes_of_few_items_can_be_fitted():
    torch.manual_seed(0)
    codes = torch.randn(30, 100)
    assert draw("gmm", n=5, latent=GaussianLatent(100), codes=codes).shape == (5, 100)


def test_a_point_without_a_prior_can_be_sampled_by_its_codes_alone():
    codes, _ = clusters()
    assert draw("gmm", latent=PointLatent(3), codes=codes).shape == (300, 3)
    with pytest.raises(UserError, match=r"task.density=gmm"):
        draw("prior", latent=PointLatent(3))


def test_an_unknown_density_and_an_empty_wish_are_refused_in_one_line():
    with pytest.raises(UserError, match=r"^there is no density 'uniform': use prior, gmm, posterior or flow$"):
        draw("uniform")
    with pytest.raises(UserError, match=r"^task.n must be at least 1, not 0$"):
        draw("prior", n=0)


@pytest.mark.parametrize("n", [1, 2, 3, 11])
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e8])
def test_a_mixture_on_a_few_codes_draws_what_they_span(n, scale):
    torch.manual_seed(0)
    codes = scale * torch.randn(n, 3)
    drawn = draw("gmm", n=2000, codes=codes)
    # Scikit-learn's least spread of 1e-3 is added to theirs.
    spread = codes.std(0, correction=0).double() + 1e-3 * max(scale, 1)
    assert ((drawn.double().mean(0) - codes.double().mean(0)).abs() < 0.2 * spread).all()
    assert (drawn.std(0) < 1.5 * spread).all()


def test_each_block_of_codes_has_draws_of_its_own():
    codes, _ = clusters()
    for density in ("prior", "gmm", "posterior", "flow"):
        sampler = code_sampler(density, latent=GaussianLatent(3), codes=codes, seed=0, flow=NORMAL)
        assert torch.equal(sampler(50, 1), sampler(50, 1)) and not torch.equal(sampler(50, 1), sampler(50, 2))
