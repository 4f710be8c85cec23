import gc

import torch
from lightning.pytorch.callbacks import LambdaCallback, Timer
from omegaconf import OmegaConf

from vaelab.report.history import History
from vaelab.train import choose_monitor, evaluate_best, fit, import_frameworks, make_trainer


def test_the_collector_works_on_but_no_longer_walks_through_what_was_imported():
    import_frameworks()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 100_000


def test_an_optimizer_does_not_look_for_the_drivers_library_in_every_step(monkeypatch):
    import_frameworks()
    asked = []
    monkeypatch.setattr(torch.cuda, "_device_count_nvml", lambda: asked.append("again") or 0)
    weight = torch.nn.Parameter(torch.ones(2))
    weight.grad = torch.ones(2)
    torch.optim.Adam([weight], fused=True).step()
    assert asked == []


def test_the_best_weights_are_tested_and_the_whole_course_is_kept(tiny, tmp_path):
    run = tiny("sine", "trainer.max_epochs=3", "trainer.log_every_n_steps=1")
    variant, data = run.variant.train(), run.data()
    variant.monitor = ("worse", "max")
    trainer = make_trainer(run.config, tmp_path, data, variant)

    def worse_each_time(trainer, module):
        trainer.callback_metrics["worse"] = torch.tensor(-float(trainer.current_epoch))

    trainer.callbacks.insert(0, LambdaCallback(on_validation_end=worse_each_time))
    fit(trainer, variant, data, tmp_path, None)
    timer, history = (next(c for c in trainer.callbacks if isinstance(c, kind)) for kind in (Timer, History))
    seconds, last = timer.time_elapsed("train"), variant.state_dict()["encoder.1.weight"].clone()
    tested = evaluate_best(trainer, variant, data, tmp_path)
    best = torch.load(tmp_path / "checkpoints/best.ckpt", weights_only=True)
    assert best["epoch"] == 0 and "test/elbo" in tested.means
    assert (tested.epoch, tested.step) == (1, best["global_step"])
    assert torch.equal(variant.state_dict()["encoder.1.weight"], best["state_dict"]["encoder.1.weight"])
    assert not torch.equal(variant.state_dict()["encoder.1.weight"], last)
    assert history.curves["val/elbo"][-1][0] == 3 * best["global_step"]
    assert timer.time_elapsed("train") == seconds


def test_a_run_begun_before_there_was_a_choice_goes_on_by_the_bound(tiny):
    for experiment, words, name in (
        ("sine", (), "val/elbo"),
        # Of a plain code the bound was the log-likelihood, which is all that its objective weighs.
        ("sine", ("latent=point", "latent.dim=2"), "val/objective"),
        ("radio", (), "val/error"),
    ):
        run = tiny(experiment, *words)
        assert choose_monitor(run.config, run.variant) == run.variant.monitor
        OmegaConf.set_struct(run.config, False)
        del run.config["monitor"]
        assert choose_monitor(run.config, run.variant)[0] == name


def test_what_is_asked_for_chooses(tiny):
    run = tiny("sine", "monitor=val/error")
    assert choose_monitor(run.config, run.variant) == ("val/error", "min")
