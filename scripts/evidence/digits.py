"""Real 8 × 8 digits: how well they come back, and how well the model tells what it has not been trained on.

Data: scikit-learn's 1,797 digits, a tenth of them for the test. Anomalies, each number a mean over the ten digits: *one
class normal* trains on one digit alone and asks for the area under the ROC of the other nine in the test split; *one
class held out* trains on nine and asks for the tenth. The score is the negative ELBO; the baseline is the error of a
PCA with as many components.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence

from evidence._bench import Bench, Case, Made
from evidence._claims import Claim, at_least

CLASSES = range(10)
SETTINGS = ["latent.dim=8"]
SCORE = ["task=score", "task.draws=64"]


def claims(bench: Bench) -> list[Claim]:
    """Pictures, then anomalies."""
    case = bench.case("experiment=digits", *short(bench, 40))
    pca = {name: {"PCA": f"image/baseline/pca_{name}"} for name in ("psnr_db", "ssim")}
    return [
        case.row("PSNR (dB)", "image/psnr_db", at_least(bench.pick(21, 15)), pca["psnr_db"], digits=2),
        case.row("SSIM", "image/ssim", at_least(bench.pick(0.91, 0.6)), pca["ssim"]),
        *anomalies(bench, "one class normal", lambda digit: [digit], bench.pick(0.995, 0.9)),
        *anomalies(bench, "one class held out", others, bench.pick(0.95, 0.6)),
    ]


def short(bench: Bench, epochs: int) -> list[str]:
    """What makes a training quick."""
    return bench.pick([], [f"trainer.max_epochs={epochs}"])


def others(digit: int) -> list[int]:
    """All digits but this one."""
    return [other for other in CLASSES if other != digit]


def anomalies(bench: Bench, name: str, normal: Callable[[int], list[int]], least: float) -> list[Claim]:
    """The area under the ROC by the score, and, only told, by what it is made of."""
    digits = bench.pick(list(CLASSES), [7, 8])
    keep = [f"[{','.join(map(str, normal(digit)))}]" for digit in digits]
    words = ["experiment=digits", *SETTINGS, *short(bench, 40)]
    whole = []
    for seed in bench.seeds:
        trained = [bench.train(*words, f"dataset.keep={some}", seed=seed) for some in keep]
        whole.append(together(trained, [bench.sample(run, *SCORE) for run in trained]))
    train = bench.command("train.py", "-m", *words, f"dataset.keep={','.join(keep)}")
    case = Case(whole, f"{train}; of each: {bench.command('sample.py', 'run=RUN_DIR', *SCORE)}")
    pca = {"PCA": "score/baseline/auroc_pca_error"}
    area = f"{name}: mean AUROC of"
    return [
        case.row(f"{area} the negative ELBO", "score/auroc_negative_elbo", at_least(least), pca, digits=4),
        case.row(f"{area} the reconstruction error", "score/auroc_reconstruction_error", None, pca, digits=4),
        case.row(f"{area} the KL", "score/auroc_kl", None, pca, digits=4),
    ]


def together(trained: Sequence[Made], scored: Sequence[Made]) -> Made:
    """All digits as one run: the means of their measures."""
    names = scored[0].metrics
    means = {name: statistics.fmean(made.metrics.get(name, math.nan) for made in scored) for name in names}
    return Made(scored[0].folder.parent, means, sum(made.seconds for made in [*trained, *scored]))
