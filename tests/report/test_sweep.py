import csv
import json
from types import SimpleNamespace

import pytest
from hydra.types import RunMode
from omegaconf import OmegaConf

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
