import json
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image

from vaelab.errors import UserError
from vaelab.latent.circle import CircleLatent
from vaelab.latent.flow import Flow, fit_flow
from vaelab.latent.gaussian import GaussianLatent, GaussianPosterior
from vaelab.task.base import Output, code_means
from vaelab.task.interpolate import Interpolate, lerp, slerp, way

T = torch.linspace(0, 1, 9).unsqueeze(1)


def ends(dim=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(dim, generator=generator), torch.randn(dim, generator=generator)


def unit(angle):
    return torch.tensor([math.cos(angle), math.sin(angle)])


@pytest.mark.parametrize("path", ["lerp", "slerp"])
@pytest.mark.parametrize("steps", [2, 3, 10])
def test_a_way_begins_and_ends_at_its_ends(path, steps):
    start, end = ends()
    codes = way(start, end, steps, path, GaussianLatent(6))
    assert codes.shape == (steps, 6)
    assert torch.allclose(codes[0], start, atol=1e-5) and torch.allclose(codes[-1], end, atol=1e-5)


def test_the_straight_line_goes_in_equal_steps():
    start, end = ends()
    steps = lerp(start, end, T).diff(dim=0)
    assert torch.allclose(steps, ((end - start) / 8).expand(8, -1), atol=1e-6)


def test_the_arc_between_equally_long_ends_keeps_their_length_and_goes_in_equal_angles():
    start, end = ends()
    end = end * start.norm() / end.norm()
    codes = slerp(start, end, T)
    assert torch.allclose(codes.norm(dim=1), start.norm().expand(9), atol=1e-5)
    angles = torch.cosine_similarity(codes[1:], codes[:-1]).acos()
    whole = torch.cosine_similarity(start, end, dim=0).acos()
    assert torch.allclose(angles, (whole / 8).expand(8), atol=1e-3)


def test_the_arc_between_unequal_ends_changes_its_length_evenly():
    start, end = ends()
    codes = slerp(start, 3 * end, T)
    assert torch.allclose(codes.norm(dim=1).diff(), ((3 * end.norm() - start.norm()) / 8).expand(8), atol=1e-5)


def test_the_middle_of_a_quarter_turn_is_an_eighth_turn():
    assert torch.allclose(slerp(unit(0.0), unit(math.pi / 2), torch.tensor([[0.5]]))[0], unit(math.pi / 4))


@pytest.mark.parametrize("path", ["lerp", "slerp"])
@pytest.mark.parametrize(
    ("start", "end"),
    [
        (unit(1.0), -unit(1.0)),
        (unit(1.0), unit(1.0)),
        (torch.zeros(2), unit(1.0)),
        (unit(1.0), torch.zeros(2)),
        (torch.zeros(2), torch.zeros(2)),
        (unit(1.0), -3 * unit(1.0)),
        (unit(1.0), unit(1.0 + 1e-6)),
        (1e-20 * unit(1.0), 1e-20 * unit(2.0)),
    ],
    ids=["opposite", "equal", "from zero", "to zero", "zero", "opposite, longer", "very near", "tiny"],
)
def test_ends_without_an_arc_between_them_give_no_nan(path, start, end):
    codes = way(start, end, 9, path, GaussianLatent(2))
    assert codes.isfinite().all()
    assert torch.allclose(codes[0], start, atol=1e-6) and torch.allclose(codes[-1], end, atol=1e-6)


@pytest.mark.parametrize("gap", [1e-2, 1e-3, 3e-4])
def test_nearly_opposite_ends_keep_their_length_all_the_way(gap):
    codes = slerp(unit(0.5), unit(0.5 + math.pi - gap), T)
    assert codes.norm(dim=1).tolist() == pytest.approx([1.0] * 9, abs=2e-3)


@pytest.mark.parametrize("path", ["lerp", "slerp"])
@pytest.mark.parametrize("turn", [0.3, 2.0, math.pi])
def test_phases_stay_on_the_circle(path, turn):
    latent = CircleLatent(2)
    start = torch.tensor([math.cos(0.4), math.cos(-1.0), math.sin(0.4), math.sin(-1.0)])
    end = torch.tensor([math.cos(0.4 + turn), math.cos(-1.0 - turn), math.sin(0.4 + turn), math.sin(-1.0 - turn)])
    codes = way(start, end, 9, path, latent)
    cosine, sine = codes.chunk(2, dim=1)
    assert torch.allclose(cosine.square() + sine.square(), torch.ones(9, 2), atol=1e-5)
    assert torch.allclose(codes[0], start, atol=1e-5) and torch.allclose(codes[-1], end, atol=1e-5)


@pytest.mark.parametrize("path", ["lerp", "slerp"])
def test_the_antipodes_middle_is_a_phase_too(path):
    codes = way(torch.tensor([1.0, 0.0]), torch.tensor([-1.0, 0.0]), 5, path, CircleLatent(1))
    assert torch.allclose(codes.norm(dim=1), torch.ones(5))


def test_the_way_of_a_flow_goes_round_the_hole_in_the_codes_that_the_straight_line_goes_through(monkeypatch):
    monkeypatch.setattr("vaelab.latent.flow.STEPS", 300)
    phase = 2 * math.pi * torch.rand(2000, generator=torch.Generator().manual_seed(0))
    mean = 5 * torch.stack([phase.cos(), phase.sin()], 1)
    flow = fit_flow(GaussianPosterior(mean, torch.full_like(mean, 2 * math.log(0.3))), 0)
    start, end = 5 * unit(0.3), 5 * unit(2.6)
    codes, straight = (way(start, end, 9, path, GaussianLatent(2), of) for path, of in (("flow", flow), ("lerp", None)))
    assert torch.allclose(codes[[0, -1]], torch.stack([start, end]), atol=1e-4)
    assert straight.norm(dim=1).min() < 2.5 < 3.5 < codes.norm(dim=1).min()


def test_the_way_of_a_flow_has_its_ends_where_codes_have_more_numbers_than_a_flow_has_directions():
    torch.manual_seed(0)
    flow = Flow(300)
    flow.out_of.normal_()
    start, end = torch.randn(2, 300)
    codes = way(start, end, 5, "flow", GaussianLatent(300), flow)
    assert torch.allclose(codes[[0, -1]], torch.stack([start, end]), atol=1e-3)


def test_a_run_takes_the_way_of_the_flow_that_it_keeps(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("vaelab.latent.flow.STEPS", 3)
    run = tiny("digits")
    run.checkpoint = tmp_path / "checkpoints" / "best.ckpt"
    run.checkpoint.parent.mkdir()
    Interpolate(n=4, between=[3, 1], path="flow")(run, Output(tmp_path / "flow"))
    Interpolate(n=4, between=[3, 1], path="lerp")(run, Output(tmp_path / "lerp"))
    flow, lerp = (np.load(tmp_path / path / "path.npy").astype(float) for path in ("flow", "lerp"))
    assert (tmp_path / "checkpoints" / "best_flow.pt").is_file()
    assert np.abs(flow[[0, -1]] - lerp[[0, -1]]).max() <= 1 and not np.array_equal(flow[1], lerp[1])


@pytest.mark.parametrize("experiment", ["sine", "digits", "radio", "audio"])
def test_the_ends_of_the_path_are_the_reconstructions_of_its_items(tiny, tmp_path, experiment):
    run = tiny(experiment)
    Interpolate(n=4, between=[3, 1] if experiment != "audio" else [1, 0])(run, Output(tmp_path))
    path = torch.from_numpy(np.load(tmp_path / "path.npy"))
    first = run.data().batch("test")
    chosen = [3, 1] if experiment != "audio" else [1, 0]
    codes = code_means(run, first.x[chosen])
    expected = run.variant.codec.decode(run.variant.decode(codes), first.level[chosen])
    assert len(path) == 4 and (tmp_path / "path.png").stat().st_size > 1000
    assert torch.allclose(path[[0, -1]].float(), expected.float(), atol=1e-4 if experiment != "digits" else 1.0)
    if experiment != "digits":
        assert all((a - b).norm() > 0 for a, b in pairwise(path))
    assert len(list(tmp_path.glob("*.wav"))) == (4 if experiment == "audio" else 0)


def test_files_of_ones_own_can_be_the_ends(tiny, tmp_path):
    run = tiny("sine")
    x = run.data().items.raw[:2, 0].numpy()
    for k in range(2):
        np.savetxt(tmp_path / f"{k}.csv", x[k : k + 1], delimiter=",")
    Interpolate(n=3, files=[str(tmp_path / "0.csv"), str(tmp_path / "1.csv")])(run, Output(tmp_path / "out"))
    path = torch.from_numpy(np.load(tmp_path / "out" / "path.npy"))
    expected = run.variant.decode(code_means(run, torch.from_numpy(x)[:, None]))
    assert torch.allclose(path[[0, -1]], expected, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"n": 1}, "task.n must be at least 2, both ends, not 1"),
        ({"n": 2**31}, "task.n=2147483648 asks for 2,147,483,648 signals: give at most"),
        ({"between": [0]}, "task.between must name two test items"),
        ({"between": [0, -1]}, "task.between must name two test items"),
        ({"between": [0, 600]}, "there are 6 test items: choose task.between below that, not 600"),
        ({"files": ["a.csv"]}, "task.files must name two files, not 1"),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused_in_one_line(tiny, tmp_path, settings, words):
    with pytest.raises(UserError, match=r"^[^\n]+$") as told:
        Interpolate(**settings)(tiny("sine"), Output(tmp_path))
    assert str(told.value).startswith(words)


def test_of_a_long_path_all_steps_are_written_and_some_are_drawn(tiny, tmp_path, capsys):
    Interpolate(n=300, between=[0, 1])(tiny("digits"), Output(tmp_path))
    assert len(np.load(tmp_path / "path.npy")) == 300
    with Image.open(tmp_path / "path.png") as drawn:
        assert drawn.width > drawn.height
    assert "the figure shows 100 of the 300 steps" in capsys.readouterr().out


def test_unless_items_are_named_two_different_ones_are_drawn_and_told(tiny, tmp_path, capsys):
    run = tiny("digits")
    Interpolate(n=3)(run, Output(tmp_path / "drawn"))
    numbers = json.loads(capsys.readouterr().out.splitlines()[0].removeprefix("drawn: task.between="))
    assert len(set(numbers)) == 2 and numbers != [0, 1]
    assert run.data().index["test"][numbers].tolist() == run.data().drawn("test", 2).tolist()
    Interpolate(n=3, between=numbers)(run, Output(tmp_path / "named"))
    one, same = (np.load(tmp_path / name / "path.npy") for name in ("drawn", "named"))
    assert np.array_equal(one, same)
