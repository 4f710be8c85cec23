import torch
from lightning.pytorch.callbacks import LambdaCallback, Timer

from vaelab.report.history import History
from vaelab.run.folder import Opened
from vaelab.trainer.fit import evaluate_best, fit
from vaelab.trainer.make import make_trainer


def test_the_best_weights_are_tested_and_the_whole_course_is_kept(tiny, tmp_path):
    run = tiny("sine", "trainer.max_epochs=3", "trainer.log_every_n_steps=1")
    variant, data, opened = run.variant.train(), run.data(), Opened(tmp_path, run.config, None)
    variant.monitor = ("worse", "max")
    trainer = make_trainer(opened, data, variant)

    def worse_each_time(trainer, module):
        trainer.callback_metrics["worse"] = torch.tensor(-float(trainer.current_epoch))

    trainer.callbacks.insert(0, LambdaCallback(on_validation_end=worse_each_time))
    fit(trainer, variant, data, opened)
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
