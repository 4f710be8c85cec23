import math

import pytest
import torch
from torch import nn

from vaelab.errors import UserError
from vaelab.report import judge
from vaelab.simulators.sine import sine_waves


class Phase(nn.Module):
    """The exact encoder of a sine: its phase, very surely."""

    def forward(self, x):
        turn = 2 * math.pi * 3 * torch.arange(32) / 32
        wave = x[:, 0]
        sine, cosine = (wave * turn.cos()).sum(1), (wave * turn.sin()).sum(1)
        return torch.stack([cosine, sine, torch.full_like(cosine, -8.0)], 1)


class Wave(nn.Module):
    """The exact decoder of a phase."""

    def forward(self, code):
        return sine_waves(torch.atan2(code[:, 1], code[:, 0]), samples=32, cycles=3)


@pytest.fixture
def oracle(tiny):
    run = tiny("sine", "dataset.waves=400")
    run.variant.encoder, run.variant.decoder = Phase(), Wave()
    return run


def test_an_oracle_on_the_circle_scores_best_in_every_measure(oracle):
    variant = oracle.variant
    examined = variant.examine(oracle.data().loader("test", 100))
    assert torch.allclose(examined.reconstruction, examined.x, atol=1e-4)
    measures = judge.measures(variant, examined, oracle.data())
    assert measures["explained_variance"] == pytest.approx(1, abs=1e-6) and measures["good"] == 1
    assert measures["gmm/good"] == 1 and measures["kuiper"] < 0.05
    assert measures["baseline/gaussian_near_median"] > 100 * measures["near_median"]
    assert all(math.isfinite(value) for value in measures.values())


def test_the_circles_density_is_the_prior_and_samples_have_every_phase(oracle):
    drawn = oracle.variant.decode(oracle.variant.latent.prior_sample(2000))
    assert drawn.mean().abs() < 0.02 and drawn.amax(2).min() > 0.9


@pytest.mark.parametrize("override", ["latent=circle", "latent=point"])
def test_the_measures_of_an_untrained_model_are_finite_with_or_without_a_prior(tiny, override):
    run = tiny("sine", override, "latent.dim=2")
    measures = judge.measures(run.variant, run.variant.examine(run.data().loader("test", 100)), run.data())
    assert all(math.isfinite(value) for value in measures.values())
    assert ("gmm/good" in measures) == (override == "latent=circle") and "good" in measures


def test_any_signals_are_judged_in_the_codecs_units(tiny):
    run = tiny("sine", "variant=signal", "dataset.codec.standardise=true")
    examined = run.variant.examine(run.data().loader("test", 100))
    measures = judge.measures(run.variant, examined._replace(reconstruction=examined.x), run.data())
    assert measures["explained_variance"] == 1 and measures["rmse"] == 0
    assert measures["baseline/mean_rmse"] > 0.9 and "good" not in measures


def test_figures_are_drawn_of_items_samples_and_paths(tiny):
    import matplotlib.pyplot as plt

    variant = tiny("sine").variant
    data = tiny("sine").data()
    figures = [*judge.figures(variant, variant.examine(data.loader("test", 4))).values()]
    decoded = variant.decode(variant.latent.prior_sample(6))
    figures += [variant.kind.sample_figure(decoded), variant.kind.path_figure(decoded)]
    assert all(figure.axes for figure in figures) and variant.kind.sounds(decoded, None) == []
    assert plt.get_fignums() == []


def test_codes_are_decoded_in_chunks_of_any_size_and_into_a_given_place(tiny):
    variant = tiny("sine").variant
    codes = variant.latent.prior_sample(7)
    with torch.no_grad():
        expected = variant.likelihood.mean(variant.params(codes))
    place = torch.full((7, *variant.shape), torch.nan)
    assert variant.decode(codes, 3, place) is place
    torch.testing.assert_close(place, expected)
    torch.testing.assert_close(variant.decode(codes), expected)
    assert variant.decode(codes[:0]).shape == (0, *variant.shape)


def test_signals_that_are_no_sines_are_refused_by_the_sine_variant_in_one_line(tiny, monkeypatch):
    from vaelab.dataset.sine import Sine

    load = Sine.load

    def without_cycles(source):
        items = load(source)
        items.facts = {}
        return items

    monkeypatch.setattr(Sine, "load", without_cycles)
    with pytest.raises(UserError, match=r"^variant=sine is for sine waves [^\n]+use variant=vae[^\n]+$"):
        tiny("sine")
