import torch

from vaelab.metrics import audio
from vaelab.report import judge


def test_the_ceiling_is_that_of_the_examined_sounds(tiny, monkeypatch):
    run = tiny("audio", "dataset.clips=20", "dataset.split=[0.4,0.2,0.4]")
    heard, ceiling = [], audio.griffin_lim_ceiling
    monkeypatch.setattr(audio, "griffin_lim_ceiling", lambda waves, *rest: heard.append(waves) or ceiling(waves, *rest))
    data = run.data()
    examined = run.variant.examine(data.loader("test", 6))
    judge.measures(run.variant, examined, data)
    assert torch.equal(heard[0], data.items.raw[data.drawn("test", 6)])


def test_linear_codes_stand_beside_pca_and_the_mean(tiny):
    run = tiny("audio", "dataset.clips=20", "dataset.split=[0.6,0.1,0.3]", "dataset.shift=0.1", "latent.dim=8")
    examined = run.variant.examine(run.data().loader("test", 20))
    found = judge.measures(run.variant, examined, run.data())
    names = [f"baseline/{code}_log_spectral_distance_db" for code in ("linear", "pca", "mean")]
    assert found[names[0]] < 1.2 * found[names[1]] and found[names[0]] < found[names[2]]
