import math

import pytest
import torch

from vaelab.data.items import Signature
from vaelab.kind.points import Points
from vaelab.report import judge
from vaelab.simulators.mixture import mixture_points


@pytest.fixture
def grid(tiny):
    """An untrained run on the grid of 25, its data, and points of a mixture as a method would make them."""
    run = tiny("mixture", "dataset.points=12000")
    means, std = run.variant.kind.truth

    def made(means=means, std=std, seed=1):
        points, _ = mixture_points(means, std, 2500, torch.Generator().manual_seed(seed))
        return run.variant.codec.encode(points[..., None]).x

    return run.variant.kind, run.data(), made


def test_points_in_the_plane_are_their_own_kind_and_signals_over_time_are_not():
    signature = Signature("signal", (2, 1), None, (), {})
    assert Points.fits(signature)
    assert not Points.fits(Signature("signal", (2, 1), 8000.0, (), {}))
    assert not Points.fits(Signature("signal", (1, 2), None, (), {}))


def test_true_points_have_all_modes_as_training_points_have_and_the_gaussian_has_no_quality(grid):
    kind, data, made = grid
    told = kind.sample_measures(made(), data.index["test"], data)
    beside = kind.sample_baselines(data.index["test"], data)
    assert told["modes"] == beside["ceiling/train_modes"] == 25
    assert (
        told["high_quality"] == pytest.approx(beside["ceiling/train_high_quality"], abs=0.01)
        and told["reverse_kl"] < 0.02
    )
    assert beside["baseline/gaussian_high_quality"] < 0.05 and beside["baseline/gaussian_reverse_kl"] > 0.1


def test_collapsed_points_lose_modes_and_noisy_ones_quality_in_the_users_units(grid):
    kind, data, made = grid
    collapsed = kind.sample_measures(made(means=kind.truth.means[:7]), data.index["test"], data)
    assert collapsed["modes"] == 7 and collapsed["reverse_kl"] == pytest.approx(math.log(25 / 7), abs=0.02)
    noisy = kind.sample_measures(made(std=0.2), data.index["test"], data)
    assert collapsed["high_quality"] > 0.98 and noisy["high_quality"] < 0.4


def test_the_figure_shows_which_modes_are_lost(grid):
    kind, data, made = grid
    drawn = kind.sample_figures(made(means=kind.truth.means[:7]), data.batch("test").x)["points"]
    panel = drawn.axes[0]
    shown = {line.get_label(): len(line.get_xdata()) for line in panel.lines}
    assert shown == {"mode found": 7, "mode lost": 18}
    assert "7 of 25 modes" in panel.get_title(loc="left")


def test_modes_are_found_where_the_data_have_them_whatever_their_scale(tiny):
    run = tiny("mixture", "dataset.layout=ring", "dataset.scale=5")
    means, std = run.variant.kind.truth
    assert std == 0.05 and torch.allclose(means.norm(dim=1), torch.full((8,), 5.0))
    told = run.variant.kind.sample_baselines(run.data().index["test"], run.data())
    assert told["ceiling/train_modes"] == 8 and told["ceiling/train_high_quality"] > 0.97


def test_how_far_points_are_is_told_in_the_users_units_beside_training_points(tiny, grid):
    kind, data, _ = grid
    x = data.batch("test", 50).target
    points = kind.codec.decode(x)
    moved = kind.codec.encode(points + torch.tensor([[3.0], [4.0]])).x
    # A shift of all points is the farthest that anybody goes (Peyré and Cuturi 2019, remark 2.19).
    assert kind.distances(moved, x)["w2"] == pytest.approx(5.0, rel=1e-4)
    told = judge.distance_measures(tiny("moons").variant, tiny("moons").data())
    far, one, floor = (told[f"sample/{name}w2"] for name in ("", "baseline/gaussian_", "ceiling/train_"))
    assert 0 < floor < one < far


@pytest.mark.parametrize("method", ["vae", "gan", "wgan_gp"])
@pytest.mark.parametrize("layout", ["grid", "ring"])
def test_every_method_is_trained_measured_and_drawn(tiny, trainer_of, method, layout):
    run = tiny("mixture", f"variant={method}", f"dataset.layout={layout}")
    variant, data = run.variant.train(), run.data()
    trainer_of(max_steps=8, max_epochs=-1).fit(variant, datamodule=data)
    trainer_of().test(variant, datamodule=data, verbose=False)
    seen = judge.look(variant, data.loader("test", 50))
    told = judge.measures(variant, seen, data)
    assert {"modes", "high_quality", "baseline/gaussian_modes", "ceiling/train_reverse_kl"} <= set(told)
    assert all(math.isfinite(value) for value in told.values())
    assert {"points", "prior_samples"} <= set(judge.all_figures(variant, seen))


def test_points_of_no_known_mixture_are_measured_and_drawn_without_modes(tiny):
    run = tiny("moons")
    assert isinstance(run.variant.kind, Points)
    seen = judge.look(run.variant, run.data().loader("test", 50))
    assert not any("modes" in name for name in judge.measures(run.variant, seen, run.data()))
    assert len(judge.figures(run.variant, seen)["points"].axes) == 1


def test_a_small_picture_of_a_point_is_brightest_where_it_lies(grid):
    kind, *_ = grid
    x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [-2.5, -2.5]])[..., None]
    pictures = kind.drawable(x, None)
    assert pictures.shape == (4, 1, 24, 24) and pictures.min() >= 0 and pictures.max() <= 1
    rows, columns = torch.stack([divmod_of(picture[0]) for picture in pictures]).T
    assert columns[1] > columns[0] > columns[3] == 0 and rows[2] < rows[0] < rows[3] == 23


def divmod_of(picture):
    place = int(picture.argmax())
    return torch.tensor([place // picture.shape[1], place % picture.shape[1]])
