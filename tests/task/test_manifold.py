import numpy as np
import pytest
import torch

from vaelab.errors import UserError
from vaelab.task import manifold
from vaelab.task.base import Output, evenly
from vaelab.task.manifold import Manifold, even_codes


def test_the_codes_share_the_priors_mass_evenly_z1_to_the_right_and_z2_upwards():
    codes = even_codes(4)
    shares = torch.special.ndtr(codes)
    assert torch.allclose(shares[0, :, 0], torch.tensor([0.125, 0.375, 0.625, 0.875]), atol=1e-6)
    assert torch.allclose(shares[:, 0, 1], torch.tensor([0.875, 0.625, 0.375, 0.125]), atol=1e-6)
    assert torch.equal(codes[1, :, 0], codes[0, :, 0]) and torch.equal(codes[:, 1, 1], codes[:, 0, 1])


@pytest.mark.parametrize("experiment", ["sine", "digits", "audio"])
def test_every_kind_of_signal_has_its_map(tiny, tmp_path, experiment):
    run = tiny(experiment, "latent=gaussian", "latent.dim=2")
    Manifold(n=3)(run, Output(tmp_path))
    found = np.load(tmp_path / "manifold.npy")
    assert found.shape == (3, 3, *run.signature.raw_shape)
    if experiment != "audio":  # phases of sound are drawn anew
        corner = run.variant.codec.decode(run.variant.decode(even_codes(3)[0, 2][None]))[0]
        assert np.allclose(found[0, 2], corner, atol=1e-5 if experiment == "sine" else 1)
    assert (tmp_path / "manifold.png").stat().st_size > 1000


@pytest.mark.parametrize(("latent", "dim"), [("gaussian", 3), ("circle", 2), ("point", 2)])
def test_any_other_latent_space_is_refused_in_one_line_with_the_remedy(tiny, tmp_path, latent, dim):
    run = tiny("sine", f"latent={latent}", f"latent.dim={dim}")
    told = rf"^task=manifold [^\n]+latent={latent} latent.dim={dim}: train one with latent=gaussian latent.dim=2$"
    with pytest.raises(UserError, match=told):
        Manifold()(run, Output(tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_map_of_nothing_is_refused_in_one_line(tiny, tmp_path):
    with pytest.raises(UserError, match=r"^task.n must be at least 1, not 0$"):
        Manifold(n=0)(tiny("digits", "latent.dim=2"), Output(tmp_path))


def test_of_a_large_map_the_array_has_all_and_the_sheet_an_even_choice(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(manifold, "SHOWN", 3)
    monkeypatch.setattr("vaelab.figures.sheets.wave_sheet", lambda waves: shown.append(waves))
    shown = []
    Manifold(n=9)(tiny("sine", "latent=gaussian", "latent.dim=2"), Output(tmp_path))
    whole = np.load(tmp_path / "manifold.npy")
    assert whole.shape[:2] == (9, 9) and np.allclose(shown[0].numpy(), whole[::4, ::4], atol=1e-5)
    assert "the sheet shows 3 x 3 of the 9 x 9" in capsys.readouterr().out


def test_a_choice_is_even_and_has_both_ends():
    assert evenly(5, 10).tolist() == [0, 1, 2, 3, 4]
    assert evenly(300, 40)[[0, -1]].tolist() == [0, 299] and set(evenly(300, 40).diff().tolist()) <= {7, 8}


def test_a_map_too_large_for_the_memory_is_refused_in_one_line(tiny, tmp_path):
    with pytest.raises(UserError, match=r"^task.n=30000 asks for 900,000,000 pictures: give at most 1024$"):
        Manifold(n=30_000)(tiny("digits", "latent.dim=2"), Output(tmp_path))


def test_of_noise_that_has_other_than_two_numbers_there_is_no_map_and_another_variant_has_one(tiny, tmp_path):
    run = tiny("digits", "variant=flow_matching")
    with pytest.raises(UserError, match=r"latent.dim=64: train one with variant=vae latent=gaussian latent.dim=2$"):
        Manifold()(run, Output(tmp_path))
