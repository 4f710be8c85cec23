import math
import statistics

import pytest

from vaelab.report.comparison import (
    Job,
    budget,
    compare,
    document,
    lost_jobs,
    notes,
    overview,
    shown_measures,
    unknown_rank,
    with_spread,
)

RANK = "sample/energy_distance"


def job(number, words, lost=None, why="", **measures):
    changes = dict(word.split("=", 1) for word in words.split())
    return Job(str(number), changes, {name.replace("__", "/"): value for name, value in measures.items()}, lost, why)


def swept(values, **more):
    """One job a method and seed."""
    pairs = [(method, seed, value) for method, of_seeds in values.items() for seed, value in enumerate(of_seeds)]
    return [
        job(k, f"variant={method} seed={seed}", sample__energy_distance=value, **more)
        for k, (method, seed, value) in enumerate(pairs)
    ]


JOBS = swept({"image": [0.3, 0.4, 0.5], "gan": [0.1, 0.2, 0.6], "flow": [0.2, 0.2, 0.2]})


def test_groups_are_means_over_seeds_with_the_deviation_of_n_less_one():
    groups = compare(JOBS).groups
    assert [group.swept for group in groups] == [("image",), ("gan",), ("flow",)]
    assert groups[0].cell(RANK) == "0.40 ± 0.10"
    assert groups[1].cell(RANK) == f"0.30 ± {statistics.stdev([0.1, 0.2, 0.6]):.2f}" == "0.30 ± 0.26"
    assert groups[2].cell(RANK) == "0.2 ± 0"
    assert "n − 1" in notes(compare(JOBS))[0]


def test_one_seed_has_no_spread():
    (first, second) = compare(
        [*swept({"image": [0.3, 0.4]}), job(2, "variant=gan seed=0", sample__energy_distance=0.25)]
    ).groups
    assert (first.cell(RANK), second.cell(RANK)) == ("0.350 ± 0.071", "0.25")


@pytest.mark.parametrize(
    ("mean", "spread", "told"),
    [
        (0.34567, 0.00432, "0.3457 ± 0.0043"),
        (1234.5, 123.4, "1,234 ± 123"),
        (98765.4, 9.87, "98,765.4 ± 9.9"),
        (1e-9, 2e-10, "1e-09 ± 2.0e-10"),
        (3e8, 2e7, "3e+08 ± 2.0e+07"),
        (0.5, 0.0, "0.5 ± 0"),
        (0.5, None, "0.5"),
        (-31.36, 0.33, "-31.36 ± 0.33"),
    ],
)
def test_a_mean_has_as_many_digits_as_its_spread_lets_mean_something(mean, spread, told):
    assert with_spread(mean, spread) == told


@pytest.mark.parametrize(("measure", "order"), [(RANK, ["c", "a", "b"]), ("image/ssim", ["b", "a", "c"])])
def test_groups_come_best_first_whichever_way_is_better_and_those_without_the_measure_last(measure, order):
    values = {"none": [], "b": [3.0, 3.2], "c": [1.0, 1.1], "a": [2.0, 2.1]}
    jobs = [job(9, "variant=none seed=0", other__x=1.0)]
    for name, of_seeds in values.items():
        for seed, value in enumerate(of_seeds):
            jobs.append(Job(f"{name}{seed}", {"variant": name, "seed": str(seed)}, {measure: value}))
    compared = compare(jobs, measure)
    assert [group.swept[0] for group in compared.groups] == [*order, "none"]
    assert overview(compared, [measure]).head[1] == measure + (" ↓" if measure == RANK else " ↑")
    assert f"best first by {measure}: {'less' if measure == RANK else 'more'} is better" in notes(compared)


def test_a_rank_that_no_job_has_leaves_the_order_and_the_nearest_names_are_told():
    compared = compare(JOBS, "sample/energy")
    assert compared.rank is None and [group.swept[0] for group in compared.groups] == ["image", "gan", "flow"]
    told = unknown_rank("sample/energy", [RANK, "test/elbo"])
    assert told == f"report.rank=sample/energy is no measure of these jobs: did you mean {RANK}?"
    assert "sweep.csv" in unknown_rank("qqqq", [RANK])


def test_what_else_was_swept_makes_the_groups_and_what_was_not_is_no_column():
    jobs = [
        job(k, f"latent.dim={dim} optimizer.lr={rate} seed={seed} threads=1", x=k)
        for k, (dim, rate, seed) in enumerate((d, r, s) for d in (2, 4) for r in (0.1, 0.2) for s in (0, 1))
    ]
    cells = overview(compare(jobs), ["x"])
    assert cells.head == ["latent.dim", "optimizer.lr", "x", "runs"]
    assert [row[:3] for row in cells.rows] == [
        ["2", "0.1", "0.50 ± 0.71"],
        ["2", "0.2", "2.50 ± 0.71"],
        ["4", "0.1", "4.50 ± 0.71"],
        ["4", "0.2", "6.50 ± 0.71"],
    ]


def test_another_setting_that_is_called_seed_is_no_seed():
    compared = compare([job(k, f"dataset.seed={k} seed=0", x=1.0) for k in range(2)])
    assert not compared.by_seed and compared.keys == ["dataset.seed"]


def test_a_sweep_without_seeds_has_one_row_a_job_and_may_be_ranked():
    jobs = [job(k, f"latent.dim={k}", test__elbo=value) for k, value in enumerate([1.0, 3.0, 2.0])]
    jobs.append(job(3, "latent.dim=-1", lost="failed", why="no dimension"))
    assert overview(compare(jobs), ["test/elbo"]).rows == [
        ["0", "0", "1", ""],
        ["1", "1", "3", ""],
        ["2", "2", "2", ""],
        ["3", "-1", "", "no dimension"],
    ]
    ranked = overview(compare(jobs, "test/elbo"), ["test/elbo"])
    assert ranked.head == ["job", "latent.dim", "test/elbo ↑", "failed"]
    assert [row[0] for row in ranked.rows] == ["1", "2", "0", "3"]
    assert not notes(compare(jobs)) and not lost_jobs(compare(jobs))


def test_runs_that_failed_diverged_or_were_cut_off_are_counted_and_their_reasons_told_once():
    lost = [("failed", "no room"), ("diverged", "became nan"), ("diverged", "became nan"), ("cut off", "cut off")]
    jobs = [*swept({"image": [0.1, 0.2]}), *(job(2 + k, f"variant=gan seed={k}", *how) for k, how in enumerate(lost))]
    cells = overview(compare(jobs), [RANK])
    assert cells.head == ["variant", RANK, "runs", "failed", "diverged", "cut off"]
    assert cells.rows == [["image", "0.150 ± 0.071", "2", "0", "0", "0"], ["gan", "", "4", "1", "2", "1"]]
    assert [" ".join(line.split()) for line in lost_jobs(compare(jobs))] == [
        "failed 2: no room",
        "diverged 3, 4: became nan",
        "cut off 5",
    ]


def test_a_mean_is_over_the_runs_that_have_the_measure():
    jobs = [*swept({"image": [0.1, 0.3]}), job(2, "variant=image seed=2", "failed", "x"), *swept({"gan": [1.0]})]
    assert compare(jobs).groups[0].cell(RANK) == "0.20 ± 0.14"


def test_the_measure_that_ranks_comes_first_then_those_that_all_groups_have():
    vae = {"test__elbo": 1.0, "sample__energy_distance": 1.0, "sample__baseline__gaussian_energy_distance": 1.0}
    gan = {"test__loss": 1.0, "sample__energy_distance": 1.0, "sample__coverage": 1.0, "epochs": 3.0}
    jobs = [
        job(0, "variant=vae seed=0", **vae, sample__coverage=1.0, fit_seconds=2.0),
        job(1, "variant=gan seed=1", **gan),
    ]
    assert shown_measures(compare(jobs)) == [RANK, "sample/coverage"]
    assert shown_measures(compare(jobs, "test/elbo")) == ["test/elbo", RANK, "sample/coverage"]
    assert overview(compare(jobs), [RANK]).head == ["variant", RANK, "fit_seconds", "runs"]


def test_samples_a_second_stand_beside_the_seconds_of_the_training_where_they_are_measured():
    jobs = [job(k, f"variant={k} seed={k}", sample__per_second=5.0, fit_seconds=1.0) for k in range(2)]
    assert overview(compare(jobs), []).head == ["variant", "fit_seconds", "sample/per_second", "runs"]


def test_the_measure_that_ranks_is_told_with_its_baselines():
    floor = {"sample__baseline__gaussian_energy_distance": 0.25, "sample__ceiling__train_energy_distance": 0.01}
    jobs = swept({"image": [0.3, 0.4]}, **floor)
    assert notes(compare(jobs, RANK))[-1] == "beside it: gaussian 0.25, train 0.01"
    # Of other data they may be others.
    other = job(9, "variant=gan seed=0", **(floor | {"sample__baseline__gaussian_energy_distance": 0.5}))
    assert notes(compare([*jobs, other], RANK))[-1] == "beside it: gaussian 0.25 to 0.5, train 0.01"


@pytest.mark.parametrize(
    ("steps", "limits", "told"),
    [
        ([1200, 1200], [None, None], "budget: 1,200 steps for each job"),
        ([1200, 300], [None, None], "budget: not the same, 300 to 1,200 steps"),
        ([1200, 300], ["00:00:01:00"] * 2, "budget: trainer.max_time=00:00:01:00 for each job; 300 to 1,200 steps"),
        (
            [1200, 300],
            ["00:00:01:00", None],
            "budget: not the same, jobs differ in trainer.max_time; 300 to 1,200 steps",
        ),
        ([1200], [None], ""),
    ],
)
def test_what_jobs_were_trained_for_is_told(steps, limits, told):
    jobs = [job(k, "", steps_per_second=n / 7.3, fit_seconds=7.3) for k, n in enumerate(steps)]
    assert budget([*jobs, job(9, "", "failed", "x")], [*limits, None]) == told


def test_the_document_has_the_table_what_it_says_and_every_measure_of_every_group():
    jobs = swept({"a|b": [0.5, 0.7], "gan": [0.1, 0.3]}, test__elbo=-3.0, sine__x=math.pi)
    told = document(compare(jobs, RANK), "budget: 3 steps for each job")
    lines = told.splitlines()
    assert lines[0] == "budget: 3 steps for each job"
    assert lines[2:6] == [
        f"| variant | {RANK} ↓ | test/elbo | sine/x | runs |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| **gan** | **0.20 ± 0.14** | **-3 ± 0** | **3.142 ± 0** | **2** |",
        r"| a\|b | 0.60 ± 0.14 | -3 ± 0 | 3.142 ± 0 | 2 |",
    ]
    assert r"| measure | gan | a\|b |" in lines and "| sine/x | 3.142 ± 0 | 3.142 ± 0 |" in lines


def test_groups_of_several_settings_are_named_by_them_and_one_alone_is_all_seeds():
    jobs = [job(k, f"latent.dim={k // 2} variant={k // 2} seed={k % 2}", x=1.0) for k in range(4)]
    assert [compare(jobs).title(group) for group in compare(jobs).groups] == [
        "latent.dim=0, variant=0",
        "latent.dim=1, variant=1",
    ]
    alone = compare(jobs[:2])
    assert [alone.title(group) for group in alone.groups] == ["all seeds"]
