import math

import numpy as np
import pytest
import torch
from PIL import Image

from vaelab.errors import UserError
from vaelab.latent.circle import CircleLatent
from vaelab.latent.gaussian import GaussianLatent
from vaelab.task.base import Output, code_means
from vaelab.task.traverse import Traverse, mean_kl, traversal


def test_one_dimension_moves_evenly_through_the_prior_and_the_others_stay():
    centre = torch.tensor([0.5, -1.0, 2.0])
    codes = traversal(centre, torch.tensor([2, 0]), 5, 3.0, GaussianLatent(3))
    assert codes.shape == (2, 5, 3)
    assert codes[0, :, 2].tolist() == codes[1, :, 0].tolist() == [-3.0, -1.5, 0.0, 1.5, 3.0]
    assert torch.equal(codes[0, :, :2], centre[:2].expand(5, 2))
    assert torch.equal(codes[1, :, 1:], centre[1:].expand(5, 2))


def test_a_phase_goes_once_round_from_the_items_own():
    angles = torch.tensor([0.3, -2.0])
    centre = torch.cat([angles.cos(), angles.sin()])
    codes = traversal(centre, torch.tensor([1]), 8, 3.0, CircleLatent(2))[0]
    assert torch.allclose(codes[0], centre, atol=1e-6)
    turned = torch.atan2(codes[:, 3], codes[:, 1]) - angles[1]
    assert torch.allclose(turned % (2 * math.pi), 2 * math.pi * torch.arange(8) / 8, atol=1e-5)
    assert torch.equal(codes[:, [0, 2]], centre[[0, 2]].expand(8, 2))


@pytest.mark.parametrize("experiment", ["sine", "digits", "audio"])
def test_array_picture_and_animation_come_for_every_kind_of_signal(tiny, tmp_path, experiment):
    run = tiny(experiment)
    Traverse(n=4, dims=2)(run, Output(tmp_path))
    moved = np.load(tmp_path / "traversal.npy")
    dims = min(2, run.variant.latent.dims)
    assert moved.shape == (dims, 4, *run.signature.raw_shape)
    assert (tmp_path / "traversal.png").stat().st_size > 1000
    with Image.open(tmp_path / "traversal.gif") as gif:
        assert gif.n_frames > 1 and gif.info["loop"] == 0


def test_the_dimension_with_the_largest_kl_is_the_first_row(tiny, tmp_path):
    run = tiny("digits")
    kl = mean_kl(run.variant, run.data().loader("test"))
    first = run.data().batch("test")
    assert torch.allclose(kl, run.variant.posterior(run.data().batch("test").x).kl().mean(0), atol=1e-5)
    Traverse(item=2, n=3, dims=1, span=2.0)(run, Output(tmp_path))
    codes = code_means(run, first.x)[2].repeat(3, 1)
    codes[:, kl.argmax()] = torch.tensor([-2.0, 0.0, 2.0])
    expected = run.variant.codec.decode(run.variant.decode(codes))
    assert np.array_equal(np.load(tmp_path / "traversal.npy")[0], expected)


def test_an_item_of_ones_own_file_moves_as_the_same_test_item(tiny, tmp_path):
    run = tiny("sine", "latent=gaussian", "latent.dim=2")
    raw = run.data().items.raw[run.data().index["test"][1]]
    np.savetxt(tmp_path / "mine.csv", raw, delimiter=",")
    Traverse(file=str(tmp_path / "mine.csv"))(run, Output(tmp_path / "file"))
    Traverse(item=1)(run, Output(tmp_path / "item"))
    a, b = (np.load(tmp_path / name / "traversal.npy") for name in ("file", "item"))
    assert a.shape == (2, 9, 1, 32) and np.allclose(a, b, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"n": 1}, "task.n must be at least 2, not 1"),
        ({"dims": 0}, "task.dims must be at least 1, not 0"),
        ({"span": 0.0}, "task.span must be positive, not 0.0"),
        ({"item": -1}, "task.item must be at least 0, not -1"),
        ({"item": 6}, "there are 6 test items: choose task.item below that, not 6"),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused_in_one_line(tiny, tmp_path, settings, words):
    with pytest.raises(UserError, match=r"^[^\n]+$") as told:
        Traverse(**settings)(tiny("sine"), Output(tmp_path))
    assert str(told.value) == words


def test_a_code_without_a_prior_and_a_file_of_another_shape_are_refused_in_one_line(tiny, tmp_path):
    with pytest.raises(UserError, match=r"^task=traverse moves codes through their prior[^\n]+$"):
        Traverse()(tiny("radio"), Output(tmp_path))
    np.savetxt(tmp_path / "short.csv", np.zeros((2, 7)), delimiter=",")
    with pytest.raises(UserError, match=r"^the file's items are of shape \(1, 7\)[^\n]+$"):
        Traverse(file=str(tmp_path / "short.csv"))(tiny("sine"), Output(tmp_path))


def test_unless_an_item_is_named_one_is_drawn_and_told(tiny, tmp_path, capsys):
    run = tiny("digits")
    Traverse(n=3, dims=1)(run, Output(tmp_path / "drawn"))
    number = int(capsys.readouterr().out.splitlines()[0].removeprefix("drawn: task.item="))
    assert run.data().index["test"][number] == run.data().drawn("test", 1)[0] and number > 0
    Traverse(n=3, dims=1, item=number)(run, Output(tmp_path / "named"))
    one, same = (np.load(tmp_path / name / "traversal.npy") for name in ("drawn", "named"))
    assert np.array_equal(one, same)
