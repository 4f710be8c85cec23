import csv
import json
from types import SimpleNamespace

import pytest
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import RunMode
from omegaconf import OmegaConf

import vaelab.figures.sweep
from vaelab.errors import DivergedError, UserError
from vaelab.report.sweep import SweepTable


def job(folder, overrides, **records):
    folder.mkdir(parents=True)
    (folder / "provenance.json").write_text(json.dumps({"overrides": overrides}))
    for name, content in records.items():
        (folder / f"{name}.json").write_text(json.dumps(content))


def gathered(folder, table=None):
    config = OmegaConf.create({"hydra": {"sweep": {"dir": str(folder)}}, "report": {"figures": None}})
    (table or SweepTable()).on_multirun_end(config)
    return list(csv.DictReader((folder / "sweep.csv").read_text(encoding="utf-8").splitlines()))


@pytest.mark.parametrize("reason", ["a class [/old] is closed", "[red]", "[b", ":smile:", "two [/a] [/b]"])
def test_a_reason_is_shown_as_it_is_whatever_stands_in_brackets(tmp_path, capsys, reason):
    job(tmp_path / "0", ["dataset.root=[/x]", "seed=0"], metrics={"test/elbo": 1.5, "other": None})
    job(tmp_path / "1", ["dataset.root=[b]", "seed=0"], failed={"error": reason, "overrides": []})
    rows = gathered(tmp_path)
    told = capsys.readouterr().out
    assert reason in told and "[/x]" in told and "[b]" in told
    assert [(row["dataset.root"], row["test/elbo"], row["failed"]) for row in rows] == [
        ("[/x]", "1.5", ""),
        ("[b]", "", reason),
    ]


def test_jobs_stand_in_the_order_of_their_numbers_and_what_lies_in_one_is_no_job(tmp_path):
    for name in ("b/10", "b/9", "a", "2", "b/9/samples/7"):
        job(tmp_path / name, [f"seed={name}"], metrics={"x": 1})
    (tmp_path / "notes").mkdir()
    assert [row["job"] for row in gathered(tmp_path)] == ["2", "a", "b/9", "b/10"]


def test_a_job_that_left_nothing_yet_is_cut_off(tmp_path):
    table = SweepTable()
    for name in ("0", "deep/1"):
        (tmp_path / name).mkdir(parents=True)
        runtime = {"output_dir": str(tmp_path / name)}
        table.on_job_start(SimpleNamespace(hydra=OmegaConf.create({"mode": RunMode.MULTIRUN, "runtime": runtime})))
    job(tmp_path / "1", ["seed=1"], metrics={"x": 1})
    table.started = [*table.started, tmp_path / "gone"]
    rows = gathered(tmp_path, table)
    assert {row["job"]: row["failed"] for row in rows} == {"0": "cut off", "1": "", "deep/1": "cut off"}


@pytest.mark.parametrize("damage", ["", "{", "[]", "null"])
def test_a_damaged_record_does_not_lose_the_table(tmp_path, damage):
    job(tmp_path / "0", ["seed=0"], metrics={"x": 1})
    job(tmp_path / "1", ["seed=1"], metrics={"x": 2}, failed={})
    for name in ("metrics", "failed", "provenance"):
        (tmp_path / "1" / f"{name}.json").write_text(damage)
    assert [(row["x"], row["failed"]) for row in gathered(tmp_path)] == [("1", ""), ("", "cut off")]


def swept(folder, measures, **more):
    """A finished job for every method and seed."""
    for method, of_seeds in measures.items():
        for seed, values in enumerate(of_seeds):
            job(folder / f"{method}{seed}", [f"variant={method}", f"seed={seed}"], metrics={**values, **more})


def told_of(folder, capsys, figures=None, rank=None, **trainer):
    report = {"figures": figures, "rank": rank}
    config = {"hydra": {"sweep": {"dir": str(folder)}}, "report": report, "trainer": trainer}
    SweepTable().on_multirun_end(OmegaConf.create(config))
    return capsys.readouterr().out


def test_seeds_are_one_row_of_the_table_and_one_row_each_of_the_file(tmp_path, capsys):
    swept(tmp_path, {"a": [{"test/x": 1.0}, {"test/x": 3.0}], "b": [{"test/x": 0.5}, {"test/x": 0.5}]})
    told = told_of(tmp_path, capsys, rank="test/x")
    assert "2.0 ± 1.4" in told and "0.5 ± 0" in told and "best first by test/x" in told
    rows = csv.DictReader((tmp_path / "sweep.csv").read_text(encoding="utf-8").splitlines())
    assert [row["job"] for row in rows] == ["a0", "a1", "b0", "b1"]
    assert "| **a** | **2.0 ± 1.4** | **2** |" in (tmp_path / "sweep.md").read_text(encoding="utf-8")


def test_runs_that_diverged_are_counted_apart_from_those_that_failed(tmp_path, capsys):
    swept(tmp_path, {"a": [{"test/x": 1.0}]})
    for seed, diverged in enumerate([True, False, None]):
        note = {} if diverged is None else {"error": "why [/b]", "diverged": diverged}
        job(tmp_path / f"b{seed}", ["variant=b", f"seed={seed}"], failed=note)
    told = told_of(tmp_path, capsys)
    row = next(line for line in told.splitlines() if line.strip().startswith("b "))
    assert [cell.strip() for cell in row.split("│")][2:] == ["3", "1", "1", "1"]
    for line in ("failed        b1: why [/b]", "diverged      b0: why [/b]", "cut off       b2\n"):
        assert line in told


@pytest.mark.parametrize(
    ("error", "diverged"), [(DivergedError("train/loss became nan"), True), (UserError("no such file"), False)]
)
def test_a_job_that_failed_says_whether_it_diverged(tmp_path, error, diverged):
    words = {"mode": RunMode.MULTIRUN, "runtime": {"output_dir": str(tmp_path)}, "job": {"config_name": "train"}}
    ended = JobReturn(overrides=["seed=1"], status=JobStatus.FAILED, _return_value=error)
    SweepTable().on_job_end(SimpleNamespace(hydra=OmegaConf.create(words)), ended)
    note = json.loads((tmp_path / "failed.json").read_text())
    assert note == {"error": str(error), "diverged": diverged, "overrides": ["seed=1"]}


def test_a_rank_that_no_job_has_loses_nothing_and_is_told_with_the_nearest_names(tmp_path, capsys):
    swept(tmp_path, {"a": [{"test/elbo": 1.0}, {"test/elbo": 3.0}]})
    told = told_of(tmp_path, capsys, rank="test/elbow")
    assert "2.0 ± 1.4" in told and (tmp_path / "sweep.csv").is_file()
    assert told.count("report.rank=test/elbow is no measure of these jobs: did you mean test/elbo?\n") == 1


@pytest.mark.parametrize(
    ("own", "shared"), [("+trainer.max_time=00:00:00:05", {}), ("x=1", {"max_time": "00:00:00:05"})]
)
def test_a_time_that_jobs_were_trained_for_is_told_above_the_table(tmp_path, capsys, own, shared):
    for k in range(2):
        measured = {"test/x": 1.0, "fit_seconds": 5.0, "steps_per_second": 10.0 + k}
        job(tmp_path / str(k), [f"seed={k}", own], metrics=measured)
    first = told_of(tmp_path, capsys, **shared).splitlines()[0]
    assert first == "budget: trainer.max_time=00:00:00:05 for each job; 50 to 55 steps"


PLANE = {"sample/density": 0.5, "sample/coverage": 0.5, "fit_seconds": 3.0}


@pytest.mark.parametrize(
    ("methods", "more", "rank", "figures", "drawn"),
    [
        ("ab", {}, None, None, "ranked_groups"),
        ("ab", PLANE, None, None, "quality_over_diversity"),
        ("ab", {}, None, False, None),
        ("a", {}, None, None, None),
    ],
)
def test_groups_are_drawn_where_there_are_several(tmp_path, capsys, monkeypatch, methods, more, rank, figures, drawn):
    called = []
    for name in ("ranked_groups", "quality_over_diversity"):
        draw = getattr(vaelab.figures.sweep, name)
        monkeypatch.setattr(
            vaelab.figures.sweep, name, lambda *a, draw=draw, name=name: called.append(name) or draw(*a)
        )
    swept(tmp_path, {method: [{"test/x": 1.0}, {"test/x": 3.0}] for method in methods}, **more)
    told = told_of(tmp_path, capsys, figures=figures, rank=rank)
    assert called == ([drawn] if drawn else [])
    assert (tmp_path / "sweep.png").is_file() == ("sweep.png" in told) == bool(drawn)


def test_a_table_is_no_wider_than_the_terminal_and_keeps_the_measure_that_ranks(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    measures = {f"test/a_measure_of_some_name_{k}": 1.0 for k in range(4)}
    swept(tmp_path, {"a": [measures, measures], "b": [measures, measures]}, fit_seconds=1.0)
    told = told_of(tmp_path, capsys, rank="test/a_measure_of_some_name_3").splitlines()
    table = [line for line in told if "┃" in line or "│" in line]
    assert max(map(len, table)) <= 60 and "a_measure_of_some_name_3 ↑" in table[1] and "runs" in table[1]


def test_what_is_no_number_or_too_large_for_one_spoils_no_mean(tmp_path, capsys):
    swept(tmp_path, {"a": [{"test/x": 1.0, "test/y": 1e308}, {"test/x": 3.0, "test/y": None}]})
    assert "2.0 ± 1.4" in told_of(tmp_path, capsys)


def test_a_sweep_of_which_nothing_came_tells_why(tmp_path, capsys):
    for seed in range(2):
        job(tmp_path / str(seed), [f"seed={seed}"], failed={"error": "no room"})
    told = told_of(tmp_path, capsys, rank="test/x")
    assert "failed        0, 1: no room" in told and "report.rank" not in told
    assert [row["failed"] for row in gathered(tmp_path)] == ["no room"] * 2
