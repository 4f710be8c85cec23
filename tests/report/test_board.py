from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from vaelab.figures.style import figure, png
from vaelab.report import board, judge
from vaelab.report.board import Board, Budget, Scalars, add_measures, add_picture, forget_after


def scalars(folder):
    """The curves on the board in a folder: name → [(step, value), …]."""
    written = EventAccumulator(str(folder))
    written.Reload()
    return {tag: [(e.step, e.value) for e in written.Scalars(tag)] for tag in written.Tags()["scalars"]}


def test_the_picture_on_the_board_is_the_file_itself(tmp_path):
    file = png(figure(width=2.0, height=1.0)[0])
    with SummaryWriter(tmp_path) as writer:
        add_picture(writer, "test/nothing", file, 7)
    written = EventAccumulator(str(tmp_path))
    written.Reload()
    (found,) = written.Images("test/nothing")
    assert (found.step, found.width, found.height) == (7, 300, 150)
    assert found.encoded_image_string == file


def test_pictures_take_two_hundredths_of_a_training_and_a_short_one_has_none(tiny, tmp_path, monkeypatch):
    clock, drawn = [100.0], []

    def drawing(*_):
        drawn.append(clock[0])
        clock[0] += 3.0
        return {}

    monkeypatch.setattr(board.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(board, "all_figures", drawing)
    run = tiny("sine")
    run.variant.kl = torch.zeros(1)
    monkeypatch.setattr(Board, "MEASURING", 0.0)
    pictures = Board(run.data(), every_epochs=None)
    trainer = SimpleNamespace(is_global_zero=True, global_step=1, current_epoch=0)
    trainer.logger = TensorBoardLogger(tmp_path)
    clock[0] = 1000.0
    pictures.on_train_start(trainer, run.variant)
    spent_at = {}
    for _ in range(2000):
        clock[0] += 1.0
        pictures.on_validation_end(trainer, run.variant)
        spent_at[clock[0] - 1000] = 3.0 * len(drawn)
    assert drawn[0] - 1000 == 50  # the first are thought to take one second
    assert len(drawn) > 10 and all(spent <= 0.02 * at for at, spent in spent_at.items() if at > 200)
    trainer.logger.experiment.close()


def test_while_training_the_same_draw_from_all_of_the_validation_split_is_shown_each_time(
    tiny, tmp_path, fifths, monkeypatch
):
    run, shown = tiny("digits", "dataset.split=[0.6,0.3,0.1]"), []
    monkeypatch.setattr(board, "all_figures", lambda method, seen: shown.append(seen) or {})
    pictures = Board(run.data(), every_epochs=1)
    run.variant.kl = torch.zeros(3)
    trainer = SimpleNamespace(is_global_zero=True, global_step=1, current_epoch=0, logger=TensorBoardLogger(tmp_path))
    for _ in range(2):
        pictures.on_validation_end(trainer, run.variant)
        assert fifths(run.data(), "val") == (64, 5)
    assert torch.equal(shown[0].item, shown[1].item)
    # The figures show the first few of them.
    assert len(shown[0].head(10).label.unique()) > 4
    trainer.logger.experiment.close()


def test_what_is_dear_comes_seldom_and_what_is_cheap_often(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(board.time, "monotonic", lambda: clock[0])

    def done(cost):
        budget, times = Budget(0.01, first=0.1), []
        budget.begin()
        start = clock[0]
        for _ in range(1000):
            clock[0] += 1.0
            if budget.allows():
                with budget.spending():
                    clock[0] += cost
                times.append(clock[0] - start)
        return times

    cheap, dear = done(0.001), done(1.0)
    assert cheap[0] >= 10 and len(cheap) > 900  # of the first it is thought that it takes a tenth of a second
    assert len(dear) < 11 and all(n <= 0.01 * at + 1 for n, at in enumerate(dear))


def test_the_kinds_own_measures_are_on_the_board_while_they_cost_nothing(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(Board, "MEASURING", 1e9)
    for experiment, names in (
        ("sine", {"val/explained_variance", "val/rmse"}),
        ("digits", {"val/psnr_db"}),
        ("audio", {"val/log_spectral_distance_db", "val/spectral_convergence"}),
        ("radio", {"val/output_snr_db", "val/gain_db", "val/spectral_agreement"}),
    ):
        run = tiny(experiment)
        run.variant.kl = torch.zeros(1)
        trainer = SimpleNamespace(is_global_zero=True, global_step=7, current_epoch=0)
        trainer.logger = TensorBoardLogger(tmp_path, name="", version=experiment)
        Board(run.data(), every_epochs=None, figures=False).on_validation_end(trainer, run.variant)
        trainer.logger.experiment.close()
        found = scalars(tmp_path / experiment)
        assert set(found) == names and all([step for step, _ in curve] == [7] for curve in found.values())


def test_of_channels_it_is_how_near_those_from_the_prior_are(tiny, tmp_path):
    run = tiny("channel")
    found = judge.quick_measures(run.variant, run.variant.examine(run.data().loader("val", 6)), run.data())
    assert "delay_spread_ks" in found


def test_quick_measures_are_those_of_the_end(tiny):
    for experiment in ("sine", "digits", "audio", "radio"):
        run = tiny(experiment)
        examined = run.variant.examine(run.data().loader("test", 100))
        quick, whole = (of(run.variant, examined, run.data()) for of in (judge.quick_measures, judge.measures))
        same = set(quick) & set(whole)
        assert same
        assert {name: quick[name] for name in same} == pytest.approx({name: whole[name] for name in same}, rel=1e-5)


def test_what_is_no_number_does_not_come_onto_the_board(tmp_path):
    with SummaryWriter(tmp_path) as writer:
        add_measures(writer, {"a": 1.5, "b": float("nan"), "c": float("inf")}, 3)
    assert scalars(tmp_path) == {"a": [(3, 1.5)]}


def test_lightnings_count_of_epochs_is_no_curve(tmp_path):
    logger = Scalars(tmp_path, name="", version="board")
    logger.log_metrics({"val/elbo": 1.0, "epoch": 0}, step=4)
    logger.experiment.close()
    assert scalars(tmp_path / "board") == {"val/elbo": [(4, 1.0)]}


def test_what_a_killed_run_wrote_of_steps_that_are_taken_again_is_forgotten(tmp_path):
    with SummaryWriter(tmp_path) as writer:
        for first, last in ((1, 6), (4, 9), (3, 5)):
            forget_after(writer, first - 1)
            for step in range(first, last + 1):
                writer.add_scalar("val/elbo", 10 * first + step, step)
            writer.flush()
            assert [step for step, _ in scalars(tmp_path)["val/elbo"]] == list(range(1, last + 1))
    assert scalars(tmp_path)["val/elbo"] == [(1, 11), (2, 12), (3, 33), (4, 34), (5, 35)]


def test_what_was_written_before_sessions_were_told_apart_is_forgotten_too(tmp_path):
    with SummaryWriter(tmp_path) as writer:
        for step in (1, 2, 3):
            writer.add_scalar("val/elbo", 0.0, step)
        forget_after(writer, 1)
        writer.add_scalar("val/elbo", 1.0, 2)
    assert scalars(tmp_path)["val/elbo"] == [(1, 0.0), (2, 1.0)]


@pytest.mark.parametrize(
    ("words", "drawn"),
    [(["latent=gaussian", "latent.dim=2"], True), (["latent=gaussian", "latent.dim=3"], False), ([], False)],
    ids=["plane", "space", "circle"],
)
def test_codes_of_a_plane_stand_against_their_prior_at_the_end_and_those_of_a_circle_do_not(tiny, words, drawn):
    run = tiny("sine", *words)
    run.variant.kl = torch.zeros(run.variant.latent.dims)
    seen = judge.look(run.variant, run.data().loader("test"))
    figures = board.final_figures(run.variant, seen, {}, 1, 1)
    assert "latent" in figures and ("latent_histograms" in figures) == drawn
