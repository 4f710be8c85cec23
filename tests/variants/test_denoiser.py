import math

import pytest
import torch

from vaelab.data.batch import Batch
from vaelab.errors import UserError


def pulses(n=3, length=64, at=(5, 30, 60)):
    clean = torch.zeros(n, 1, length)
    for k, position in enumerate(at[:n]):
        clean[k, 0, position] = -0.8
    return clean


def batch_of(clean, noise=0.1):
    torch.manual_seed(0)
    return Batch(clean + noise * torch.randn_like(clean), clean, torch.zeros(len(clean)), torch.ones(len(clean)))


def losses(run, trainer_of, clean, params, weight):
    variant = run.variant
    variant.trainer = trainer_of()
    variant.peak_weight = weight
    batch = batch_of(clean)
    drawn, _ = variant.pass_through(batch)
    return variant.loss(batch, drawn, params)


def peak_loss(run, trainer_of, clean, params):
    without, once, twice = (losses(run, trainer_of, clean, params, weight).item() for weight in (0.0, 1.0, 2.0))
    assert twice - once == pytest.approx(once - without, rel=1e-3, abs=1e-3)
    return once - without


@pytest.fixture
def radio(tiny):
    return tiny("radio", "likelihood=gaussian")


def test_the_target_is_the_clean_partner_and_the_encoder_sees_the_noisy_one(radio):
    batch = radio.data().first("test", 4)
    assert not torch.equal(batch.x, batch.target)
    examined = radio.variant.examine(radio.data().loader("test"), 4)
    assert torch.equal(examined.x, batch.x) and torch.equal(examined.target, batch.target)
    items = radio.data().items
    clean = radio.variant.codec.decode(batch.target, batch.level)
    assert torch.allclose(clean, items.clean[radio.data().index["test"][:4]], atol=1e-6)


def test_the_log_likelihood_is_that_of_the_clean_partner(radio):
    batch = radio.data().first("test", 4)
    drawn, params = radio.variant.pass_through(batch)
    assert torch.allclose(drawn.log_likelihood[0], radio.variant.likelihood.log_prob(batch.target, params))
    assert not torch.allclose(drawn.log_likelihood[0], radio.variant.likelihood.log_prob(batch.x, params))


def test_the_peak_loss_is_small_where_the_peak_is_right_in_either_sign_and_large_elsewhere(radio, trainer_of):
    clean = pulses()
    right, other_sign, wrong = clean, -clean, clean.roll(7, dims=2)
    small, flipped, large = (peak_loss(radio, trainer_of, clean, params) for params in (right, other_sign, wrong))
    assert small == pytest.approx(flipped, rel=1e-3) and large > small + 64


def test_the_peak_loss_is_cross_entropy_in_nats_times_the_number_of_samples(radio, trainer_of):
    # A flat recovery says nothing of the position: log(time) nats.
    flat = peak_loss(radio, trainer_of, pulses(), torch.zeros(3, 1, 64))
    assert flat == pytest.approx(64 * math.log(64), rel=1e-3)


def test_traces_without_a_pulse_do_not_count_for_the_peak(radio, trainer_of):
    clean, silent = pulses(), torch.zeros(5, 1, 64)
    params = 0.3 * torch.randn(8, 1, 64, generator=torch.Generator().manual_seed(0))
    alone = peak_loss(radio, trainer_of, clean, params[:3])
    assert peak_loss(radio, trainer_of, torch.cat([clean, silent]), params) == pytest.approx(alone, rel=1e-3)
    assert peak_loss(radio, trainer_of, silent, params[:5]) == pytest.approx(0, abs=1e-3)


def test_perfect_recovery_scores_best_and_the_measures_stand_beside_baselines(tiny):
    run = tiny("radio", "dataset.samples=256", "dataset.traces=60", "dataset.split=[0.5,0.1,0.4]")
    variant, data = run.variant, run.data()
    examined = variant.examine(data.loader("test"), 24)
    measures = variant.measures(examined._replace(reconstruction=examined.target), data)
    assert measures["peak_accuracy"] == measures["amplitude_accuracy"] == 1
    assert measures["timing_error_ns"] == 0 and measures["output_snr_db"] > 60
    noisy = variant.measures(examined._replace(reconstruction=examined.x), data)
    assert noisy["gain_db"] == pytest.approx(0, abs=0.01) and noisy["output_snr_db"] < 30
    assert any(name.startswith("baseline") for name in measures)


def test_the_best_checkpoint_is_chosen_on_the_smallest_validation_error(radio, trainer_of):
    name, mode = radio.variant.monitor
    found = trainer_of().validate(radio.variant, datamodule=radio.data(), verbose=False)[0]
    examined = radio.variant.examine(radio.data().loader("val"), 100)
    error = (examined.reconstruction - examined.target).square().mean().item()
    assert mode == "min" and found[name] == pytest.approx(error, rel=1e-4)


def test_how_sharply_a_peak_counts_is_learnt(radio, trainer_of):
    losses(radio, trainer_of, pulses(), 0.3 * torch.rand(3, 1, 64), 1.0).backward()
    assert radio.variant.sharpness.grad.abs() > 0


def test_other_data_and_a_negative_weight_are_refused_in_one_line(tiny):
    with pytest.raises(
        UserError, match=r"^variant=denoiser cannot take data of kind signal: use variant=signal[^\n]+$"
    ):
        tiny("sine", "variant=denoiser")
    with pytest.raises(UserError, match=r"^variant.peak_weight must not be negative, not -1"):
        tiny("radio", "variant.peak_weight=-1")


def test_figures_are_drawn_in_the_users_units(radio):
    import matplotlib.pyplot as plt

    figures = radio.variant.figures(radio.variant.examine(radio.data().loader("test"), 4))
    assert set(figures) == {"recovered", "spectra"} and all(figure.axes for figure in figures.values())
    assert plt.get_fignums() == []
