import pytest
import torch

from vaelab.dataset.mixture import Mixture
from vaelab.errors import UserError
from vaelab.simulators.mixture import centres


@pytest.mark.parametrize(("layout", "modes", "std"), [("grid", 25, 0.05), ("ring", 8, 0.01)])
def test_points_carry_their_mode_and_the_facts_say_which_mixture_it_is(layout, modes, std):
    items = Mixture(layout, points=3000).load()
    assert items.raw.shape == (3000, 2, 1) and items.raw.dtype == torch.float32 and items.kind == "signal"
    assert items.facts == {layout: float(modes), "std": std, "scale": 1.0} and len(items.label_names) == modes
    off = (items.raw[..., 0] - centres(layout, modes)[items.label]).norm(dim=1)
    assert (off < 5 * std).all() and items.label.bincount(minlength=modes).min() > 0


def test_the_mixture_is_the_seeds_and_can_be_another():
    same, other = Mixture(points=50, seed=1).load().raw, Mixture(points=50, seed=2).load().raw
    assert torch.equal(same, Mixture(points=50, seed=1).load().raw) and not torch.equal(same, other)
    items = Mixture("ring", points=500, modes=3, std=0.2).load()
    assert items.facts == {"ring": 3.0, "std": 0.2, "scale": 1.0} and items.label_names == ("0", "1", "2")


def test_scale_moves_means_apart_and_widens_what_has_no_width_of_its_own():
    once, wide, own = (
        Mixture("ring", points=200, **set).load() for set in ({}, {"scale": 5.0}, {"scale": 5, "std": 0.3})
    )
    assert torch.allclose(wide.raw, 5 * once.raw, atol=1e-5)
    assert wide.facts == {"ring": 8.0, "std": 0.05, "scale": 5.0} and own.facts["std"] == 0.3


@pytest.mark.parametrize(
    "wrong", [{"points": 0}, {"modes": 7}, {"modes": 0}, {"std": 0.0}, {"scale": 0.0}, {"layout": "line"}]
)
def test_a_mixture_that_cannot_be_is_an_error_of_one_line(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(UserError, match=f"^{name}={value}[^\n]*$"):
        Mixture(**wrong).load()
