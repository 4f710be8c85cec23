import math

import numpy as np
import pytest
import torch

from vaelab.data.batch import Batch
from vaelab.errors import UserError
from vaelab.report import judge


def pulses(n=3, length=64, at=(5, 30, 60)):
    clean = torch.zeros(n, 1, length)
    for k, position in enumerate(at[:n]):
        clean[k, 0, position] = -0.8
    return clean


def batch_of(clean, noise=0.1):
    torch.manual_seed(0)
    n = len(clean)
    return Batch(clean + noise * torch.randn_like(clean), clean, torch.zeros(n), torch.ones(n), torch.arange(n))


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
    batch = radio.data().batch("test", 4)
    assert not torch.equal(batch.x, batch.target)
    examined = radio.variant.examine(radio.data().loader("test", 4))
    assert torch.equal(examined.x, batch.x) and torch.equal(examined.target, batch.target)
    items = radio.data().items
    clean = radio.variant.codec.decode(batch.target, batch.level)
    assert torch.allclose(clean, items.clean[batch.item], atol=1e-6)


def test_the_log_likelihood_is_that_of_the_clean_partner(radio):
    batch = radio.data().batch("test", 4)
    drawn, params = radio.variant.pass_through(batch)
    assert torch.allclose(drawn.log_likelihood[0], radio.variant.likelihood.log_prob(batch.target, params))
    assert not torch.allclose(drawn.log_likelihood[0], radio.variant.likelihood.log_prob(batch.x, params))


@pytest.mark.parametrize("sign", [1, -1])
def test_the_peak_loss_is_small_where_place_and_sign_are_right_and_large_elsewhere(radio, trainer_of, sign):
    clean = sign * pulses()
    right, other_sign, wrong = clean, -clean, clean.roll(7, dims=2)
    small, flipped, large = (peak_loss(radio, trainer_of, clean, params) for params in (right, other_sign, wrong))
    assert flipped > large > small + 64


def test_the_peak_loss_is_cross_entropy_in_nats_times_the_number_of_samples(radio, trainer_of):
    # A flat recovery says nothing of position and sign: log(2 · time) nats.
    flat = peak_loss(radio, trainer_of, pulses(), torch.zeros(3, 1, 64))
    assert flat == pytest.approx(64 * math.log(128), rel=1e-3)


def test_any_sample_near_the_peak_is_right_if_it_has_the_pulses_sign_there(tiny, trainer_of):
    radio = tiny("radio", "likelihood=gaussian", "dataset.samples=200")  # 2 % are 4 samples
    clean = torch.zeros(1, 1, 200)
    clean[..., 100], clean[..., 103], clean[..., 105] = 1.0, -0.8, 0.6

    def at(place, height):
        params = torch.zeros(1, 1, 200)
        params[..., place] = height
        return peak_loss(radio, trainer_of, clean, params)

    assert at(103, -1.0) == pytest.approx(at(100, 1.0), rel=1e-3)
    assert at(103, 1.0) > at(100, 1.0) + 200 and at(105, 1.0) > at(100, 1.0) + 200


def test_a_probabilistic_recovery_is_the_mean_of_many_and_the_same_each_time(tiny):
    run = tiny("radio", "latent=gaussian", "likelihood=gaussian")
    variant, x = run.variant, run.data().batch("test", 4).x  # all of them: the noise is that of a batch
    with torch.no_grad():
        posterior = variant.posterior(x)
        found = variant.reconstruct(posterior)
        assert torch.equal(variant.reconstruct(posterior), found)
        assert torch.equal(variant.examine(run.data().loader("test", 4)).reconstruction, found)
        draws = torch.stack([variant.params(posterior.sample()) for _ in range(2_000)])
    assert (found - draws.mean(0)).abs().max() < 5 * draws.std(0).max() / 16**0.5
    assert (found - draws.mean(0)).square().mean() < 2 * draws.var(0).mean() / 16


def test_traces_without_a_pulse_do_not_count_for_the_peak(radio, trainer_of):
    clean, silent = pulses(), torch.zeros(5, 1, 64)
    params = 0.3 * torch.randn(8, 1, 64, generator=torch.Generator().manual_seed(0))
    alone = peak_loss(radio, trainer_of, clean, params[:3])
    assert peak_loss(radio, trainer_of, torch.cat([clean, silent]), params) == pytest.approx(alone, rel=1e-3)
    assert peak_loss(radio, trainer_of, silent, params[:5]) == pytest.approx(0, abs=1e-3)


def test_perfect_recovery_scores_best_and_the_measures_stand_beside_baselines(tiny):
    run = tiny("radio", "dataset.samples=256", "dataset.traces=60", "dataset.split=[0.5,0.1,0.4]")
    variant, data = run.variant, run.data()
    examined = variant.examine(data.loader("test", 24))
    measures = judge.measures(variant, examined._replace(reconstruction=examined.target), data)
    assert measures["peak_accuracy"] == measures["amplitude_accuracy"] == 1
    assert measures["timing_error_ns"] == 0 and measures["output_snr_db"] > 60
    noisy = judge.measures(variant, examined._replace(reconstruction=examined.x), data)
    assert noisy["gain_db"] == pytest.approx(0, abs=0.01) and noisy["output_snr_db"] < 30
    bins = [name for name in measures if name.startswith("peak_accuracy/snr_")]
    assert bins and all(f"baseline/wiener_{name}" in measures for name in ["peak_accuracy", "output_snr_db", *bins])
    assert not any("band" in name or "certain" in name for name in measures)


def test_the_best_checkpoint_is_chosen_on_the_smallest_validation_error(radio, trainer_of):
    name, mode = radio.variant.monitor
    found = trainer_of().validate(radio.variant, datamodule=radio.data(), verbose=False)[0]
    examined = radio.variant.examine(radio.data().loader("val", 100))
    error = (examined.reconstruction - examined.target).square().mean().item()
    assert mode == "min" and found[name] == pytest.approx(error, rel=1e-4)


def test_how_sharply_a_peak_counts_is_learnt(radio, trainer_of):
    losses(radio, trainer_of, pulses(), 0.3 * torch.rand(3, 1, 64), 1.0).backward()
    assert radio.variant.sharpness.grad.abs() > 0


def test_other_data_and_a_negative_weight_are_refused_in_one_line(tiny):
    with pytest.raises(UserError, match=r"^variant=denoiser needs a clean partner of every signal[^\n]+$"):
        tiny("sine", "variant=denoiser")
    with pytest.raises(UserError, match=r"^variant.peak_weight must not be negative, not -1"):
        tiny("radio", "variant.peak_weight=-1")


def test_figures_are_drawn_in_the_users_units(radio):
    import matplotlib.pyplot as plt

    examined = radio.variant.examine(radio.data().loader("test", 4))
    figures = judge.figures(radio.variant, examined)
    assert set(figures) == {"recovered", "spectra", "examples"} and all(figure.axes for figure in figures.values())
    shown = figures["recovered"].axes[0].lines[1].get_ydata()
    assert shown == pytest.approx(radio.data().items.clean[examined.item[0], 0].numpy(), abs=1e-6)
    assert plt.get_fignums() == []


def test_examples_are_named_by_what_became_of_them(radio):
    examined = radio.variant.examine(radio.data().loader("test", 4))
    perfect = judge.figures(radio.variant, examined._replace(reconstruction=examined.target))["examples"]
    assert [panel.get_title("left") for panel in perfect.axes] == ["right: 0 samples off, 100% of the height"]
    wrong = judge.figures(radio.variant, examined._replace(reconstruction=examined.target.roll(30, -1)))["examples"]
    assert [panel.get_title("left").split(":")[0] for panel in wrong.axes] == ["wrong"]


def test_a_measured_run_draws_the_net_beside_the_filters_and_detection_where_there_is_noise_alone(tiny):
    for share, more in ((0.0, {"accuracy_by_snr"}), (0.4, {"accuracy_by_snr", "detection"})):
        run = tiny("radio", "dataset.samples=256", "dataset.traces=100", f"dataset.noise_only={share}")
        variant, data = run.variant, run.data()
        examined = variant.examine(data.loader("test", 10))
        assert not more & set(judge.figures(variant, examined))
        measures = judge.measures(variant, examined, data)
        figures = judge.figures(variant, examined)
        assert more <= set(figures) and ("detection_tpr" in measures) == ("detection" in figures)
        lines = {line.get_label(): line for line in figures["accuracy_by_snr"].axes[0].lines}
        assert {"net", "genie", "argmax_abs", "line_matched_filter"} <= set(lines)
        bins = [value for name, value in measures.items() if name.startswith("peak_accuracy/snr_")]
        assert list(lines["net"].get_ydata()) == bins


def test_traces_without_any_pulse_are_measured_as_far_as_they_can_be(tiny):
    run = tiny("radio", "dataset.noise_only=1.0")
    examined = run.variant.examine(run.data().loader("test", 4))
    assert judge.measures(run.variant, examined, run.data()) == {}
    assert set(judge.figures(run.variant, examined)) == {"recovered", "spectra"}


@pytest.fixture
def doubtful(tiny):
    return tiny("radio", "latent=gaussian", "dataset.traces=200", "dataset.split=[0.2,0.4,0.4]")


def test_a_probabilistic_denoiser_has_a_band_that_holds_and_a_baseline_beside_it(doubtful):
    variant, data = doubtful.variant, doubtful.data()
    examined = variant.examine(data.loader("test", 80))
    measures = judge.measures(variant, examined, data)
    assert measures["band_coverage"] == pytest.approx(0.9, abs=0.04)
    assert measures["baseline/constant_band_coverage"] == pytest.approx(0.9, abs=0.04)
    assert {"band_width", "band_coverage_pulse", "band_coverage_recovered", "peak_accuracy_certain_half"} <= set(
        measures
    )
    lower, upper = (variant.codec.decode(end, examined.level) for end in variant.band(examined))
    clean = variant.codec.decode(examined.target, examined.level)
    assert ((lower <= clean) & (clean <= upper)).double().mean().item() == pytest.approx(measures["band_coverage"])
    assert (upper - lower).double().mean().item() == pytest.approx(measures["band_width"])
    assert judge.figures(variant, examined)["recovered"].axes[0].collections


def test_doubt_is_the_spread_of_decoded_draws_the_same_each_time(doubtful):
    variant, x = doubtful.variant, doubtful.data().batch("test", 40).x
    own = variant.decode(variant.posterior(x).mean.detach())
    spread, score = variant.doubt(x, own)
    assert spread.shape == x.shape and score.shape == (40,) and (spread > 0).all()
    again, _ = variant.doubt(x, own)
    assert torch.equal(spread, again)
    state = torch.get_rng_state()
    for out in variant.encoder.out:
        out.bias.data[len(out.bias) // 2 :] -= 8  # the log variances
    narrower, surer = variant.doubt(x, own)
    assert (narrower < 0.1 * spread).double().mean() > 0.9 and surer.mean() > score.mean()
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("noise", ["uniform", "cosine"])
def test_each_noise_has_an_experiment_of_its_own(tiny, noise):
    own, same = tiny(f"radio_{noise}"), tiny("radio", f"dataset.noise={noise}")
    assert own.config.dataset == same.config.dataset
    assert torch.equal(own.data().items.raw, same.data().items.raw)


def test_signals_of_ones_own_are_measured_as_signals_not_as_pulses(tiny, tmp_path):
    rows = torch.sin(torch.rand(40, 1) * 6 + torch.arange(64) / 5)
    np.save(tmp_path / "clean.npy", rows.numpy())
    run = tiny("denoise", f"dataset.file={tmp_path}/clean.npy", "dataset.snr_db=6", "latent=gaussian")
    variant, data = run.variant, run.data()
    assert variant.kind.prefix == "trace" and variant.peak_weight == 0
    examined = variant.examine(data.loader("test", 4))
    measures = judge.measures(variant, examined._replace(reconstruction=examined.target), data)
    assert measures["output_snr_db"] > 60 and not any("peak" in name or "/snr" in name for name in measures)
    assert measures["baseline/noisy_output_snr_db"] == pytest.approx(6, abs=1.5)
    assert {"baseline/wiener_output_snr_db", "baseline/local_wiener_output_snr_db", "band_coverage"} <= set(measures)
    assert set(judge.figures(variant, examined)) == {"recovered", "spectra"}


def test_radio_measures_are_named_after_radio(radio):
    assert radio.variant.kind.prefix == "radio"


def test_filters_are_fitted_and_doubt_is_calibrated_on_draws_from_all_of_their_split(tiny, fifths, monkeypatch):
    from vaelab.kind import traces
    from vaelab.metrics import radio
    from vaelab.variant import denoiser

    run = tiny("radio", "latent=gaussian", "dataset.samples=256", "dataset.traces=200", "dataset.split=[0.4,0.3,0.3]")
    variant, data = run.variant, run.data()
    monkeypatch.setattr(traces, "TRAINING_TRACES", 30)
    monkeypatch.setattr(denoiser, "DOUBTED", 30)
    known, fit = [], radio.fit_filters
    monkeypatch.setattr(radio, "fit_filters", lambda *given: known.append(given[:2]) or fit(*given))
    examined = variant.examine(data.loader("test", 30))
    fifths(data, "test")
    judge.measures(variant, examined, data)
    assert fifths(data, "val") == (30, 5)
    noisy, clean = known[0]
    rows = [torch.nonzero((data.items.raw == trace).flatten(1).all(1)).item() for trace in noisy]
    assert torch.equal(data.items.clean[rows], clean) and set(rows) <= set(data.index["train"].tolist())
    assert len(set((5 * data.numbers("train", torch.tensor(rows)) // len(data.index["train"])).tolist())) == 5


def test_the_truth_is_that_of_the_examined_traces(tiny, monkeypatch):
    from vaelab.metrics import radio

    run = tiny("radio", "dataset.samples=256", "dataset.traces=100", "dataset.noise_only=0.4")
    told, measure = [], radio.radio_measures
    monkeypatch.setattr(radio, "radio_measures", lambda *given: told.append(given) or measure(*given))
    judge.measures(run.variant, run.variant.examine(run.data().loader("test", 10)), run.data())
    _, clean, _, _, is_pulse, _ = told[0]
    assert torch.equal(is_pulse, clean.flatten(1).any(1)) and 0 < is_pulse.sum() < 10
