from types import SimpleNamespace

import pytest
import torch
from omegaconf import OmegaConf
from torch.utils.tensorboard import SummaryWriter

from vaelab.report import finale
from vaelab.report.finale import add_settings, final_report, settings_of
from vaelab.variant.base import WIDEST_CODE


@pytest.mark.parametrize(("dimensions", "named"), [(3, 3), (WIDEST_CODE, WIDEST_CODE), (WIDEST_CODE + 1, 0)])
def test_each_dimension_has_its_kl_in_the_file_unless_there_are_too_many(tiny, dimensions, named):
    variant = tiny("digits").variant
    variant.kl = torch.arange(dimensions) / 4
    found = variant.listed()
    assert len(found) == named
    assert not named or found["kl_of_dimension/2"] == 0.5


def test_a_plain_autoencoder_has_no_kl_in_the_file(tiny):
    variant = tiny("radio").variant
    variant.kl = torch.zeros(3)
    assert not variant.latent.has_prior and variant.listed() == {}


def test_the_items_that_are_measured_are_drawn_from_all_of_the_test_split(tiny, tmp_path, fifths, monkeypatch):
    run = tiny("digits", "dataset.split=[0.6,0.1,0.3]", "report.test_items=50", "report.figures=false")
    measured = []
    monkeypatch.setattr(finale, "measures", lambda method, seen, data: measured.append(seen) or {})
    monkeypatch.setattr(finale, "distance_measures", lambda method, data: {})
    run.variant.kl = torch.zeros(3)
    chosen = SimpleNamespace(best=None, monitor=("val/objective", "max"))
    trainer = SimpleNamespace(checkpoint_callback=chosen, global_step=1, current_epoch=1, logger=None, callbacks=[])
    final_report(trainer, run.variant, run.data(), tmp_path, run.config, finale.Tested({}, 1, 1), 1.0, swept=False)
    assert fifths(run.data(), "test") == (50, 5) and len(measured[0].item) == 50


@pytest.mark.parametrize(("seconds", "fitted"), [(finale.LONG, True), (finale.LONG - 1, False)])
def test_a_long_training_ends_with_a_flow_that_is_kept_and_measured(tiny, tmp_path, monkeypatch, seconds, fitted):
    monkeypatch.setattr("vaelab.latent.flow.STEPS", 3)
    monkeypatch.setattr(finale, "measures", lambda *_: {})
    monkeypatch.setattr(finale, "distance_measures", lambda *_: {})
    run = tiny("digits", "report.figures=true")
    monkeypatch.setattr(finale, "final_figures", lambda *_: {})
    monkeypatch.setattr(finale, "History", SimpleNamespace)
    run.variant.kl = torch.zeros(3)
    (tmp_path / "checkpoints").mkdir()
    chosen, history = SimpleNamespace(best=None, monitor=("val/objective", "max")), SimpleNamespace(curves={})
    trainer = SimpleNamespace(
        checkpoint_callback=chosen, global_step=1, current_epoch=1, logger=None, callbacks=[history]
    )
    tested = finale.Tested({}, 1, 1)
    found = final_report(trainer, run.variant, run.data(), tmp_path, run.config, tested, seconds, swept=False)
    assert ("sample/flow_energy_distance" in found) == fitted
    assert (tmp_path / "checkpoints" / "best_flow.pt").is_file() == fitted
    assert (tmp_path / "figures" / "flow_samples.png").is_file() == fitted


def test_too_few_items_for_a_flow_do_not_end_the_report(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("vaelab.latent.flow.FEWEST", 10**6)
    run = tiny("digits")
    assert finale.learnt_prior(run.variant, run.data(), tmp_path / "checkpoints" / "best.ckpt") is None
    assert "learns from at least" in capsys.readouterr().out


def test_settings_are_values_of_what_is_made_and_the_words_that_chose_entries():
    config = OmegaConf.create(
        {
            "latent": {"_target_": "vaelab.latent.gaussian.GaussianLatent", "dim": 4},
            "architecture": {"widths": [8, 4], "own": None},
            "accelerator": {"accelerator": "auto", "precision": None},
            "report": {"figures": None},
            "optimizer": {"_target_": "somewhere", "_partial_": True, "fused": True},
            "seed": 3,
            "resume": None,
            "threads": 1,
        }
    )
    found = settings_of(config, ["experiment=digits", "latent=gaussian", "latent.dim=4", "+accelerator.precision=bf16"])
    assert found == {
        "experiment": "digits",
        "latent": "gaussian",
        "accelerator.precision": "bf16",
        "latent.dim": 4,
        "architecture.widths": "[8, 4]",
        "optimizer.fused": "True",
        "seed": 3,
    }


def page(folder):
    """TensorBoard's own HPARAMS page of the runs below a folder: its settings, its metrics, its rows."""
    from tensorboard import context
    from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
    from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
    from tensorboard.plugins.base_plugin import TBContext
    from tensorboard.plugins.hparams import api_pb2, list_session_groups
    from tensorboard.plugins.hparams.backend_context import Context

    runs = EventMultiplexer()
    runs.AddRunsFromDirectory(str(folder))
    runs.Reload()
    asked, shown = context.RequestContext(), Context(TBContext(data_provider=MultiplexerDataProvider(runs, folder)))
    experiment = shown.experiment_from_metadata(asked, "", True, shown.hparams_metadata(asked, ""), [])
    request = api_pb2.ListSessionGroupsRequest(slice_size=100, allowed_statuses=[api_pb2.STATUS_SUCCESS])
    rows = list_session_groups.Handler(asked, shown, "", request).run().session_groups
    return (
        [(info.name, info.differs) for info in experiment.hparam_infos],
        {info.name.tag for info in experiment.metric_infos},
        [
            (
                {key: value.string_value or value.number_value for key, value in row.hparams.items()},
                {metric.name.tag: metric.value for metric in row.metric_values},
            )
            for row in rows
        ],
    )


def test_the_page_of_settings_has_a_row_a_run_the_settings_that_differ_first_and_no_scalar_of_its_own(tmp_path):
    for name, settings, elbo in (("a", {"seed": 1, "latent.dim": 2}, 3.5), ("b", {"seed": 1, "latent": "point"}, 4.5)):
        with SummaryWriter(tmp_path / name) as writer:
            for step in (10, 20):
                writer.add_scalar("test/elbo", elbo + step - 20, step)
            add_settings(writer, settings | {"beta": elbo}, step=20)
    settings, metrics, rows = page(tmp_path)
    assert settings[0] == ("beta", True) and {name for name, _ in settings} == {"beta", "seed", "latent.dim", "latent"}
    assert metrics == {"test/elbo"}
    assert sorted((row["beta"], measured["test/elbo"]) for row, measured in rows) == [(3.5, 3.5), (4.5, 4.5)]
