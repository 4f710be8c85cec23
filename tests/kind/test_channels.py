import math

import numpy as np
import pytest
import torch
from torch import nn

from vaelab.errors import UserError
from vaelab.metrics.channel import power_profile, rms_delay_spread
from vaelab.report import judge

TAPS, RATE = 32, 20e6


class Conditions(nn.Module):
    """A good guess at a channel's two factors, very surely: decay in taps and angular spread in degrees, as normals."""

    def forward(self, x):
        # What the variant shows it are quarters of the logarithms of squares, of the sum first and of the difference.
        power = torch.exp(4 * x).view(len(x), 2, 2, TAPS).sum(2)
        delay = torch.arange(TAPS)
        mean = (power.sum(1) * delay).sum(1) / power.sum((1, 2))
        ratio = (power[:, 1].sum(1) / power[:, 0].sum(1)).clamp(1e-4, 0.8)
        codes = torch.stack([(mean + 0.5).log() - 0.5, ratio.log() / 2 + 1], 1)
        return torch.cat([codes, torch.full_like(codes, -6.0)], 1)


class Profiles(nn.Module):
    """The exact decoder of those two: the logarithms of the beams' deviations."""

    def forward(self, code):
        decay, ratio = (code[:, :1] + 0.5).exp(), ((code[:, 1:] - 1) * 2).exp()
        power = torch.exp(-torch.arange(TAPS) / decay)
        power = power / power.sum(1, keepdim=True)
        beams = torch.stack([power / (1 + ratio), power * ratio / (1 + ratio)], 1) * 2 * TAPS
        return 0.5 * torch.log(beams.clamp(min=1e-12)).repeat_interleave(2, 1)


WORDS = ("dataset.channels=1000", f"dataset.taps={TAPS}", "dataset.decay=[50e-9,250e-9]", "latent.dim=2")


@pytest.fixture
def oracle(tiny):
    run = tiny("channel", *WORDS)
    run.variant.encoder, run.variant.decoder = Conditions(), Profiles()
    return run


def spread(run, x):
    return rms_delay_spread(power_profile(run.variant.codec.decode(x)), RATE)


def test_an_oracle_beats_independent_taps_and_the_straight_line(oracle):
    examined = oracle.variant.examine(oracle.data().loader("test", 100))
    found = judge.measures(oracle.variant, examined, oracle.data())
    for name in ("delay_spread_ks", "antenna_correlation_ks"):
        assert found[f"gmm/{name}"] < 0.25 < found[f"baseline/independent_{name}"], name
    # Of 50 paths; over seeds between 0.9 and 1.
    assert found["path_monotone"] > 0.85 > found["baseline/straight_path_monotone"]
    assert found["path_dip_db"] < 0.5 and found["baseline/straight_path_dip_db"] > 1.5
    assert found["delay_spread_r2"] > 0.6 and found["angular_spread_r2"] > 0.6
    assert {"ceiling/simulator_profile_error_db", "baseline/estimate_delay_spread_r2"} <= set(found)
    assert all(math.isfinite(value) for value in found.values())


def test_decoded_channels_share_one_fading_and_drawn_ones_have_each_their_own(oracle):
    codes = torch.zeros(300, 2)
    shared, own = oracle.variant.decode(codes), oracle.variant.draw(codes, seed=1)
    assert torch.equal(shared[0], shared[299]) and not torch.equal(own[0], own[1])
    assert torch.equal(shared[:1], oracle.variant.decode(codes[:1]))
    assert torch.equal(shared, oracle.variant.decode(codes, chunk=1))
    # Drawn taps have the decoded deviations; those are the decoder's exponentials.
    sigma = oracle.variant.decoder(codes[:1]).exp()[0, :, :12]
    assert torch.allclose(own.std(0)[:, :12], sigma, rtol=0.25, atol=0.04)


def test_nothing_drawn_outside_changes_what_is_decoded_and_decoding_leaves_the_generator_alone(oracle):
    torch.manual_seed(5)
    before, state = oracle.variant.decode(torch.ones(2, 2)), torch.get_rng_state()
    assert torch.equal(before, oracle.variant.decode(torch.ones(2, 2))) and torch.equal(state, torch.get_rng_state())


def test_a_longer_decay_in_the_code_is_a_longer_delay_spread_in_the_channel(oracle):
    codes = torch.tensor([[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    assert (spread(oracle, oracle.variant.decode(codes)).diff() > 0).all()


def test_reconstructions_are_realisations_under_the_items_own_code(oracle):
    examined = oracle.variant.examine(oracle.data().loader("test", 80))
    assert torch.equal(examined.reconstruction, oracle.variant.decode(examined.code))
    both = torch.stack([spread(oracle, examined.x), spread(oracle, examined.reconstruction)]).log()
    assert torch.corrcoef(both)[0, 1] > 0.7


def test_expected_power_is_the_decoders_own(oracle):
    codes = torch.tensor([[0.0, -1.0], [0.5, 0.3]])
    drawn = oracle.variant.draw(codes.repeat(2_000, 1), 0).unflatten(0, (2_000, 2))
    expected = oracle.variant.kind.expected_power(drawn)
    beams = oracle.variant.decoder(codes).exp().square() + oracle.variant.likelihood.min_sigma**2
    power = 2 * beams.mean(1) * oracle.variant.codec.std**2
    assert torch.allclose(expected, power, rtol=0.15)


def test_the_encoder_sees_no_signs_under_a_zero_mean_likelihood_and_sees_them_under_others(tiny):
    x = torch.randn(3, 4, 16)
    for word, blind in [("likelihood=zero_mean_gaussian", True), ("likelihood=learned_gaussian", False)]:
        variant = tiny("channel", word).variant
        same = torch.allclose(variant.posterior(x).mean, variant.posterior(-x).mean)
        assert same == blind


@pytest.mark.parametrize(
    "words",
    [
        ("latent=point", "latent.dim=2"),
        ("likelihood=learned_gaussian",),
        ("dataset.antennas=1",),
        ("dataset.antennas=3", "dataset.profile=cluster"),
        ("dataset.angular_spread=10",),
        ("dataset.sample_rate=1e6",),
        ("dataset.k_factor_db=[0,10]",),
    ],
)
def test_the_measures_of_an_untrained_model_are_finite(tiny, words):
    run = tiny("channel", *words)
    found = judge.measures(run.variant, run.variant.examine(run.data().loader("test", 50)), run.data())
    assert all(math.isfinite(value) for value in found.values())
    assert ("gmm/delay_spread_ks" in found) == (words[0] != "latent=point") and "delay_spread_ks" in found
    assert ("antenna_correlation_ks" in found) == (words[0] != "dataset.antennas=1")
    assert ("angular_spread_r2" in found) == (words[0] not in ("dataset.antennas=1", "dataset.angular_spread=10"))
    # Of so slow a receiver every path falls into one tap.
    assert ("delay_spread_r2" in found) == (words[0] != "dataset.sample_rate=1e6")


def test_figures_are_drawn_of_items_samples_and_paths(tiny):
    run = tiny("channel")
    variant = run.variant
    figures = judge.figures(variant, variant.examine(run.data().loader("test", 6)))
    assert set(figures) == {"reconstructions", "power_profiles", "delay_spreads", "path"}
    decoded = variant.decode(variant.latent.prior_sample(5))
    drawn = [*figures.values(), variant.kind.sample_figure(decoded), variant.kind.path_figure(decoded)]
    assert all(figure.axes for figure in drawn)


def test_signals_that_are_no_channels_are_refused_in_one_line(tiny):
    with pytest.raises(UserError, match=r"^variant=channel is for wireless channels; these are signals: [^\n]+$"):
        tiny("sine", "variant=channel")


def test_samples_of_the_prior_each_fade_in_their_own_way(tiny, tmp_path):
    from vaelab.metrics.channel import neighbour_correlation
    from vaelab.task.base import Output
    from vaelab.task.prior import Prior

    run = tiny("channel")
    assert run.variant.kind.items_are_draws
    Prior(n=64)(run, Output(tmp_path))
    samples = torch.from_numpy(np.load(tmp_path / "samples.npy"))
    assert neighbour_correlation(samples).std() > 0.01
    signs = samples[:, 0].sign()
    assert (signs[0] * signs[1:]).mean().abs() < 0.2


def test_as_many_of_the_simulators_own_are_drawn_from_all_of_the_training_split(oracle, monkeypatch):
    from vaelab.metrics import channel

    shown, measure = [], channel.channel_measures
    monkeypatch.setattr(channel, "channel_measures", lambda taps, *rest: shown.append(taps) or measure(taps, *rest))
    monkeypatch.setattr(type(oracle.variant.kind), "samples", 50)
    data = oracle.data()
    oracle.variant.kind._beside(data.items.raw[:5], data)
    assert torch.equal(shown[-1], data.items.raw[data.drawn("train", 50)])
