import importlib
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

SCRIPTS = Path(__file__).parents[2] / "scripts"
RECIPES = {"sine", "stream", "radio", "channel", "digits", "objective", "mnist", "ecg", "family"}
RECIPES |= {"bottles", "galaxies"}

# A door that trains nothing: it counts its calls and writes what the settings say.
TRAIN = """
import json, pathlib, sys
here = pathlib.Path(__file__).parent
words = dict(word.split("=", 1) for word in sys.argv[1:] if "=" in word)
with (here / "calls").open("a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")
if words.get("fail"):
    sys.exit("vaelab: no such thing")
if "hydra.sweep.dir" in words:
    folder = pathlib.Path(words["hydra.sweep.dir"].strip("'"))
    for job, beta in enumerate(words["beta"].split(",")):
        (folder / str(job)).mkdir(parents=True)
        (folder / str(job) / "metrics.json").write_text(json.dumps({"kl": float(beta)}))
    (folder / "sweep.csv").write_text("")
else:
    folder = pathlib.Path((words.get("hydra.run.dir") or words["out"]).strip("'"))
    folder.mkdir(parents=True)
    value = float(words.get("value", 1)) + 0.1 * int(words.get("seed", 0))
    (folder / "metrics.json").write_text(json.dumps({"good": value, "baseline/pca_good": 0.5}))
"""
RECIPE = '''
"""Made up."""
from evidence._claims import at_least

def claims(bench):
    case = bench.case("value=1")
    expected = bench.pick(at_least({least}), at_least(0))
    return [case.row("how good", "good", expected, {{"PCA": "baseline/pca_good"}}), case.row("told", "good")]
'''


@pytest.fixture
def claims(module):
    return module("evidence._claims")


@pytest.fixture
def doors(module, tmp_path, monkeypatch):
    """A folder with the doors that train nothing, in the place of the real one."""
    folder = tmp_path / "doors"
    folder.mkdir()
    for name in ("train.py", "sample.py"):
        (folder / name).write_text(TRAIN)
    monkeypatch.setattr(module("evidence._bench"), "SCRIPTS", folder)
    return folder


@pytest.fixture
def bench(module, doors, tmp_path):
    def made(**settings):
        return module("evidence._bench").Bench("made_up", tmp_path / "out", **settings)

    return made


@pytest.fixture
def recipe(module, doors, tmp_path, monkeypatch):
    """Write a recipe into a folder where recipes are looked for."""
    folder = tmp_path / "recipes"
    folder.mkdir()
    monkeypatch.setattr(module("evidence"), "__path__", [str(folder)])

    def written(name, text):
        (folder / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, f"evidence.{name}", raising=False)
        importlib.invalidate_caches()

    yield written
    for path in folder.glob("*.py"):
        sys.modules.pop(f"evidence.{path.stem}", None)


def calls(doors):
    return (doors / "calls").read_text().splitlines() if (doors / "calls").exists() else []


# Rows -------------------------------------------------------------------------------------------------------------


def test_a_row_has_the_mean_and_the_standard_deviation_over_seeds(claims):
    claim = claims.Claim("x", [1.0, 2.0, 3.0], digits=2)
    assert claim.mean == 2 and claim.spread == 1 and claim.got == "2.00 ± 1.00"
    alone = claims.Claim("x", [0.12345], digits=3)
    assert alone.spread is None and alone.got == "0.123"


def test_the_mean_decides_and_both_ends_of_a_range_belong_to_it(claims):
    assert claims.Claim("x", [0.9, 1.1], claims.at_least(1.0)).held
    assert not claims.Claim("x", [0.9, 1.0], claims.at_least(1.0)).held
    assert claims.Claim("x", [0.9, 1.1], claims.at_most(1.0)).held
    assert not claims.Claim("x", [1.0, 1.1], claims.at_most(1.0)).held
    assert claims.Claim("x", [0.0], claims.exactly(0)).held and not claims.Claim("x", [1.0], claims.exactly(0)).held
    assert not claims.Claim("x", [math.nan], claims.at_least(0)).held
    assert claims.Claim("x", [5.0]).held is None


def test_a_range_is_told_as_people_write_it(claims):
    told = [str(some) for some in (claims.at_least(0.995), claims.at_most(2), claims.Range(1, 2), claims.exactly(0))]
    assert told == ["≥ 0.995", "≤ 2", "1 … 2", "= 0"]


def test_a_measure_that_a_run_lacks_holds_nothing_and_is_no_number_in_the_record(claims):
    claim = claims.Claim("x", claims.of_seeds([{"a": 1.0}, {}], "a"), claims.at_least(0))
    assert claim.held is False
    record = claim.record()
    assert record["values"] == [1.0, None] and record["mean"] is None
    assert record["expected"] == {"low": 0, "high": None}
    json.dumps(record, allow_nan=False)


def test_a_table_numbers_its_commands_and_counts_what_falls_short(claims):
    rows = [
        claims.Claim("a", [1.0], claims.at_least(2), "PCA 0.5", "0.7", "first", 3.4),
        claims.Claim("b", [1.0], claims.at_least(1), command="second"),
        claims.Claim("c", [1.0], command="first"),
    ]
    table = claims.table("made up", rows)
    assert table.rows[0] == ["a [1]", "PCA 0.5", "0.7", "≥ 2", "1.000", "falls short", "3"]
    assert [row[0] for row in table.rows] == ["a [1]", "b [2]", "c [1]"]
    assert [row[5] for row in table.rows] == ["falls short", "yes", "—"]
    assert table.notes == ["[1] first", "[2] second"] and claims.short(table) == 1


# Runs -------------------------------------------------------------------------------------------------------------


def test_a_finished_run_is_found_again_and_another_command_is_another_run(bench, doors):
    first = bench().train("value=2", seed=1)
    again = bench()
    found = again.train("value=2", seed=1)
    assert found == first and again.reused == 1 and len(calls(doors)) == 1
    assert found.metrics["good"] == pytest.approx(2.1)
    assert bench().train("value=2", seed=2).folder != first.folder
    assert bench().train("value=3", seed=1).folder != first.folder
    assert len(calls(doors)) == 3 and all("threads=1" in call for call in calls(doors))


def test_fresh_runs_a_finished_run_anew(bench, doors):
    bench().train("value=2", seed=0)
    anew = bench(fresh=True)
    anew.train("value=2", seed=0)
    assert anew.reused == 0 and len(calls(doors)) == 2


def test_a_run_that_was_cut_off_is_begun_again(bench, doors):
    made = bench().train("value=2", seed=0)
    made.folder.with_suffix(".json").unlink()
    (made.folder / "left over").touch()
    assert bench().train("value=2", seed=0).metrics == made.metrics
    assert len(calls(doors)) == 2 and not (made.folder / "left over").exists()


def test_samples_belong_to_their_run(bench, doors):
    ours = bench()
    runs = [ours.train(f"value={k}", seed=0) for k in (1, 2)]
    scored = [ours.sample(run, "task=score") for run in runs]
    assert scored[0].folder != scored[1].folder and f"run='{runs[1].folder}'" in calls(doors)[-1]
    assert ours.sample(runs[0], "task=score") == scored[0] and len(calls(doors)) == 4


def test_samples_without_measures_are_found_by_the_file_that_they_leave(bench, doors):
    (doors / "sample.py").write_text(TRAIN.replace("metrics.json", "samples.npy"))
    ours = bench()
    run = ours.train("value=1", seed=0)
    made = [ours.sample(run, "task=prior", result="samples.npy") for _ in range(2)]
    assert made[0].metrics == {} and (made[0].folder / "samples.npy").is_file()
    assert made[0].folder == made[1].folder and len(calls(doors)) == 2


def test_a_sweep_gives_its_jobs_in_order(bench, doors):
    betas = [str(k) for k in range(12)]
    jobs = bench().sweep(f"beta={','.join(betas)}", seed=0)
    assert [job.metrics["kl"] for job in jobs] == [float(beta) for beta in betas]
    assert calls(doors)[0].startswith("-m ") and bench().sweep(f"beta={','.join(betas)}", seed=0) == jobs


def test_a_sweep_with_a_job_that_failed_is_no_sweep(module, bench):
    jobs = bench().sweep("beta=1,2,3", seed=0)
    (jobs[1].folder / "metrics.json").unlink()
    with pytest.raises(module("evidence._bench").CommandError, match="job 1"):
        bench().sweep("beta=1,2,3", seed=0)


def test_a_case_runs_each_seed_and_tells_the_command_that_a_user_would_type(bench):
    case = bench(seeds=(0, 2)).case("value=1", "keep=[1,2]")
    assert [run["good"] for run in case.metrics] == pytest.approx([1.0, 1.2])
    assert case.command == "python scripts/train.py -m value=1 'keep=[1,2]' threads=1 seed=0,2"
    assert bench().case("value=1").command == "python scripts/train.py value=1 threads=1 seed=0"
    swept = bench(seeds=(0, 2)).command("train.py", "-m", "beta=1,2")
    assert swept == "python scripts/train.py -m beta=1,2 threads=1 seed=0,2"
    row = case.row("how good", "good", None, {"PCA": "baseline/pca_good"})
    assert row.mean == pytest.approx(1.1) and row.baseline == "PCA 0.500" and row.seconds == case.seconds > 0


def test_a_difference_is_taken_seed_by_seed(bench):
    ours = bench(seeds=(0, 1))
    less = ours.case("value=3").less(ours.case("value=1"))
    assert [run["good"] for run in less.metrics] == pytest.approx([2.0, 2.0])
    assert less.command.endswith("value=3 threads=1 seed=0,1")


def test_a_command_that_fails_says_why_in_one_line(module, bench):
    with pytest.raises(module("evidence._bench").CommandError, match="no such thing") as failed:
        bench().train("fail=1", seed=0)
    assert "\n" not in str(failed.value)


def test_the_doors_own_line_is_the_reason_even_where_a_library_speaks_after_it(module):
    reason = module("evidence._bench").reason
    assert reason("found 3\nvaelab: no root\nlibrary: leaked\n") == "vaelab: no root"
    assert reason("Traceback\nValueError: x\n") == "ValueError: x" and reason("") == "without a word"


def test_a_folder_with_a_quote_in_its_name_is_quoted(module):
    assert module("evidence._bench").quoted(Path("/it's here")) == r"'/it\'s here'"


# What the recipes compute ------------------------------------------------------------------------------------------


def test_the_best_classical_filter_is_that_of_all_seeds_and_never_the_genie(module):
    def run(**peaks):
        return {f"radio/baseline/{name}_peak_accuracy": value for name, value in peaks.items()} | {"radio/x": 1.0}

    runs = [run(wiener=0.5, argmax_abs=0.6, genie=0.9), run(wiener=0.8, argmax_abs=0.6, genie=0.9)]
    assert module("evidence.radio").best_of(runs, "_peak_accuracy", leave_out=("genie",)) == "wiener"
    assert module("evidence.radio").best_of(runs, "_peak_accuracy", leave_out=()) == "genie"


def test_a_sweep_is_judged_by_its_worst_step(module):
    def job(kl, log_likelihood):
        metrics = {"test/kl": kl, "test/log_likelihood": log_likelihood}
        return module("evidence._bench").Made(Path(), metrics, 1.0)

    found = module("evidence.objective").steps([job(20.0, -10.0), job(5.0, -30.0), job(6.0, -28.0), job(0.0, -50.0)])
    assert found["kl_rise"] == 1.0 and found["distortion_fall"] == 2.0
    assert (found["kl_first"], found["kl_last"], found["distortion_first"], found["distortion_last"]) == (20, 0, 10, 50)
    falling = module("evidence.objective").steps([job(20.0, -10.0), job(5.0, -30.0)])
    assert falling["kl_rise"] == -15.0 and falling["distortion_fall"] == -20.0


def test_the_areas_of_all_digits_are_averaged_and_a_missing_one_spoils_the_mean(module):
    made, digits = module("evidence._bench").Made, module("evidence.digits")
    scored = [made(Path("a/b"), {"x": value, "y": 1.0}, 2.0) for value in (0.5, 1.0)]
    found = digits.together([made(Path("c"), {}, 3.0)], scored)
    assert found.metrics == {"x": 0.75, "y": 1.0} and found.seconds == 7.0
    assert math.isnan(digits.together([], [*scored, made(Path(), {"y": 1.0}, 0.0)]).metrics["x"])
    assert digits.others(3) == [0, 1, 2, 4, 5, 6, 7, 8, 9]


def test_real_digits_are_told_and_samples_of_half_their_spread_are_a_quarter_as_wide(module, tmp_path):
    family, made = module("evidence.family"), module("evidence._bench").Made
    x, label = load_digits(return_X_y=True)
    means = np.stack([x[label == k].mean(0) for k in range(10)])[label]

    def judged(name, items, asked=None):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "samples.npy", (items * (255 / 16)).round().reshape(-1, 1, 8, 8))
        if asked is not None:
            np.save(tmp_path / name / "labels.npy", asked)
        return family.judged(made(tmp_path / name, {}, 0.0))

    real = judged("real", x, label)
    assert real["width"] == pytest.approx(1, abs=5e-3) and real["agree"] > 0.99 and 0.95 < real["real"] < 1
    assert judged("narrow", (x + means) / 2, label)["width"] == pytest.approx(0.25, abs=5e-3)
    assert judged("wrong", x, (label + 1) % 10)["agree"] < 0.01
    # Without labels classes are those that are told.
    assert judged("told", x)["width"] == pytest.approx(1, abs=0.01)


def test_only_methods_of_which_it_is_asked_must_find_every_mode_and_the_plain_gan_must_lose_some(module):
    family = module("evidence.family")
    words = {name: family.wanted(name, "grid", whole) for name, (_, whole) in family.MIXTURES.items()}
    good, lost = {"modes": 25.0, "high_quality": 0.96, "reverse_kl": 0.01}, {"modes": 12.0}
    for name in ("wgan_gp", "wgan_div", "ddpm", "flow_matching"):
        assert all(words[name][measure].holds(value) for measure, value in good.items())
        assert not words[name]["modes"].holds(24) and not words[name]["high_quality"].holds(0.94)
    assert words["gan"]["modes"].holds(lost["modes"]) and not words["gan"]["modes"].holds(25) and words["vae"] == {}


def test_codes_of_each_density_are_judged_by_what_the_run_makes_of_them(module, tiny, tmp_path, monkeypatch):
    family, made = module("evidence.family"), module("evidence._bench").Made
    run = tiny("digits", "dataset.split=[0.6,0.1,0.3]")
    # Codes are items themselves.
    run.variant.made = lambda codes, seed: codes.unflatten(1, run.variant.shape)
    monkeypatch.setattr("vaelab.run.checkpoint.load_run", lambda folder: run)
    items = run.data().batch("train").target.flatten(1)
    codes = {"prior": torch.rand(1024, 64), "gmm": items[-539:] * 0.9, "flow": items[-539:]}
    drawn = {density: made(tmp_path / density, {}, 0.0) for density in codes}
    for density, code in codes.items():
        (tmp_path / density).mkdir()
        np.save(tmp_path / density / "codes.npy", code)
    told = family.distances(made(tmp_path, {}, 0.0), drawn)
    assert told["floor"] == pytest.approx(told["flow"], rel=0.5) and told["flow"] < told["gmm"] < told["prior"]
    assert told["over"] == told["flow"] / told["gmm"]


def test_bottles_drawn_from_two_truths_are_nearer_than_the_mean_and_not_the_same(module):
    from vaelab.data.split import split_items
    from vaelab.dataset.bottles import Bottles
    from vaelab.metrics.shape import iou

    settings = {"designs": 40, "zooms": 4, "size": 64, "seed": 3, "split": [0.6, 0.2, 0.2], "batch_size": 8}
    found = module("evidence.bottles").two_truths({"dataset": settings, "seed": 3})
    items = Bottles(designs=40, zooms=4, size=64, seed=3).load()
    index = split_items(items, settings["split"], 3)
    true = items.raw[index["test"]] / 255
    mean = (items.raw[index["train"]] / 255).mean(0).expand_as(true)
    assert float(iou(mean, true).mean()) + 0.1 < found < 0.99


def test_a_path_is_as_even_as_its_shortest_step(module):
    evenness, frames = module("evidence.galaxies").evenness, np.arange(8.0)[:, None, None, None]
    assert evenness(frames * np.ones((1, 3, 4, 4))) == pytest.approx(1)
    assert evenness(np.delete(frames, 3, 0)) == pytest.approx(6 / 7)
    assert evenness(frames.clip(1)) == 0 and math.isnan(evenness(0 * frames))


def test_the_two_parts_of_a_position_angle_are_told_as_one(module):
    made = module("evidence._bench").Made
    names = [f"image/{prefix}r2_position_{part}" for prefix in ("", "baseline/pca_") for part in ("cos", "sin")]
    run = made(Path(), dict(zip(names, (0.5, 0.7, 0.1, 0.2), strict=True)), 1.0)
    found = module("evidence.galaxies").with_angle(run).metrics
    assert found["image/r2_position_angle"] == pytest.approx(0.6)
    assert found["image/baseline/pca_r2_position_angle"] == pytest.approx(0.15)


# The command ------------------------------------------------------------------------------------------------------


def test_every_recipe_is_found_and_says_what_it_shows(module):
    assert set(module("verify").recipes()) >= RECIPES
    for name in module("verify").recipes():
        recipe = module(f"evidence.{name}")
        assert len(recipe.__doc__) > 150 and callable(recipe.claims)


def test_quick_takes_one_seed_unless_told_otherwise(module):
    arguments = module("verify").arguments
    assert arguments([]).seeds == [0, 1, 2] and arguments([]).out == Path("outputs/verify")
    assert arguments(["--quick"]).seeds == [0] and arguments(["--quick", "--seeds", "4,5"]).seeds == [4, 5]


@pytest.mark.parametrize("words", [["sinus"], ["--seeds", "a"], ["--seeds", "-1"], ["--data", "mnist=/not/there"]])
def test_a_mistake_on_the_command_line_is_refused(module, words, capsys):
    with pytest.raises(SystemExit) as left:
        module("verify").arguments(words)
    assert left.value.code == 2 and words[-1] in capsys.readouterr().err


def test_a_recipe_is_one_more_file_and_what_holds_leaves_with_0(module, recipe, tmp_path, capsys):
    recipe("made_up", RECIPE.format(least=1))
    recipe("_shared", "")
    out = tmp_path / "new" / "out"
    assert module("verify").recipes() == ["made_up"]
    assert module("verify").main(["--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "everything holds" in shown and "how good" in shown and str(out / "verify.md") in shown
    lines = (out / "verify.md").read_text().splitlines()
    assert "| how good [1] | PCA 0.500 | — | ≥ 1 | 1.100 ± 0.100 | yes | 0 |" in lines
    assert "- [1] python scripts/train.py -m value=1 threads=1 seed=0,1,2" in lines
    (table,) = json.loads((out / "verify.json").read_text())["further"]
    assert table["records"][0]["values"] == pytest.approx([1.0, 1.1, 1.2]) and table["records"][0]["held"] is True
    assert module("verify").main(["--out", str(out)]) == 0
    assert "3 runs were there already" in capsys.readouterr().out


def test_what_falls_short_leaves_with_1_and_the_row_says_so(module, recipe, doors, tmp_path, capsys):
    recipe("made_up", RECIPE.format(least=2))
    assert module("verify").main(["made_up", "--seeds", "1", "--out", str(tmp_path / "out")]) == 1
    assert "falls short" in (tmp_path / "out" / "verify.md").read_text() and len(calls(doors)) == 1
    assert "1 of 2 rows fall short" in capsys.readouterr().out
    assert module("verify").main(["made_up", "--quick", "--out", str(tmp_path / "out")]) == 0


def test_a_recipe_that_fails_is_told_and_the_others_go_on(module, recipe, tmp_path):
    recipe("bad", 'def claims(bench):\n    return [bench.case("fail=1").row("x", "good")]\n')
    recipe("good", RECIPE.format(least=1))
    assert module("verify").main(["--seeds", "0", "--out", str(tmp_path / "out")]) == 1
    written = (tmp_path / "out" / "verify.md").read_text()
    assert "no such thing" in written and "| how good [1] |" in written


def test_a_recipe_that_needs_data_is_skipped_until_it_is_given(module, recipe, doors, tmp_path, capsys):
    body = 'return [bench.case(f"root={bench.data[NEEDS]}").row("x", "good")]'
    recipe("mine", f'NEEDS = "mine"\ndef claims(bench):\n    {body}\n')
    words = ["--seeds", "0", "--out", str(tmp_path / "out")]
    assert module("verify").main(words) == 0 and calls(doors) == []
    assert "--data mine=FOLDER" in capsys.readouterr().out
    assert module("verify").main([*words, "--data", f"mine={tmp_path}"]) == 0
    assert f"root={tmp_path}" in calls(doors)[0]


def test_a_real_run_is_trained_and_read(module, tmp_path):
    ours = module("evidence._bench").Bench("tiny", tmp_path / "an out")
    run = ours.train("experiment=digits", "trainer.max_steps=2", "dataset.keep=[0]", seed=0)
    assert run.seconds > 0 and {"image/psnr_db", "image/baseline/pca_psnr_db"} <= run.metrics.keys()
