import pytest
import torch

from vaelab.dataset.moons import Moons
from vaelab.errors import UserError

MIDDLE = torch.tensor([[-1.0, -1.0], [2.0, 0.5]])  # of the half circles, at radius 3


def test_without_noise_points_lie_on_two_half_circles_of_radius_3_that_reach_into_each_other():
    items = Moons(points=401, noise=0.0).load()
    assert items.raw.shape == (401, 2, 1) and items.raw.dtype == torch.float32 and items.kind == "signal"
    points, moon = items.raw[..., 0], items.label
    off = points - MIDDLE[moon]
    assert torch.allclose(off.norm(dim=1), torch.full((401,), 3.0), atol=1e-4)
    assert (off[moon == 0, 1] > -1e-4).all() and (off[moon == 1, 1] < 1e-4).all()
    assert items.label_names == ("upper", "lower") and moon.bincount().tolist() == [200, 201]


def test_noise_is_in_the_points_own_units_whatever_their_scale():
    for scale in (1.0, 3.0):
        clean, noisy = (Moons(points=4000, noise=noise, scale=scale).load().raw for noise in (0.0, 0.1))
        # Noise is drawn after the order of the points, which is the same.
        assert (noisy - clean).std().item() == pytest.approx(0.1, rel=0.05)


def test_the_points_are_the_seeds():
    same, other = Moons(points=50, seed=1).load().raw, Moons(points=50, seed=2).load().raw
    assert torch.equal(same, Moons(points=50, seed=1).load().raw) and not torch.equal(same, other)


@pytest.mark.parametrize("wrong", [{"points": 0}, {"noise": -0.1}, {"noise": float("nan")}, {"scale": 0.0}])
def test_moons_that_cannot_be_are_an_error_of_one_line(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(UserError, match=f"^{name}={value}[^\n]*$"):
        Moons(**wrong).load()
