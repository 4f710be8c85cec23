"""One comparison of all methods: which modes they find, how near their samples come to true ones, and that none copies.

Mixtures, samples of 2,500: `modes` have a point within three standard deviations of their mean, `high quality` is the
share of points that lie so near to one, and the reverse KL is that of these points' modes against uniform (Lin et al.
2018, section 4.1). Beside them are 2,500 training points, whose reverse KL is not zero either. Published: the GAN, and
the packed GAN of that paper, means of ten trials. The plain GAN is shown as it is at its end: the weights of the last
step, neither averaged nor chosen by validation, of an optimizer with a short memory and a constant rate.

Digits, 8 x 8: the Fréchet distance is that of a classifier's hidden layer between as many samples as there are test
items, and of training items in their place (`floor`); `nearest` is the distance to the nearest training item over that
of test items, near zero for copies. Samples are told by a support vector machine that has seen all real digits: which
class they have, and how wide the classes are beside those of the real.

Stacked digits: 1,000 combinations of three digits; 26,000 samples, told channel by channel by a classifier.

Two moons of radius 3, and 8 normals on a circle of radius 5: the 2-Wasserstein distance of 1,024 samples in 20 steps of
Euler's from as many test points. It is proportional to the scale of the points, which is not known of the published
figures, and of few points far above zero: beside it is that of two draws of real points (`floor`).

Learnt priors: a VAE's samples whose codes are drawn by a flow that is fitted to the codes of training items, beside
those of its prior and of a mixture of 20 normals. The Fréchet distance is that of `sample/frechet`; of sines and sound
without classes it is in principal components.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch

from evidence._bench import Bench, Case, Made
from evidence._claims import NONE, Claim, Range, at_least, at_most

# Without a validation before its end, a run keeps the weights of its last epoch.
LAST = ["trainer.check_val_every_n_epoch=20", "variant.ema=0"]
# What each is trained with on the mixtures, and whether all modes are expected of it.
MIXTURES = {
    "gan": (["experiment=mixture", "variant=gan", "optimizer=adam_gan", *LAST], False),
    "wgan_gp": (["experiment=mixture_gan", "variant=wgan_gp", "variant.penalty=0.01"], True),
    "wgan_div": (["experiment=mixture_gan"], True),
    "ddpm": (["experiment=mixture_flow", "variant=ddpm"], True),
    "flow_matching": (["experiment=mixture_flow"], True),
    "vae": (["experiment=mixture"], False),
}
MODES = {"grid": 25, "ring": 8}
PUBLISHED = {
    "grid": {"modes": "GAN 17.3, PacGAN4 24.8", "high_quality": "GAN .948, PacGAN4 .936", "reverse_kl": ".70, .04"},
    "ring": {"modes": "GAN 6.3, PacGAN4 7.8"},
}
POINTS = {"modes": 1, "high_quality": 3, "reverse_kl": 3}
DIGITS = {
    "image": ["experiment=digits"],
    "vae_gan": ["experiment=digits", "variant=vae_gan"],
    "gan": ["experiment=digits_gan", "variant=gan"],
    "wgan_gp": ["experiment=digits_gan"],
    "wgan_div": ["experiment=digits_gan", "variant=wgan_div"],
    "acgan": ["experiment=digits_acgan"],
    "ddpm": ["experiment=digits", "variant=ddpm"],
    "flow_matching": ["experiment=digits", "variant=flow_matching"],
}
# What is asked of some; of the others it is told.
FRECHET = {"wgan_gp": 3.6, "flow_matching": 3.0}
POINTS_APART = {
    "two moons": (["experiment=moons"], 0.45, ".111"),
    "8 normals": (
        [
            *("experiment=moons", "dataset=mixture", "dataset.layout=ring", "dataset.scale=5", "dataset.std=0.56"),
            *("dataset.points=20000", "dataset.split=[0.8,0.1,0.1]", "dataset.batch_size=256"),
        ],
        0.75,
        ".253",
    ),
}
# A VAE on each kind of data, and the folder of the user's that it needs.
LEARNT = {
    "digits": (["experiment=digits"], ""),
    "sine, Gaussian codes": (["experiment=sine", "latent=gaussian", "latent.dim=8"], ""),
    "MNIST": (["experiment=mnist"], "mnist"),
    "sound": (["experiment=audio", "dataset=audio_folder"], "sound"),
}
FLOW_FRECHET = {"digits": 3.0}
DENSITIES = ("prior", "gmm", "flow")
CLASSES, OF_EACH = 10, 200
WHITE = 255  # of the pictures that a run leaves
NO_COPIES = 0.8


def claims(bench: Bench) -> list[Claim]:
    """Mixtures, digits, stacked digits, distances of points, and learnt priors."""
    rows = [row for layout in bench.pick(("grid", "ring"), ("grid",)) for row in mixture(bench, layout)]
    rows += [row for name in DIGITS for row in digits(bench, name)]
    rows += [row for name in ("gan", "wgan_gp") for row in stacked(bench, name)]
    rows += [apart(bench, name) for name in POINTS_APART]
    return rows + [
        row for name, (_, needs) in LEARNT.items() if needs in ("", *bench.data) for row in learnt(bench, name)
    ]


def mixture(bench: Bench, layout: str) -> list[Claim]:
    """Every method on one layout."""
    rows = []
    for name, (words, whole) in MIXTURES.items():
        quick = bench.pick([], ["dataset.points=12000", "trainer.max_epochs=1"])
        case = bench.case(*words, f"dataset.layout={layout}", *quick)
        expected = {} if bench.quick else wanted(name, layout, whole)
        for measure, digits in POINTS.items():
            beside = {"training points": f"point/ceiling/train_{measure}"}
            told = f"{layout} of {MODES[layout]}, {name}: {measure.replace('_', ' ')}"
            published = PUBLISHED[layout].get(measure, NONE) if name == "gan" else NONE
            rows.append(case.row(told, f"point/{measure}", expected.get(measure), beside, published, digits))
    return rows


def wanted(name: str, layout: str, whole: bool) -> dict[str, Range]:
    """What points must reach: all modes, cleanly and evenly; of the plain GAN on the grid, that it loses some."""
    if whole:
        return {"modes": at_least(MODES[layout]), "high_quality": at_least(0.95), "reverse_kl": at_most(0.02)}
    return {"modes": at_most(20)} if (name, layout) == ("gan", "grid") else {}


def digits(bench: Bench, name: str) -> list[Claim]:
    """One method on the digits."""
    words = [*DIGITS[name], *bench.pick([], ["trainer.max_epochs=20"])]
    case = bench.case(*words)
    floor = {"floor": "sample/ceiling/train_frechet", "one Gaussian": "sample/baseline/gaussian_frechet"}
    most = None if bench.quick or name not in FRECHET else at_most(FRECHET[name])
    found = bench.pick(at_least(1), at_least(0))
    return [
        case.row(f"digits, {name}: share of the classes", "sample/classes_found", found, digits=2),
        case.row(f"digits, {name}: Fréchet distance", "sample/frechet", most, floor, digits=2),
        case.row(
            f"digits, {name}: nearest",
            "sample/nearest_ratio",
            bench.pick(at_least(NO_COPIES), at_least(0)),
            {"one Gaussian": "sample/baseline/gaussian_nearest_ratio"},
            digits=2,
        ),
        *told(bench, name, case, words),
    ]


def told(bench: Bench, name: str, case: Case, words: Sequence[str]) -> list[Claim]:
    """What a classifier of real digits says of samples."""
    asks = name == "acgan"
    asked = ["task=prior", f"task.n={CLASSES * OF_EACH}", *(["task.label=[0,1,2,3,4,5,6,7,8,9]"] if asks else [])]
    made = [bench.sample(run, *asked, result="samples.npy") for run in case.runs]
    runs = [Made(run.folder, judged(run), run.seconds + of.seconds) for run, of in zip(made, case.runs, strict=True)]
    command = f"{bench.command('train.py', *words)}; of each: {bench.command('sample.py', 'run=RUN_DIR', *asked)}"
    judge = Case(runs, command)
    width = bench.pick(Range(0.98, 1.02), Range(0, 10)) if asks else None
    rows = [judge.row(f"digits, {name}: variance within classes over that of the real", "width", width)]
    if asks:
        least = bench.pick(at_least(0.97), at_least(0))
        real = {"real, cross-validated": "real"}
        rows.append(judge.row("digits, acgan: share told to be of the class that was asked for", "agree", least, real))
    return rows


def judged(run: Made) -> dict[str, float]:
    """How often samples are told to be what was asked for, and how wide their classes are beside those of the real."""
    x, y, machine, real = judge()
    samples = np.load(run.folder / "samples.npy").reshape(-1, x.shape[1]) * (x.max() / WHITE)
    label = machine.predict(samples)
    asked = run.folder / "labels.npy"
    own = np.load(asked) if asked.is_file() else label
    return {"width": within(samples, own) / within(x, y), "agree": float((own == label).mean()), "real": real}


@cache
def judge() -> tuple[np.ndarray, np.ndarray, Any, float]:
    """The real digits `(n, 64)`, their classes, a classifier of them, and how good such a one is on unseen digits."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import cross_val_score
    from sklearn.svm import SVC

    x, y = load_digits(return_X_y=True)
    machine = SVC(gamma=0.001, C=10)
    return x, y, machine.fit(x, y), float(cross_val_score(machine, x, y, cv=5).mean())


def within(x: np.ndarray, label: np.ndarray) -> float:
    """The variance of items `(n, numbers)` around the means of their classes, of all numbers together."""
    classes, counts = np.unique(label, return_counts=True)
    apart = [((x[label == one] - x[label == one].mean(0)) ** 2).sum() for one in classes]
    return float(sum(apart) / (counts.sum() - len(classes)))


def stacked(bench: Bench, name: str) -> list[Claim]:
    """One method on the stacks of three digits."""
    words = ["experiment=digits_gan", f"variant={name}", "dataset=stacked_digits"]
    quick = bench.pick(["trainer.max_epochs=30"], ["dataset.items=6000", "trainer.max_epochs=1"])
    case = bench.case(*words, *quick)
    published = {"modes": "DCGAN 99, PacDCGAN2 1,000", "reverse_kl": "PacDCGAN2 .06"}
    ranges = {"modes": at_least(990), "reverse_kl": at_most(0.15)}
    expected = ranges if name == "wgan_gp" and not bench.quick else {}
    return [
        case.row(
            f"stacked digits, {name}: {measure.replace('_', ' ')}",
            f"image/{measure}",
            expected.get(measure),
            {"training items": f"image/ceiling/train_{measure}"},
            published[measure],
            places,
        )
        for measure, places in {"modes": 0, "reverse_kl": 3}.items()
    ]


def apart(bench: Bench, name: str) -> Claim:
    """How far the samples of flow matching lie from points in the plane."""
    words, most, published = POINTS_APART[name]
    case = bench.case(*words, *bench.pick([], ["dataset.points=4000", "trainer.max_epochs=2"]))
    beside = {"floor": "sample/ceiling/train_w2", "one Gaussian": "sample/baseline/gaussian_w2"}
    expected = None if bench.quick else at_most(most)
    return case.row(f"{name}, flow matching with optimal pairing: W2", "sample/w2", expected, beside, published)


def learnt(bench: Bench, name: str) -> list[Claim]:
    """A VAE's samples by a flow of its codes, beside those by its prior and by a mixture."""
    words, needs = LEARNT[name]
    words = [*words, *([f"dataset.root={bench.data[needs]}"] if needs else [])]
    case = bench.case(*words, *bench.pick([], ["trainer.max_epochs=10"]))
    asked = {density: ["task=prior", f"task.density={density}", "task.n=1024"] for density in DENSITIES}
    runs = []
    for run in case.runs:
        drawn = {density: bench.sample(run, *asked[density], result="codes.npy") for density in DENSITIES}
        runs.append(Made(run.folder, distances(run, drawn), run.seconds + sum(made.seconds for made in drawn.values())))
    of_each = bench.command("sample.py", "run=RUN_DIR", *asked["flow"])
    judged = Case(runs, f"{case.command}; of each: {of_each}, and of prior and gmm")
    told = f"{name}, VAE + flow prior: Fréchet distance"
    most = at_most(FLOW_FRECHET[name]) if name in FLOW_FRECHET and not bench.quick else None
    better = bench.pick(at_most(1), None)
    beside = {"prior": "prior", "mixture": "gmm", "floor": "floor"}
    return [
        judged.row(told, "flow", most, beside),
        judged.row(f"{told}, over the better of prior and mixture", "over", better, digits=2),
    ]


def distances(run: Made, drawn: Mapping[str, Made]) -> dict[str, float]:
    """The Fréchet distance from test items of what a run makes of codes, by density; of training items as `floor`."""
    from vaelab.metrics.samples import Reference, compared
    from vaelab.run.checkpoint import load_run

    loaded = load_run(run.folder)
    method, data = loaded.variant, loaded.data()
    n = compared(method.shape)
    true, train = data.batch("test", n).target, data.batch("train", n).target
    reference = Reference(true, train, method.kind.features(data))

    def frechet(x: torch.Tensor) -> float:
        return reference.lot_measures(x[: len(true)])["frechet"]

    codes = {density: torch.from_numpy(np.load(made.folder / "codes.npy")) for density, made in drawn.items()}
    told = {density: frechet(method.made(code, method.seed)) for density, code in codes.items()}
    return told | {"floor": frechet(train), "over": told["flow"] / min(told["prior"], told["gmm"])}
