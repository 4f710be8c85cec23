import pytest
from omegaconf import OmegaConf

from vaelab.errors import UserError
from vaelab.trainer.make import choose_monitor, trainer_settings


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


def test_lightning_is_told_what_trainer_and_accelerator_say_but_for_what_is_vaelabs(configure):
    settings = trainer_settings(configure("sine", "trainer.max_epochs=7", "+trainer.min_epochs=2"))
    assert settings["max_epochs"] == 7 and settings["min_epochs"] == 2 and settings["accelerator"] == "cpu"
    assert "tf32" not in settings and "compile" not in settings and settings["enable_progress_bar"] is False
    with pytest.raises(UserError, match=r"^there is no setting accelerator\.devicez: did you mean devices\?$"):
        trainer_settings(configure("sine", "+accelerator.devicez=2"))
