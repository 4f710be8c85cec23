"""What the terms of the objective do, on real 8 × 8 digits with a likelihood of their 17 grey levels.

One sweep of beta: the rate (KL) falls and the distortion (−log-likelihood) rises; at 20 no latent unit is left, and
free bits bring them back. Then beta constant, rising and cyclic for as many steps: told only, whatever comes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from evidence._bench import Bench, Case, Made
from evidence._claims import Claim, at_least, at_most, exactly

BETAS = (0.1, 0.5, 1, 2, 4, 8, 20)
FREE_BITS = "objective.free_bits=0.25"
UNITS = 16
EPOCHS = 60
OTHERS = ("linear", "cyclic")


def claims(bench: Bench) -> list[Claim]:
    """The sweep, free bits, the schedules."""
    # Not more epochs: with a small beta the best, by the objective itself, comes early.
    words = ["experiment=digits", "likelihood=logistic", "likelihood.levels=17", f"trainer.max_epochs={EPOCHS}"]
    swept = [*words, f"beta_schedule.value={','.join(map(str, BETAS))}"]
    jobs = [bench.sweep(*swept, seed=seed) for seed in bench.seeds]
    plot(bench, jobs)
    command = bench.command("train.py", "-m", *swept)
    most = Case([of_seed[-1] for of_seed in jobs], command)
    freed = bench.case(*words, f"beta_schedule.value={BETAS[-1]}", FREE_BITS)
    return [*monotone(bench, jobs, command), *alive(most, freed), *schedules(bench, words)]


def monotone(bench: Bench, jobs: list[list[Made]], command: str) -> list[Claim]:
    """The rate never rises with beta, the distortion never falls."""
    case = Case([Made(bench.out, steps(of_seed), sum(job.seconds for job in of_seed)) for of_seed in jobs], command)
    expected = at_most(0)
    return [
        case.row("largest rise of the KL from one beta to the next (nats)", "kl_rise", expected, digits=2),
        case.row("largest fall of the distortion likewise (nats)", "distortion_fall", expected, digits=2),
        case.row("KL at beta 0.1 (nats)", "kl_first", digits=1),
        case.row("KL at beta 20 (nats)", "kl_last", digits=2),
        case.row("distortion at beta 0.1 (nats)", "distortion_first", digits=1),
        case.row("distortion at beta 20 (nats)", "distortion_last", digits=1),
    ]


def steps(jobs: Sequence[Made]) -> dict[str, float]:
    """How rate and distortion change from one beta to the next, and where they begin and end."""
    kl, distortion = rates(jobs)
    return {
        "kl_rise": max(after - before for before, after in pairwise(kl)),
        "distortion_fall": max(before - after for before, after in pairwise(distortion)),
        "kl_first": kl[0],
        "kl_last": kl[-1],
        "distortion_first": distortion[0],
        "distortion_last": distortion[-1],
    }


def rates(jobs: Sequence[Made]) -> tuple[list[float], list[float]]:
    """KL and −log-likelihood of each beta's run, in nats."""
    return [job.metrics["test/kl"] for job in jobs], [-job.metrics["test/log_likelihood"] for job in jobs]


def alive(most: Case, freed: Case) -> list[Claim]:
    """No unit is left at the largest beta; free bits bring them back, to a better bound."""
    units = "test/active_units"
    return [
        most.row(f"active units of {UNITS} at beta 20", units, exactly(0), digits=0),
        freed.row(f"active units of {UNITS} at beta 20 with free bits 0.25", units, exactly(UNITS), digits=0),
        freed.less(most).row("ELBO gained by free bits at beta 20 (nats)", "test/elbo", at_least(10), digits=2),
    ]


def schedules(bench: Bench, words: list[str]) -> list[Claim]:
    """The bound at beta = 1 of each schedule, and what it has over the constant one with the same seed."""
    constant = bench.case(*words)
    rows = [constant.row("ELBO, beta constant (nats)", "test/elbo", digits=2)]
    for name in OTHERS:
        case = bench.case(*words, f"beta_schedule={name}")
        rows.append(case.row(f"ELBO, beta {name} (nats)", "test/elbo", digits=2))
        rows.append(case.less(constant).row(f"ELBO, beta {name} over constant (nats)", "test/elbo", digits=2))
    return rows


def plot(bench: Bench, jobs: list[list[Made]]) -> None:
    """`beta_sweep.png`: means over the seeds."""
    from vaelab.figures.sweep import rate_distortion

    both = [rates(of_seed) for of_seed in jobs]
    bench.out.mkdir(parents=True, exist_ok=True)
    figure = rate_distortion(BETAS, [kl for kl, _ in both], [distortion for _, distortion in both])
    figure.savefig(bench.out / "beta_sweep.png")
