"""The doors themselves: help at once, runs that repeat, sweeps, two processes, a training that fails."""

import csv
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from entries import names
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from vaelab.config import config_dir

HEAVY = "torch,lightning,matplotlib,sklearn,librosa,torchvision,numpy"
SPY = f"""
import sys
from vaelab.{{door}} import main
sys.argv = ["vaelab-{{door}}", *sys.argv[1:]]
try:
    main()
finally:
    print("HEAVY", sorted(set("{HEAVY}".split(",")) & set(sys.modules)))
"""


@pytest.mark.parametrize("door", ["train", "sample"])
@pytest.mark.parametrize("words", [["--help"], ["--cfg", "job"], ["--info", "config"]], ids=lambda words: words[0])
def test_help_answers_without_what_is_heavy(vaelab, tmp_path, door, words):
    done = vaelab.process("-c", SPY.format(door=door), *words, cwd=tmp_path)
    assert done.status == 0, done.err
    assert "HEAVY []" in done.out
    assert not list(tmp_path.iterdir())


def test_help_names_groups_experiments_and_three_examples(vaelab):
    told = vaelab.train("--help").out.splitlines()
    groups = sorted(folder.name for folder in config_dir().iterdir() if folder.is_dir())
    assert {f"{group}: {', '.join(names(group))}" for group in groups} <= set(told)
    assert sum(line.startswith("  vaelab-train") for line in told) == 3
    told = vaelab.sample("--help").out.splitlines()
    assert f"task: {', '.join(names('task'))}" in told
    assert sum(line.startswith("  vaelab-sample") for line in told) == 3


def test_a_mistake_is_told_without_what_is_heavy(vaelab, tmp_path):
    done = vaelab.process("-c", SPY.format(door="train"), "latent=gausian", cwd=tmp_path)
    assert done.status == 1
    assert "HEAVY []" in done.out


JOB = """
import atexit, sys
from vaelab.cli import program
from vaelab.errors import Interrupted, UserError

class Large:
    def __del__(self):
        print("taken apart")

kept = Large()

def job(config):
    atexit.register(print, "closed")
    print("said", end=" ")
    {}

program(job, "train")
"""


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("pass", 0),
        ("raise UserError('wrong')", 1),
        ("raise ZeroDivisionError", 1),
        ("raise Interrupted('stopped', 143)", 143),
        ("raise KeyboardInterrupt", 130),
        ("sys.exit(7)", 7),
        ("sys.exit('in words')", 1),
    ],
)
def test_a_process_closes_what_is_open_keeps_its_status_and_takes_nothing_apart(vaelab, tmp_path, end, status):
    done = vaelab.process("-c", JOB.format(end), cwd=tmp_path)
    assert done.status == status, done.err
    assert done.out == "said closed\n"
    assert ("Traceback" in done.err) == ("Zero" in end)


def without_reader(door, words, tmp_path, unread="stdout"):
    """A door's exit status and words, where nobody reads one of its outputs."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", f"vaelab.{door}", *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, unread: write}
    done = subprocess.run(command, cwd=tmp_path, text=True, **pipes)
    os.close(write)
    return done.returncode, done.stdout or "", done.stderr or ""


@pytest.mark.parametrize("door", ["train", "sample"])
@pytest.mark.parametrize("words", ["--help", "--cfg job"])
def test_output_that_nobody_reads_ends_the_program_without_a_word(tmp_path, door, words):
    assert without_reader(door, words.split(), tmp_path) == (141, "", "")


def test_a_run_whose_output_nobody_reads_ends_without_a_word(words, trained, tmp_path):
    own = [*words("sine"), "threads=1", f"hydra.run.dir={tmp_path}/run"]
    assert without_reader("train", own, tmp_path) == (141, "", "")
    assert without_reader("sample", [f"run={trained('sine')[0]}", "task.n=2"], tmp_path) == (141, "", "")
    swept = ["-m", *words("sine"), "threads=1", "seed=0,1", f"hydra.sweep.dir={tmp_path}/sweep"]
    assert without_reader("train", swept, tmp_path) == (141, "", "")


def test_a_mistake_that_nobody_reads_keeps_its_status(tmp_path):
    assert without_reader("train", ["latent=gausian"], tmp_path, unread="stderr") == (1, "", "")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--resolve"], ["--resolve", "--cfg"]),
        (["--shell-completion"], ["install", "query"]),
        (["--experimental-rerun", "/nowhere"], ["--experimental-rerun", "provenance.json"]),
        (["--run", "--cfg", "job"], ["--run", "--cfg"]),
        (["--cfg", "jobs"], ["--cfg", "jobs", "--hydra-help"]),
        (["--what"], ["no option --what"]),
        (["a b=ü"], ["a b=ü cannot be read"]),
        (["latent.dim=1,2"], ["latent.dim=1,2", "--multirun"]),
        (["latent="], ["there is no latent=: there are circle, gaussian, point"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_options_used_wrongly_are_told_in_one_line(vaelab, tmp_path, words, parts):
    told = vaelab.train(*words, cwd=tmp_path)
    assert told.status == 1 and all(part in told.complaint for part in parts), told.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full disk here")
def test_output_that_finds_no_room_is_told_in_one_line(tmp_path):
    # Little enough to be written at the very end.
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "vaelab.train", "--help"]
        done = subprocess.run(command, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("vaelab: No space left on device") and done.stderr.count("\n") == 1


def test_a_command_without_an_output_does_its_job(tmp_path):
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m vaelab.train --cfg job >&-"], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def measures(run):
    timings = ("fit_seconds", "steps_per_second", "sample/per_second")
    return {k: v for k, v in json.loads((run / "metrics.json").read_text()).items() if k not in timings}


def table(sweep):
    return list(csv.DictReader((sweep / "sweep.csv").read_text().splitlines()))


@pytest.mark.parametrize("experiment", ["sine", "images"])
def test_the_same_command_gives_the_same_numbers_and_another_seed_others(vaelab, words, trained, tmp_path, experiment):
    first = measures(trained(experiment)[0])
    again, other = tmp_path / "again", tmp_path / "other"
    vaelab.train(*words(experiment), f"hydra.run.dir={again}", figures=False).done()
    assert measures(again) == first
    vaelab.train(*words(experiment), "seed=1", f"hydra.run.dir={other}", figures=False).done()
    assert measures(other)["test/elbo"] != first["test/elbo"]


def test_a_sweep_of_two_by_two_makes_four_runs_where_sweeps_go(vaelab, words, tmp_path):
    swept = ["likelihood=gaussian,laplace", "latent=circle,gaussian"]
    vaelab.train("-m", *words("sine"), "trainer.max_epochs=1", *swept, cwd=tmp_path, figures=False).done()
    (sweep,) = (tmp_path / "outputs/sweep/sine").iterdir()
    runs = [sweep / str(k) for k in range(4)]
    chosen = set()
    for run in runs:
        config = yaml.safe_load((run / "config.yaml").read_text())
        chosen.add((config["likelihood"]["_target_"], config["latent"]["_target_"]))
        assert (run / "checkpoints/best.ckpt").is_file()
        assert math.isfinite(measures(run)["test/elbo"])
    assert len(chosen) == 4
    assert len((sweep / "sweep.csv").read_text().splitlines()) == 5


def test_a_job_of_a_sweep_gives_the_numbers_of_the_same_run_alone(vaelab, words, tmp_path):
    own = [*words("sine"), "trainer.max_epochs=1"]
    swept = vaelab.train("-m", *own, "seed=0,1", f"hydra.sweep.dir={tmp_path}/sweep", figures=False).done()
    alone = vaelab.train(*own, "seed=1", f"hydra.run.dir={tmp_path}/alone", figures=False).done()
    assert measures(tmp_path / "sweep/1") == measures(tmp_path / "alone")
    # A sweep's jobs stand in one table.
    assert "sine/good" in alone.out and "sine/good" not in swept.out and "sweep.csv" in swept.out
    assert not (tmp_path / "sweep/1/figures").exists()


def test_a_sweep_of_very_short_jobs_draws_when_it_is_asked(vaelab, words, tmp_path):
    own = ["-m", *words("sine"), "trainer.max_epochs=1", "seed=0,1"]
    swept = vaelab.train(*own, f"hydra.sweep.dir={tmp_path}/sweep").done()
    job = tmp_path / "sweep/0"
    assert not (job / "figures").exists() and f"resume={job} draws them" in swept.out
    before = measures(job)
    vaelab.train(f"resume={job}").done()
    assert (job / "figures/latent.png").is_file() and measures(job) == before
    asked = vaelab.train(*own, "report.figures=true", f"hydra.sweep.dir={tmp_path}/drawn").done()
    assert (tmp_path / "drawn/1/figures/latent.png").is_file() and "draws them" not in asked.out


def test_jobs_that_share_their_data_are_as_good_as_alone(vaelab, words, tmp_path):
    own = [*words("digits"), "trainer.max_epochs=1"]
    vaelab.train("-m", *own, "latent.dim=3,2", f"hydra.sweep.dir={tmp_path}/sweep", figures=False).done()
    vaelab.train(*own, "latent.dim=2", f"hydra.run.dir={tmp_path}/alone", figures=False).done()
    assert measures(tmp_path / "sweep/1") == measures(tmp_path / "alone")


def test_a_failing_job_is_told_at_once_and_the_others_carry_on(vaelab, words, tmp_path):
    swept = ["-m", "latent.dim=1,-1,2", f"hydra.sweep.dir={tmp_path}/sweep"]
    done = vaelab.train(*swept, *words("sine"), "trainer.max_epochs=1", figures=False)
    assert done.status == 1
    complaints = [line for line in done.err.splitlines() if not line.startswith("epoch ")]
    why = "latent.dim must be at least 1, not -1"
    assert complaints == [f"vaelab: job 1 failed: {why}", "vaelab: 1 of 3 jobs failed: 1"]
    assert why in done.out
    rows = table(tmp_path / "sweep")
    assert [(row["job"], row["latent.dim"], row["failed"]) for row in rows] == [
        ("0", "1", ""),
        ("1", "-1", why),
        ("2", "2", ""),
    ]
    assert [bool(row["test/elbo"]) for row in rows] == [True, False, True]
    assert (tmp_path / "sweep/0/metrics.json").is_file()
    assert (tmp_path / "sweep/2/metrics.json").is_file()
    assert not (tmp_path / "sweep/1/config.yaml").exists()


def test_a_sweep_of_methods_over_seeds_ends_in_one_ranked_table(vaelab, words, tmp_path):
    own = ["-m", *words("sine"), "trainer.max_epochs=1", "latent=gaussian", "likelihood=gaussian", "seed=0,1"]
    where = f"hydra.sweep.dir={tmp_path}/sweep"
    rates = "optimizer.lr=0.003,1e17"
    done = vaelab.train(*own, "variant=sine,gan", rates, "report.rank=sample/energy_distance", where)
    assert done.status == 1 and len(table(tmp_path / "sweep")) == 8
    told = (tmp_path / "sweep/sweep.md").read_text(encoding="utf-8").splitlines()
    assert told[0].startswith("budget: ") and told[0].endswith(" steps for each job")
    head, _, *rows = ([cell.strip(" *") for cell in line.split("|")[1:-1]] for line in told[2:8])
    assert head[:3] == ["variant", "optimizer.lr", "sample/energy_distance ↓"]
    means = [float(row[2].split(" ± ")[0]) for row in rows[:2]]
    assert means == sorted(means) and {row[1] for row in rows[:2]} == {"0.003"}
    counts = [[row[head.index(name)] for name in ("runs", "diverged")] for row in rows]
    assert counts == [["2", "0"], ["2", "0"], ["2", "2"], ["2", "2"]]
    reasons = re.findall(r"^diverged +([\d, ]+): \S+ became .*lower optimizer.lr", done.out, re.MULTILINE)
    assert sorted(", ".join(reasons).split(", ")) == ["1", "3", "5", "7"]
    assert (tmp_path / "sweep/sweep.png").is_file()


def test_a_sweep_that_is_interrupted_shows_what_is_done(vaelab, words, tmp_path):
    swept = ["-m", "seed=0,1,2", f"hydra.sweep.dir={tmp_path}/sweep"]
    done = vaelab.train(*swept, *words("sine"), cut=(12, signal.SIGINT), figures=False)
    assert done.status == 130
    rows = table(tmp_path / "sweep")
    assert [(row["job"], row["failed"]) for row in rows] == [("0", ""), ("1", "cut off")]
    assert f"resume={tmp_path}/sweep/1" in done.err and f"hydra.sweep.dir={tmp_path}/sweep" in done.out


def test_a_cut_sweep_goes_on_to_the_numbers_of_the_uncut_one(vaelab, words, tmp_path):
    own = ["-m", "seed=0,1,2", *words("sine")]
    cut, uncut = (f"hydra.sweep.dir={tmp_path}/{name}" for name in ("cut", "uncut"))
    vaelab.train(*own, uncut, figures=False).done()
    assert vaelab.train(*own, cut, cut=(12, signal.SIGTERM), figures=False).status == 143
    first = {path: path.read_bytes() for path in (tmp_path / "cut/0").rglob("*") if path.is_file()}
    done = vaelab.train(*own, cut, figures=False).done()
    assert f"done before: {tmp_path}/cut/0" in done.out
    assert {path: path.read_bytes() for path in first} == first
    for job in "012":
        assert measures(tmp_path / "cut" / job) == measures(tmp_path / "uncut" / job)
    assert [(row["job"], row["seed"]) for row in table(tmp_path / "cut")] == [("0", "0"), ("1", "1"), ("2", "2")]
    assert "failed" not in table(tmp_path / "cut")[0]


def test_a_sweep_goes_on_with_a_job_that_had_begun_without_a_checkpoint(vaelab, words, tmp_path):
    own = ["-m", "seed=0,1", *words("sine"), "trainer.max_epochs=1", f"hydra.sweep.dir={tmp_path}"]
    vaelab.train(*own, figures=False).done()
    before = measures(tmp_path / "1")
    (tmp_path / "1/metrics.json").unlink()
    shutil.rmtree(tmp_path / "1/checkpoints")
    (tmp_path / "1/failed.json").write_text('{"error": "as it was", "overrides": []}')
    vaelab.train(*own, figures=False).done()
    assert measures(tmp_path / "1") == before and not (tmp_path / "1/failed.json").exists()


@pytest.mark.parametrize(
    ("stage", "count"), [("data", 2), ("record", 2), ("train", 12), ("checkpoint", 3), ("figures", 2)]
)
def test_a_sweep_killed_at_any_moment_of_a_job_goes_on_with_the_same_words(vaelab, words, tmp_path, stage, count):
    own = ["-m", "seed=0,1", *words("sine"), f"hydra.sweep.dir={tmp_path}/sweep"]
    own.append(f"report.figures={str(stage == 'figures').lower()}")
    assert vaelab.train(*own, cut=(count, signal.SIGKILL, stage)).status == 137
    done = vaelab.train(*own).done()
    assert f"done before: {tmp_path}/sweep/0" in done.out
    assert [(row["job"], row["seed"]) for row in table(tmp_path / "sweep")] == [("0", "0"), ("1", "1")]
    assert "failed" not in table(tmp_path / "sweep")[0] and not list(tmp_path.rglob("*.lock"))
    assert (tmp_path / "sweep/1/figures").exists() == (stage == "figures")


@pytest.mark.parametrize("name", ["metrics.json", "provenance.json", "failed.json", "config.yaml"])
def test_a_sweep_goes_on_though_what_is_written_about_a_job_is_damaged(vaelab, swept, tmp_path, name):
    own, folder = swept
    sweep = shutil.copytree(folder, tmp_path / "sweep")
    (sweep / "1" / name).write_text("null")
    vaelab.train(*own, f"hydra.sweep.dir={sweep}", figures=False).done()
    assert [measures(sweep / job) for job in "01"] == [measures(folder / job) for job in "01"]
    assert [row["test/elbo"] for row in table(sweep)] == [row["test/elbo"] for row in table(folder)]


@pytest.fixture(scope="module")
def swept(vaelab, words, tmp_path_factory):
    """The words of a sweep of two jobs, and where it was done."""
    own, folder = ["-m", "seed=0,1", *words("sine"), "trainer.max_epochs=1"], tmp_path_factory.mktemp("swept") / "sweep"
    vaelab.train(*own, f"hydra.sweep.dir={folder}", figures=False).done()
    return own, folder


def test_jobs_are_found_in_whatever_folders_the_sweep_puts_them(vaelab, words, tmp_path):
    # Overrides may stand on both sides of an option.
    own = [*words("sine"), "trainer.max_epochs=1", "-m", f"hydra.sweep.dir={tmp_path}/sweep"]
    own.append("hydra.sweep.subdir=seeds/${seed}")
    vaelab.train(*own, "seed=10,9", figures=False).done()
    assert [(row["job"], row["seed"]) for row in table(tmp_path / "sweep")] == [("seeds/9", "9"), ("seeds/10", "10")]
    assert "failed" not in table(tmp_path / "sweep")[0]
    # Later jobs join the table, and done ones are not done again.
    more = vaelab.train(*own, "seed=9,8", figures=False).done()
    assert "seeds/9" in more.out and [row["seed"] for row in table(tmp_path / "sweep")] == ["8", "9", "10"]


def test_a_second_sweep_through_a_folder_is_refused_while_the_first_goes_on(vaelab, words, tmp_path):
    own = ["-m", "seed=0,1", *words("sine"), "trainer.max_epochs=1", f"hydra.sweep.dir={tmp_path}/sweep"]
    held = vaelab.start_train(*own, cut=(2, signal.SIGSTOP), figures=False)
    vaelab.wait_until_still(held)
    assert f"{tmp_path}/sweep is being written by process {held[0]} on" in vaelab.train(*own).complaint
    assert f"{tmp_path}/sweep/0 is being written by" in vaelab.train(f"resume={tmp_path}/sweep/0").complaint
    os.kill(held[0], signal.SIGCONT)
    vaelab.finish(held).done()
    assert len(table(tmp_path / "sweep")) == 2


@pytest.mark.parametrize("mode", ["run", "sweep"])
def test_commands_of_the_same_second_number_their_folders(vaelab, words, tmp_path, mode):
    # The second of these names is a year long.
    named, below = f"hydra.{mode}.dir={tmp_path}/${{began:%Y}}", "0" if mode == "sweep" else "."
    own = [*(["-m"] if mode == "sweep" else []), *words("sine"), "trainer.max_epochs=1", named]
    held = vaelab.start_train(*own, cut=(1, signal.SIGSTOP, "data"), figures=False)
    vaelab.wait_until_still(held)
    first = next(tmp_path.iterdir())
    vaelab.train(*own, "seed=1", figures=False).done()
    assert (tmp_path / f"{first.name}_2" / below / "metrics.json").is_file()
    assert not list(first.rglob("config.yaml"))
    os.kill(held[0], signal.SIGCONT)
    vaelab.finish(held).done()
    assert (first / below / "metrics.json").is_file() and len(list(tmp_path.iterdir())) == 2


def test_a_refused_command_leaves_nothing_of_a_numbered_folder(vaelab, words, tmp_path):
    named = f"hydra.run.dir={tmp_path}/${{began:%Y}}"
    vaelab.train(*words("sine"), "trainer.max_epochs=1", named, figures=False).done()
    assert "latent.dim" in vaelab.train(*words("sine"), named, "latent.dim=-1").complaint
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("stage", "name", "status"), [("test", "SIGTERM", 143), ("figures", "SIGTERM", 143), ("figures", "SIGINT", 130)]
)
def test_a_signal_in_the_closing_test_or_figures_is_told_with_what_to_do(vaelab, words, tmp_path, stage, name, status):
    run = tmp_path / "run"
    cut = (1, getattr(signal, name), stage)
    stopped = vaelab.train(*words("sine"), f"hydra.run.dir={run}", cut=cut)
    assert stopped.status == status
    assert name in stopped.complaint and f"have them done with resume={run}" in stopped.complaint
    vaelab.train(f"resume={run}", figures=name == "SIGINT").done()
    assert (run / "metrics.json").is_file() and (run / "figures").exists() == (name == "SIGINT")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("+trainer.num_nodes=2", "vaelab trains on one machine"),
        ("+accelerator.num_nodes=2", "vaelab trains on one machine"),
        ("accelerator.devices=2147483648", "give at most as many"),
        ("accelerator.devices='2147483648'", "give at most as many"),
    ],
)
def test_more_machines_or_devices_than_there_are_are_refused_at_once(vaelab, tmp_path, words, told):
    refused = vaelab.train("accelerator=cpu", words, f"hydra.run.dir={tmp_path}/run", seconds=20)
    assert told in refused.complaint and not (tmp_path / "run").exists()


def test_a_job_that_was_resumed_by_itself_keeps_its_place_in_the_sweep(vaelab, words, tmp_path):
    own = ["-m", "seed=0,1", *words("sine"), "trainer.max_epochs=1", f"hydra.sweep.dir={tmp_path}"]
    vaelab.train(*own, figures=False).done()
    vaelab.train(f"resume={tmp_path}/1").done()
    assert "done before" in vaelab.train(*own, figures=False).done().out
    assert [row["seed"] for row in table(tmp_path)] == ["0", "1"]


def test_a_sweep_into_a_folder_of_other_runs_leaves_them_as_they_were(vaelab, words, tmp_path):
    swept = ["-m", f"hydra.sweep.dir={tmp_path}/sweep", *words("sine"), "trainer.max_epochs=1"]
    vaelab.train(*swept, "seed=0,1", figures=False).done()
    (tmp_path / "sweep/0/failed.json").write_text('{"error": "once", "overrides": []}')
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
    again = vaelab.train(*swept, "seed=2,3", figures=False)
    assert again.status == 1 and "hydra.sweep.dir" in again.err and "2 of 2 jobs failed: 0, 1" in again.err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.json")} == before


def test_a_training_without_progress_ends_early_and_says_so(vaelab, words, tmp_path):
    own = [*words("digits"), "trainer.max_epochs=40", "early_stopping.patience=2", "optimizer.lr=0"]
    own += ["likelihood=gaussian"]  # whose width no average follows
    run = tmp_path / "run"
    done = vaelab.train(*own, f"hydra.run.dir={run}", figures=False).done()
    last = done.err.splitlines()[-1]
    assert last.endswith("ended early: 2 validations without a better val/objective")
    assert last.startswith("epoch 3/40")


def test_a_training_ends_when_its_time_is_over(vaelab, words, tmp_path):
    own = [*words("sine"), "trainer.max_epochs=-1", "+trainer.max_time=00:00:00:01"]
    vaelab.train(*own, f"hydra.run.dir={tmp_path}/run", figures=False, seconds=60).done()
    found = json.loads((tmp_path / "run/metrics.json").read_text())
    assert 1 <= found["fit_seconds"] < 30 and math.isfinite(found["test/elbo"])


def test_waiting_for_a_better_validation_copes_with_epochs_that_have_none(vaelab, words, tmp_path):
    own = [*words("sine"), "early_stopping.patience=1"]
    for name, word in (("few", "trainer.max_steps=2"), ("rare", "trainer.check_val_every_n_epoch=2")):
        done = vaelab.train(*own, word, f"hydra.run.dir={tmp_path / name}", figures=False).done()
        assert "ended early" not in done.err and (tmp_path / name / "metrics.json").is_file()


@pytest.mark.parametrize(("experiment", "name", "sign"), [("digits", "val/objective", -1), ("radio", "val/error", 1)])
def test_the_validation_score_that_chose_the_weights_is_told_as_it_is(trained, experiment, name, sign):
    found = measures(trained(experiment)[0])
    told = [float(value) for value in re.findall(r"val ELBO (-?[\d.]+)", trained(experiment)[1].err)]
    assert next(iter(found)) == name and found[name] * sign > 0
    # The bar tells the last epoch, which is no better than the best.
    assert name != "val/objective" or found[name] >= told[-1] - 0.01


def curve(run, tag):
    board = EventAccumulator(str(run / "tensorboard"))
    board.Reload()
    return [event.value for event in board.Scalars(tag)]


@pytest.fixture(scope="module")
def overfitted(vaelab, tmp_path_factory):
    """Few noisy signals, a small beta, many epochs: the bound at beta = 1 is best at the start, the objective later."""
    folder = tmp_path_factory.mktemp("overfitted")
    rng, time = np.random.default_rng(0), np.linspace(0, 6, 24)
    signals = np.sin(time + 6 * rng.random((80, 1))) + rng.normal(0, 0.3, (80, 24))
    np.savetxt(folder / "few.csv", signals, delimiter=",")
    own = ["experiment=signals", f"dataset.file={folder}/few.csv", "dataset.batch_size=8", "architecture.widths=[32]"]
    own += ["optimizer.lr=0.01", "beta_schedule.value=0.01", "trainer.max_epochs=20"]

    def train(name, *words):
        run = folder / name
        return run, vaelab.train(*own, *words, f"hydra.run.dir={run}", figures=False).done()

    return train


def test_the_weights_that_are_kept_are_the_best_at_what_was_asked_for(overfitted):
    run, _ = overfitted("objective")
    objective, elbo, found = curve(run, "val/objective"), curve(run, "val/elbo"), measures(run)
    best = max(range(20), key=objective.__getitem__)
    assert found["best_epoch"] == best + 1 and found["epochs"] == 20
    assert found["val/objective"] == pytest.approx(objective[best], rel=1e-6)
    assert elbo[best] < max(elbo) - 1  # which would have kept others


def test_another_measure_chooses_where_it_is_asked_for_and_an_early_best_epoch_is_told(overfitted):
    run, told = overfitted("elbo", "monitor=val/elbo", "trainer.max_epochs=40")
    elbo, found = curve(run, "val/elbo"), measures(run)
    best = max(range(40), key=elbo.__getitem__)
    assert next(iter(found)) == "val/elbo" and found["val/elbo"] == pytest.approx(elbo[best], rel=1e-6)
    assert found["best_epoch"] == best + 1 <= 4
    assert f"best at epoch {best + 1} of 40" in told.out


def test_the_lesser_error_chooses_and_ends_a_run_early(overfitted):
    run, told = overfitted("error", "monitor=val/error", "early_stopping.patience=2", "trainer.max_epochs=60")
    error, found = curve(run, "val/error"), measures(run)
    assert found["val/error"] == pytest.approx(min(error), rel=1e-6)
    assert found["best_epoch"] == error.index(min(error)) + 1 == found["epochs"] - 2
    assert told.err.splitlines()[-1].endswith("2 validations without a better val/error")


def test_two_processes_train_into_one_run_directory(vaelab, words, tmp_path):
    run = tmp_path / "run"
    command = ["-m", "vaelab.train", "threads=1", "accelerator=ddp", "accelerator.accelerator=cpu", *words("sine")]
    done = vaelab.process(*command, "trainer.max_epochs=1", f"hydra.run.dir={run}", cwd=tmp_path, seconds=180)
    assert done.status == 0, done.err
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert all(map(math.isfinite, measures(run).values()))


@pytest.mark.parametrize(
    "variant", [["wgan_gp", "likelihood=gaussian"], ["vae_gan", "accelerator.precision=bf16-mixed"]], ids=lambda v: v[0]
)
def test_two_processes_train_nets_in_turn(vaelab, words, tmp_path, variant):
    run = tmp_path / "run"
    command = ["-m", "vaelab.train", "threads=1", "accelerator=ddp", "accelerator.accelerator=cpu", *words("sine")]
    command += [f"variant={variant[0]}", *variant[1:], "trainer.max_epochs=3", f"hydra.run.dir={run}"]
    done = vaelab.process(*command, cwd=tmp_path, seconds=180)
    assert done.status == 0, done.err
    assert all(map(math.isfinite, measures(run).values()))
    assert measures(run)["epochs"] == 3


def test_two_processes_sweep_into_one_folder(vaelab, words, tmp_path):
    command = ["-m", "vaelab.train", "-m", "threads=1", "accelerator=ddp", "accelerator.accelerator=cpu"]
    settings = [*words("sine"), "trainer.max_epochs=1", "seed=0,1"]
    done = vaelab.process(*command, *settings, cwd=tmp_path, seconds=180)
    assert done.status == 0, done.err
    (sweep,) = (tmp_path / "outputs/sweep/sine").iterdir()
    assert [bool(row["test/elbo"]) for row in table(sweep)] == [True, True]
    assert done.out.count("sweep.csv") == 1


def test_a_training_that_becomes_nan_names_the_term_and_keeps_the_last_good_checkpoint(vaelab, words, tmp_path):
    run = tmp_path / "run"
    own = [*words("sine"), "optimizer=adam", "likelihood=gaussian", "trainer.log_every_n_steps=1"]
    vaelab.train(*own, "trainer.max_epochs=1", f"hydra.run.dir={run}", figures=False).done()
    before = {path.name: path.read_bytes() for path in (run / "checkpoints").iterdir()}
    broken = tmp_path / "broken"
    failed = vaelab.train(*own, "optimizer.lr=1e17", f"hydra.run.dir={broken}", figures=False)
    assert failed.status == 1
    assert any(f"{term} became" in failed.complaint for term in ("train/loss", "train/log_likelihood", "train/kl"))
    assert "lower optimizer.lr" in failed.complaint
    assert not (broken / "checkpoints/best.ckpt").exists()
    resumed = vaelab.train(f"resume={run}", "trainer.max_epochs=3", figures=False, break_at=3)
    assert resumed.status == 1, resumed.err
    assert "became" in resumed.complaint
    assert {path.name: path.read_bytes() for path in (run / "checkpoints").iterdir()} == before


def test_a_script_is_the_same_door(vaelab, words, tmp_path):
    from pathlib import Path

    script = Path(__file__).parents[2] / "scripts" / "train.py"
    done = vaelab.process(str(script), "threads=1", *words("sine"), "trainer.max_epochs=1", cwd=tmp_path)
    assert done.done().status == 0
    assert len(list(tmp_path.glob("outputs/train/sine/*/metrics.json"))) == 1


OWN = """
from dataclasses import dataclass

from vaelab.architecture.mlp import MLP


@dataclass
class Mine(MLP):
    pass
"""


def test_a_net_of_the_users_own_is_trained_sampled_and_resumed_where_its_module_is_trusted(vaelab, words, tmp_path):
    (tmp_path / "own_nets.py").write_text(OWN)
    entry = tmp_path / "mine" / "architecture" / "mine.yaml"
    entry.parent.mkdir(parents=True)
    entry.write_text("_target_: own_nets.Mine\nwidths: [8]\n")
    own = ["--config-dir", "mine", *words("sine"), "architecture=mine", "trainer.max_epochs=1", "hydra.run.dir=run"]
    done = vaelab.train(*own, figures=False, cwd=tmp_path).done()
    hint = next(line for line in done.out.splitlines() if line.startswith("sample "))
    assert hint.endswith("'trust=[own_nets]'")
    for door in (
        lambda *more: vaelab.sample("run=run", "task.n=1", *more, cwd=tmp_path),
        lambda *more: vaelab.train("resume=run", "trainer.max_epochs=2", *more, figures=False, cwd=tmp_path),
    ):
        assert "add trust=[own_nets]" in door().complaint
        door("trust=[own_nets]").done()
