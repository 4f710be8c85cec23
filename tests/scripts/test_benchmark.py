import json
from functools import partial
from pathlib import Path

import pytest
import torch

PARTS = {"training", "compile", "startup", "sweep", "features", "likelihood", "input", "growth"}


@pytest.fixture
def table(module):
    return module("benchmarks._table")


def record(arm, repetition, cpu, **more):
    return {"arm": arm, "repetition": repetition, "warm_up": repetition == 0, "cpu": cpu, **more}


# The table's arithmetic -------------------------------------------------------------------------------------------


def test_a_ratio_is_taken_within_each_repetition_and_the_warm_up_does_not_count(table):
    records = [record("slow", 0, 900.0), record("fast", 0, 1.0)]
    records += [record("slow", k, 2.0 * k + k * k) for k in (1, 2, 4)] + [
        record("fast", k, float(k)) for k in (4, 2, 1)
    ]
    assert table.ratios(records, "slow", "fast", "cpu") == (4.0, 3.0, 6.0)
    assert table.ratios(records, "fast", "slow", "cpu").median == 0.25
    assert table.spread(records, "slow", "cpu") == (8.0, 3.0, 24.0)


@pytest.mark.parametrize("power", [0.0, 1.0, 2.5, -1.0])
def test_the_exponent_of_a_power_law_is_found(table, power):
    sizes = [10, 100, 1000]
    assert table.exponent(sizes, [7 * size**power for size in sizes]) == pytest.approx(power)


@pytest.mark.parametrize(
    ("value", "words"),
    [(1.234, "1.23"), (123.4, "123"), (12345.0, "12,345"), (0.01234, "0.0123"), (0.0, "0.0"), (1e-5, "1.00e-05")],
)
def test_numbers_are_told_with_three_digits(table, value, words):
    assert table.digits(value) == words


def test_every_arm_runs_once_a_repetition_in_changing_order(module):
    done = []
    arms = {name: lambda name=name: done.append(name) or {"cpu": 1.0} for name in "abc"}
    records = module("benchmarks._timing").interleave(arms, repeats=6)
    rounds = [tuple(done[k : k + 3]) for k in range(0, len(done), 3)]
    assert len(rounds) == 7 and all(sorted(one) == list("abc") for one in rounds) and len(set(rounds)) > 1
    assert [r["warm_up"] for r in records] == [True] * 3 + [False] * 18
    assert [r["arm"] for r in records] == done
    unwarmed = module("benchmarks._timing").interleave(arms, repeats=2, warm_up=False)
    assert len(unwarmed) == 6 and not any(r["warm_up"] for r in unwarmed)


def test_one_more_job_is_the_slope_and_its_training_leaves_out_the_first_job(module):
    sweep = module("benchmarks.sweep")
    records = []
    for repetition, each in ((0, 50.0), (1, 2.0), (2, 3.0)):
        for jobs in (1, 5, 9):
            fits = [9.0] + [0.5 * repetition] * (jobs - 1)
            records.append(record(str(jobs), repetition, 0.0, jobs=jobs, wall=7 + each * jobs, fit_seconds=fits))
    assert sweep.slopes(records, "wall") == pytest.approx([2.0, 3.0])
    assert sweep.fit_means(records) == pytest.approx([0.5, 1.0])


def test_imports_are_read_with_their_own_time_and_those_that_asked_for_them(module):
    startup = module("benchmarks.startup")
    told = (
        "import time: self [us] | cumulative | imported package\n"
        "import time:       100 |        100 |     numpy.core\n"
        "import time:      2000 |       2100 |   numpy\n"
        "noise\n"
        "import time:   3000000 |    3002100 | torch\n"
        "import time:        50 |         50 | torch.nn\n"
    )
    modules = startup.imports(told)
    assert [module.name for module in modules] == ["numpy.core", "numpy", "torch", "torch.nn"]
    assert modules[0].asked_by == ("numpy", "torch") and modules[3].asked_by == ()
    assert startup.heaviest(modules).rows == [
        ["torch", "3.00", "the command itself"],
        ["numpy", "0.00210", "torch"],
        ["all", "3.00", ""],
    ]


# The command line -------------------------------------------------------------------------------------------------


def test_every_part_is_found_and_says_what_it_holds_equal(module):
    assert set(module("benchmark").parts()) == PARTS
    assert all(len(module(f"benchmarks.{name}").__doc__) > 200 for name in PARTS)


def test_quick_repeats_less_unless_told_otherwise(module):
    arguments = module("benchmark").arguments
    assert arguments([]).repeats == 5 and arguments([]).parts == []
    assert arguments(["sweep", "--quick"]).repeats == 2
    assert arguments(["--quick", "--repeats", "7"]).repeats == 7
    assert arguments(["growth", "input"]).parts == ["growth", "input"]
    assert arguments([]).out == Path("outputs/benchmark")


@pytest.mark.parametrize("words", [["trainning"], ["--repeats", "0"], ["--repeats", "many"]])
def test_a_mistake_on_the_command_line_is_refused(module, words, capsys):
    with pytest.raises(SystemExit) as left:
        module("benchmark").arguments(words)
    assert left.value.code == 2 and words[-1] in capsys.readouterr().err


def test_a_part_is_shown_and_written_with_every_repetition(module, table, monkeypatch, tmp_path, capsys):
    asked = []

    def measure(options):
        asked.append(options)
        made = table.Table("A title", ["what", "ratio"], rows=[["a|b", "1.50"]], notes=["a note"])
        made.records = [record("a|b", k, 1.5) for k in range(3)]
        made.further = [table.Table("Below", ["x"], rows=[["y"]])]
        return made

    monkeypatch.setattr(module("benchmarks.sweep"), "measure", measure)
    module("benchmark").main(["sweep", "--repeats", "2", "--only", "a", "--out", str(tmp_path / "new")])
    assert asked == [table.Options(repeats=2, quick=False, only="a")]
    written = json.loads((tmp_path / "new" / "sweep.json").read_text())
    assert [r["repetition"] for r in written["records"]] == [0, 1, 2] and written["records"][0]["warm_up"]
    assert (
        written["machine"]["threads"] == 1
        and written["machine"]["processor"]
        and written["machine"]["packages"]["torch"]
        and written["machine"]["cores"]
    )
    lines = (tmp_path / "new" / "sweep.md").read_text().splitlines()
    assert lines[:5] == ["**A title**", "", "| what | ratio |", "| --- | ---: |", "| a/b | 1.50 |"]
    assert "- a note" in lines and "**Below**" in lines and "| y |" in lines
    shown = capsys.readouterr().out
    assert "A title" in shown and "1.50" in shown and str(tmp_path / "new" / "sweep.md") in shown


def test_a_case_that_is_not_there_is_said_to_be_missing(module, table, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(module("benchmarks.sweep"), "measure", lambda options: table.Table("A title", ["what"]))
    module("benchmark").main(["sweep", "--only", "nothing", "--out", str(tmp_path)])
    assert "no case has nothing in its name" in capsys.readouterr().out


# The arms ---------------------------------------------------------------------------------------------------------


def test_all_arms_train_the_same_net(module, tmp_path):
    """Without noise, and with all items in one batch, each arm must come to the same weights."""
    training, problems = module("benchmarks.training"), module("benchmarks._problem")
    words = ["experiment=sine", "dataset.waves=40", "dataset.samples=16", "dataset.batch_size=64"]
    words += ["architecture.widths=[8]", "latent=point", "latent.dim=2", "optimizer.lr=0.01"]
    problem = problems.Problem([*words, *training.EQUAL], epochs=4)
    first, trained = problem.variant().state_dict(), []

    def kept(prepare, problem, folder):
        fit = prepare(problem, folder)
        assert same(fit.net.state_dict(), first)
        trained.append(fit.net.state_dict())
        return fit

    for prepare in training.ARMS.values():
        counted = training.run_arm(partial(kept, prepare), problem)
        assert counted["steps"] == 4 and counted["cpu"] > 0 and counted["wall"] > 0
    assert len(trained) == 3 and all(same(weights, trained[0]) for weights in trained)
    assert not same(first, trained[0])


def same(weights, others):
    assert weights.keys() == others.keys()
    return all(torch.allclose(weights[name], others[name], atol=1e-4) for name in weights)


@pytest.mark.parametrize("name", ["wgan_gp", "flow_matching", "ddpm"])
def test_the_loop_by_hand_takes_the_steps_of_the_method(module, monkeypatch, name):
    """With the same numbers in the place of chance, both arms must come to the same weights and averages."""
    training, problems = module("benchmarks.training"), module("benchmarks._problem")
    workload, least = training.WORKLOADS[name], {"randn": -1.5, "rand": 0.1}
    words = [
        *workload.words,
        *training.EQUAL,
        "dataset.keep=[0]",
        "dataset.batch_size=200",
        "architecture.widths=[8]",
        "latent.dim=3",
    ]
    words += ["variant.critic_steps=1"] if name == "wgan_gp" else []
    trained = {}

    def numbers(kind):
        def made(*shape, **settings):
            size = torch.Size(shape[0] if shape and not isinstance(shape[0], int) else shape)
            return torch.linspace(least[kind], -least[kind] if kind == "randn" else 0.9, size.numel()).view(size)

        return made

    def fit(arm, epochs):
        problem = problems.Problem(words, epochs, workload.net)
        before = {key: values.clone() for key, values in problem.variant().named_parameters()}

        def kept(prepare, problem, folder):
            made = prepare(problem, folder)
            trained[arm, epochs] = dict(made.net.named_parameters())
            return made

        training.run_arm(partial(kept, training.ARMS[arm]), problem)
        return before

    with monkeypatch.context() as patched:
        for kind in least:
            patched.setattr(torch, kind, numbers(kind))
        patched.setattr(torch, "randn_like", lambda x: numbers("randn")(x.shape))
        patched.setattr(torch, "randperm", lambda n, **settings: torch.arange(n))
        before = fit("by hand", 4)
        fit("vaelab", 4)
        fit("vaelab", 5)
    ours, theirs, later = trained["vaelab", 4], trained["by hand", 4], trained["vaelab", 5]
    learnt = {key for key in before if not key.startswith(("averaged", "likelihood"))}
    averages = {key for key in before if key.startswith("averaged")}
    assert learnt and averages and all(not torch.equal(theirs[key], before[key]) for key in averages)
    assert same({key: theirs[key] for key in learnt}, {key: ours[key] for key in learnt})
    # An average is taken when the next step begins.
    assert same({key: theirs[key] for key in averages}, {key: later[key] for key in averages})


def test_a_workload_becomes_a_row_of_ratios_to_the_loop_by_hand(module):
    training, problems = module("benchmarks.training"), module("benchmarks._problem")
    problem = problems.Problem(["experiment=sine", "dataset.waves=100", "dataset.batch_size=40"], epochs=2)
    times = {training.REFERENCE: 1.0, "vaelab": 1.5, "Lightning": 3.0, "pythae": 2.0}
    records = [
        record(arm, k, cpu * (k + 1), steps=4, pictures_cpu=0.25 * (k + 1))
        for arm, cpu in times.items()
        for k in (0, 1)
    ]
    row = training.row("made up", problem, records)
    assert row[:4] == ["made up", "4", "2", "500"]
    assert [cell.split()[0] for cell in row[4:]] == ["1.50", "1.25", "3.00", "2.00"]
    assert training.row("made up", problem, [r for r in records if r["arm"] != "pythae"])[-1] == "—"
    with pytest.raises(AssertionError, match="different numbers of steps"):
        training.row("made up", problem, [*records[1:], record("vaelab", 2, 1.0, steps=5, pictures_cpu=0.0)])


def test_without_pythae_a_note_of_one_line_says_so(module, table, monkeypatch, tmp_path):
    peers = module("benchmarks._pythae")

    def refuse(command):
        raise OSError("no network")

    monkeypatch.setenv("VAELAB_CACHE", str(tmp_path))
    monkeypatch.setattr(peers, "_call", refuse)
    made = table.Table("A title", ["what"])
    with peers.pythae_or_none(made) as pythae:
        assert pythae is None
    (note,) = made.notes
    assert "pythae" in note and "installed" in note and "\n" not in note


def test_the_peers_features_are_the_codecs(module):
    features = module("benchmarks.features")
    waves = torch.randn(3, 4000, generator=torch.Generator().manual_seed(1))
    codec = features.SpectrogramCodec()
    codec.fit(waves[:, None])
    theirs, ours = features.per_clip(waves, features.magnitude), features.in_chunks(codec, waves)
    assert torch.allclose(ours, theirs, atol=1e-5 * float(theirs.max()))
    encoded = codec.encode(waves[:, None]).x[:, 0]
    assert torch.allclose(encoded, features.per_clip(waves, features.scaled), atol=1e-3)


def test_what_is_printed_to_nowhere_still_sees_a_terminal(module, monkeypatch, capsys):
    from rich.console import Console

    monkeypatch.delenv("FORCE_COLOR", raising=False)
    with module("benchmarks._timing").unseen():
        assert Console().is_terminal
        print("a bar")
    assert capsys.readouterr().out == "" and not Console().is_terminal
