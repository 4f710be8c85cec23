import math

import pytest
import torch

from vaelab.errors import UserError
from vaelab.simulators.mixture import centres, mixture_points


def test_a_ring_is_on_the_unit_circle_and_a_grid_is_two_apart_around_the_origin():
    ring, grid = centres("ring", 8), centres("grid", 25)
    assert torch.allclose(ring.norm(dim=1), torch.ones(8))
    assert torch.allclose(ring[1], torch.full((2,), 0.5**0.5), atol=1e-6)
    assert sorted(map(tuple, grid.tolist())) == [(x, y) for x in range(-4, 5, 2) for y in range(-4, 5, 2)]
    assert centres("grid", 4).abs().eq(1).all() and centres("grid", 1).tolist() == [[0, 0]]


def test_points_are_round_normals_around_means_that_are_equally_probable():
    means = centres("grid", 25)
    points, mode = mixture_points(means, 0.05, 50_000, torch.Generator().manual_seed(0))
    off = points - means[mode]
    assert off.std(0).tolist() == pytest.approx([0.05, 0.05], rel=0.02) and off.mean(0).abs().max() < 0.001
    assert abs(torch.corrcoef(off.T)[0, 1]) < 0.02
    counts = mode.bincount().double()
    assert (counts - 2000).abs().max() < 5 * math.sqrt(2000)


@pytest.mark.parametrize(("layout", "modes", "line"), [("grid", 24, "give 16 or 25"), ("ring", 0, "modes=0")])
def test_modes_that_cannot_be_placed_are_refused(layout, modes, line):
    with pytest.raises(UserError, match=f"^[^\n]*{line}[^\n]*$"):
        centres(layout, modes)
