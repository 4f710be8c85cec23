import math

import pytest
import torch

from vaelab.kind.base import Codes
from vaelab.report import judge


@pytest.fixture
def examined(tiny):
    run = tiny("digits")
    return run.variant, run.variant.examine(run.data().loader("test", 60)), run.data()


def test_perfect_pictures_score_best_beside_pca_and_the_mean(examined):
    variant, found, data = examined
    measures = judge.measures(variant, found._replace(reconstruction=found.x), data)
    assert measures["psnr_db"] == pytest.approx(100) and measures["ssim"] == pytest.approx(1)
    assert measures["sharpness_ratio"] == pytest.approx(1)
    assert measures["psnr_db"] > measures["baseline/pca_psnr_db"] > measures["baseline/mean_psnr_db"] > 5


def test_pca_has_as_many_components_as_the_code_has_numbers(tiny):
    scores = []
    for dim in (2, 16):
        run = tiny("digits", f"latent.dim={dim}")
        found = run.variant.examine(run.data().loader("test", 60))
        scores.append(judge.measures(run.variant, found, run.data())["baseline/pca_psnr_db"])
    assert scores[1] > scores[0] + 2


def test_linear_codes_of_augmented_pictures_stand_beside_pca(tiny):
    run = tiny("digits", "+dataset.crop=1", "latent.dim=12")
    found = run.variant.examine(run.data().loader("test", 60))
    measures = judge.measures(run.variant, found, run.data())
    linear = {name: measures[f"baseline/{name}_psnr_db"] for name in ("pca", "linear", "dct")}
    # The pictures that are judged do not move, and PCA knows where they lie; frequencies know nothing of them.
    assert linear["pca"] > linear["linear"] > linear["dct"] > measures["baseline/mean_psnr_db"]
    still = tiny("digits", "latent.dim=12")
    again = judge.measures(still.variant, still.variant.examine(still.data().loader("test", 60)), still.data())
    assert again["baseline/linear_psnr_db"] == pytest.approx(again["baseline/pca_psnr_db"], abs=0.2)


def test_the_baselines_never_see_the_pictures_that_they_are_held_against(examined, tiny):
    variant, found, data = examined
    spoilt = tiny("digits").data()
    with torch.no_grad():
        spoilt.items.raw[spoilt.index["test"]] = 255
    assert judge.measures(variant, found, spoilt) == judge.measures(variant, found, data)


def test_models_that_share_their_data_share_baselines_but_not_those_of_another_code(examined, tiny, monkeypatch):
    from vaelab.metrics import picture

    variant, found, data = examined
    fits, fit = [], picture.pca_reconstruction
    monkeypatch.setattr(picture, "pca_reconstruction", lambda *given: fits.append(given[2]) or fit(*given))
    first = judge.measures(variant, found, data)
    better = judge.measures(variant, found._replace(reconstruction=found.x), data)
    assert fits == [3] and better["psnr_db"] > first["psnr_db"] + 20
    assert {k: v for k, v in better.items() if "/" in k} == {k: v for k, v in first.items() if "/" in k}
    other = tiny("digits", "latent.dim=9").variant
    wider = judge.measures(other, other.examine(data.loader("test", 60)), data)
    assert fits == [3, 9] and wider["baseline/pca_psnr_db"] > first["baseline/pca_psnr_db"] + 1
    judge.measures(variant, found.head(40), data)
    judge.measures(variant, found, tiny("digits").data())
    assert fits == [3, 9, 3, 3]


def test_an_untrained_models_measures_are_finite_and_its_figures_drawn(examined):
    import matplotlib.pyplot as plt

    variant, found, data = examined
    assert all(math.isfinite(value) for value in judge.measures(variant, found, data).values())
    decoded = variant.decode(variant.latent.prior_sample(6))
    figures = [
        *judge.figures(variant, found.head(4)).values(),
        variant.kind.sample_figure(decoded),
        variant.kind.path_figure(decoded),
    ]
    assert all(figure.axes for figure in figures) and plt.get_fignums() == []


def test_a_trained_step_on_pictures_lowers_the_loss(tiny, trainer_of):
    run = tiny("digits", "optimizer.warmup_steps=1")
    data, variant = run.data(), run.variant.train()
    before = trainer_of().validate(variant, datamodule=data, verbose=False)[0]["val/elbo"]
    trainer_of(max_epochs=2).fit(variant, datamodule=data)
    assert trainer_of().validate(variant, datamodule=data, verbose=False)[0]["val/elbo"] > before + 1


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Small forests and few batches: what is measured here is far from any threshold."""
    from vaelab.metrics import disentanglement

    monkeypatch.setattr(disentanglement, "TREES", 5)
    monkeypatch.setattr(disentanglement, "POINTS", 40)


def measures_of(tiny, code):
    run = tiny("sprites")
    found = run.variant.examine(run.data().loader("test", 200))
    return judge.measures(run.variant, found._replace(code=code(run, found)), run.data())


def truth(run, found):
    return torch.stack(list(run.data().factors(found.item).values()), 1).float()


def noise(run, found):
    return torch.randn(len(found.x), 5, generator=torch.Generator().manual_seed(0))


def test_a_code_that_is_the_known_factors_is_told_from_one_that_is_noise(tiny):
    oracle, random = measures_of(tiny, truth), measures_of(tiny, noise)
    assert oracle["mig"] > 0.9 and oracle["dci_disentanglement"] > 0.6
    assert random["mig"] < 0.1 and random["dci_disentanglement"] < 0.2
    assert oracle["baseline/pca_mig"] == random["baseline/pca_mig"] < 0.5


def test_factors_are_those_of_the_tested_items_in_their_order(tiny):
    assert measures_of(tiny, lambda run, found: truth(run, found).flip(0))["mig"] < 0.1


def test_where_nothing_is_known_or_too_few_items_tell_it_nothing_is_said_of_factors(tiny, examined):
    variant, found, data = examined
    assert "mig" not in judge.measures(variant, found, data)
    run = tiny("sprites")
    few = run.variant.examine(run.data().loader("test", 100))
    assert "mig" not in judge.measures(run.variant, few, run.data())


def quantities(tiny, code):
    run = tiny("bottles")
    found = run.variant.examine(run.data().loader("test"))
    train = run.data().loader("train").joined()
    rows = {"test": found.item, "train": train.item}
    codes = {split: code(run.data().factors(item)) for split, item in rows.items()}
    told = run.variant.kind.code_measures(
        Codes(codes["test"], found.item), lambda: Codes(codes["train"], train.item), run.data()
    )
    return {name: value for name, value in told.items() if "r2_" in name}


def test_quantities_that_are_the_code_are_told_from_it_and_others_are_not(tiny):
    names = ("height", "width")
    found = quantities(tiny, lambda known: torch.stack([known[name] for name in names], 1))
    assert min(found["r2_height"], found["r2_width"]) > 0.8 > 0.3 > found["r2_waist"]
    assert found["baseline/pca_r2_height"] > 0.5 and len(found) == 2 * 11


def test_beside_it_stands_the_same_of_pca_whatever_the_code(tiny):
    first, other = (
        quantities(tiny, lambda known, name=name: torch.stack([known[name], known["foot"]], 1))
        for name in ("height", "lip")
    )
    assert {k: v for k, v in first.items() if "/" in k} == {k: v for k, v in other.items() if "/" in k}
    assert first["r2_height"] > other["r2_height"] + 0.5


def test_numbers_of_classes_are_no_quantities(tiny):
    run = tiny("sprites")
    found = run.variant.examine(run.data().loader("test", 200))
    assert not any("r2_" in name for name in judge.measures(run.variant, found, run.data()))
