import numpy as np
import pytest
import torch
from scipy.signal import hilbert

from vaelab.errors import UserError
from vaelab.simulators.radio import NOISES, simulate_traces


def envelope(clean):
    return torch.from_numpy(np.abs(hilbert(clean.numpy())))


@pytest.mark.parametrize("noise", NOISES)
def test_the_measured_ratio_of_envelope_peak_to_noise_rms_is_the_one_asked_for(noise):
    traces = simulate_traces(200, noise=noise, snr=2.0, seed=1)
    rms = (traces.noisy - traces.clean).square().mean(-1).sqrt()
    measured = envelope(traces.clean).amax(-1) / rms
    assert torch.allclose(measured, torch.tensor(2.0), rtol=0.02)
    assert traces.snr.unique().tolist() == [2.0]


def test_the_logarithm_of_the_ratio_is_uniform_over_its_range():
    level = simulate_traces(4_000, snr=(1.0, 10.0), seed=2).snr.log10()
    assert level.min() >= 0 and level.max() <= 1
    assert level.mean().item() == pytest.approx(0.5, abs=0.02)
    assert level.std().item() == pytest.approx(12**-0.5, abs=0.02)


def test_the_position_is_the_largest_clean_sample_and_lies_anywhere_but_at_the_ends():
    traces = simulate_traces(2_000, seed=3)
    assert torch.equal(traces.position, traces.clean.abs().argmax(-1).squeeze(1))
    share = traces.position.double() / 500
    assert 0.03 < share.min() < 0.08 and 0.92 < share.max() < 0.97
    assert share.std().item() == pytest.approx(0.9 / 12**0.5, abs=0.02)


def test_pulses_keep_to_the_band_and_come_in_both_polarities():
    clean = simulate_traces(500, snr=1.0, seed=4).clean
    power = torch.fft.rfft(clean).abs().square().mean((0, 1))
    frequency = torch.fft.rfftfreq(500, 1 / 180e6)
    assert power[(frequency > 25e6) & (frequency < 85e6)].sum() > 0.98 * power.sum()
    assert (clean.amax(-1) > -clean.amin(-1)).double().mean().item() == pytest.approx(0.5, abs=0.1)


def test_noise_only_traces_hold_the_asked_share_and_no_pulse():
    traces = simulate_traces(4_000, noise_only=0.3, seed=5)
    none = ~traces.is_pulse
    assert none.double().mean().item() == pytest.approx(0.3, abs=0.03)
    assert not traces.clean[none].any() and not traces.snr[none].any()
    assert traces.position[none].unique().tolist() == [-1]
    assert traces.clean[traces.is_pulse].any(-1).all() and traces.noisy[none].any(-1).all()


@pytest.mark.parametrize("noise", NOISES)
def test_noise_has_the_level_of_a_tenth_of_a_millivolt(noise):
    traces = simulate_traces(1_000, noise=noise, seed=6)
    assert (traces.noisy - traces.clean).square().mean().sqrt().item() == pytest.approx(0.1, rel=0.2)


def test_radio_noise_is_redder_than_white_and_confined_to_the_band():
    traces = simulate_traces(2_000, noise_only=1.0, seed=7)
    power = torch.fft.rfft(traces.noisy).abs().square().mean((0, 1))
    frequency = torch.fft.rfftfreq(500, 1 / 180e6)
    near = [power[(frequency - f).abs().argmin() - 3 :][:7].median() for f in (15e6, 45e6, 70e6)]
    assert near[1] > 1.5 * near[2] > 15 * near[0]


def test_uniform_noise_is_bounded_and_cosine_noise_is_one_line():
    bounded = simulate_traces(300, noise="uniform", noise_only=1.0, seed=8).noisy
    assert bounded.abs().max() <= 0.1 * 3**0.5
    line = simulate_traces(300, noise="cosine", noise_only=1.0, seed=8).noisy * torch.hann_window(500)
    power = torch.fft.rfft(line).abs().square()
    assert (power.topk(4).values.sum(-1) > 0.99 * power.sum(-1)).all()


def test_the_same_seed_gives_the_same_traces_and_another_seed_others():
    first, again, other = (simulate_traces(20, seed=seed) for seed in (9, 9, 10))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.noisy, other.noisy)


def test_the_first_traces_do_not_depend_on_how_many_are_asked_for():
    few, many = simulate_traces(10, seed=11), simulate_traces(1_500, seed=11)
    assert all(torch.equal(a, b[:10]) for a, b in zip(few, many, strict=True))


def test_the_three_noises_carry_the_same_pulses():
    radio, uniform = (simulate_traces(1_200, noise=noise, seed=12) for noise in ("radio", "uniform"))
    assert torch.equal(radio.snr, uniform.snr)
    assert torch.allclose(torch.cosine_similarity(radio.clean, uniform.clean, dim=-1), torch.ones(()))


def test_templates_are_moved_and_flipped_but_neither_bent_nor_reversed():
    time = torch.arange(100.0)
    ringing = torch.sin(2 * torch.pi * 0.3 * time) * time * torch.exp(-time / 6)
    clean = simulate_traces(100, snr=1.0, seed=13, templates=ringing[None]).clean.squeeze(1)
    match = torch.fft.irfft(torch.fft.rfft(clean, n=1_000) * torch.fft.rfft(ringing, n=1_000).conj())
    best = match.gather(1, match.abs().argmax(1, keepdim=True)).squeeze(1) / (clean.norm(dim=1) * ringing.norm())
    inside = clean[:, -60:].abs().amax(1) < 1e-3
    assert (best[inside].abs() > 0.9).all()
    assert (best > 0).double().mean().item() == pytest.approx(0.5, abs=0.15)
    assert clean.abs().argmax(-1).unique().numel() > 50


def test_a_template_sits_where_its_position_says():
    template = torch.zeros(1, 100)
    template[0, 30:34] = torch.tensor([-0.5, 1.0, -0.6, 0.1])
    traces = simulate_traces(20, seed=14, templates=template)
    assert torch.equal(traces.clean.abs().argmax(-1).squeeze(1), traces.position)
    assert (traces.position >= 24).all() and (traces.position <= 476).all()


def test_each_trace_says_which_template_it_holds():
    low, high = (torch.cos(2 * torch.pi * f * torch.arange(40)) * torch.hann_window(40) for f in (0.2, 0.4))
    traces = simulate_traces(60, seed=15, templates=torch.stack([low, high]))
    centre = (torch.fft.rfft(traces.clean[:, 0]).abs().argmax(1) > 150).long()
    assert torch.equal(centre, traces.template) and centre.unique().tolist() == [0, 1]
    assert simulate_traces(5).template.unique().tolist() == [-1]


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ({"noise": "pink"}, "radio, uniform, cosine"),
        ({"snr": (3.0, 1.0)}, "range must rise"),
        ({"snr": 0.0}, "above 0"),
        ({"noise_only": 1.5}, "noise_only=1.5"),
        ({"sample_rate": 50e6}, "sample_rate=5e"),
        ({"samples": 8}, "samples=8"),
        ({"templates": torch.zeros(1, 10)}, "templates"),
    ],
)
def test_a_setting_outside_its_range_is_named(setting, named):
    with pytest.raises(UserError, match=named):
        simulate_traces(4, **setting)


def test_no_trace_at_all_is_refused():
    with pytest.raises(UserError, match="n=0"):
        simulate_traces(0)
