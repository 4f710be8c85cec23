"""Galaxies: held-out barred spirals, ellipticals and spirals in a code of fifty numbers.

Data: 3,000 procedural galaxies in three colours, of 64 x 64 pixels; of 128 x 128 for the published fully connected net,
49152-500-50, whose reconstructions were never measured. Baselines: PCA with fifty components, and the mean picture.
The class is told from codes of test items by a logistic regression; `majority` is a guess. R² of what is known of a
galaxy is told by a random forest; a position angle is the mean of two R², of its double's cosine and sine. Eight frames
lead from one galaxy to another: the shortest step, by the mean one, is 0 where two frames are the same.

The net begins at the best linear code of fifty numbers. Five minutes of one thread bring back arms that it does not
have; what the codes tell of a galaxy stays near what PCA's do.
"""

from __future__ import annotations

import numpy as np

from evidence._bench import Bench, Case, Made
from evidence._claims import Claim, Range, at_least

KNOWN = ("radius", "axis_ratio", "bulge", "redness", "brightness")
ANGLE = ("position_cos", "position_sin")
FRAMES = ["task=interpolate", "task.n=8"]


def claims(bench: Bench) -> list[Claim]:
    """The net that begins at a linear code and what its codes tell, then the published one."""
    case = bench.case("experiment=galaxies", *short(bench))
    net = ["architecture=mlp", "architecture.widths=[500]", *bench.pick(["dataset.size=128"], [])]
    published = bench.case("experiment=galaxies", *net, *short(bench))
    rows = pictures(case, "", at_least(bench.pick(27.2, 15)))
    rows += told(bench, case)
    rows += pictures(published, "49152-500-50: ", None)
    return [*rows, *told(bench, published, "49152-500-50: ")[:1]]


def short(bench: Bench) -> list[str]:
    """What makes a training quick."""
    return bench.pick([], ["dataset.items=300", "dataset.size=32", "trainer.max_epochs=3"])


def pictures(case: Case, name: str, psnr: Range | None) -> list[Claim]:
    """How near reconstructions are."""
    pca = {name: {"PCA": f"image/baseline/pca_{name}"} for name in ("psnr_db", "ssim", "sharpness_ratio")}
    nearest = pca["psnr_db"] | {"mean": "image/baseline/mean_psnr_db"}
    return [
        case.row(f"{name}PSNR (dB)", "image/psnr_db", psnr, nearest, digits=2),
        case.row(f"{name}SSIM", "image/ssim", None, pca["ssim"]),
        case.row(f"{name}sharpness ratio", "image/sharpness_ratio", None, pca["sharpness_ratio"]),
    ]


def told(bench: Bench, case: Case, name: str = "") -> list[Claim]:
    """The class and the known quantities that codes tell, and the path between two galaxies."""
    embedded = Case(
        [bench.sample(run, "task=embed") for run in case.runs],
        f"{case.command}; of each: {bench.command('sample.py', 'run=RUN_DIR', 'task=embed')}",
    )
    beside = {"PCA": "embed/baseline/pca_probe_accuracy", "majority": "embed/baseline/majority"}
    rows = [embedded.row(f"{name}class told", "embed/probe_accuracy", at_least(bench.pick(0.6, 0.4)), beside)]
    angled = Case([with_angle(run) for run in case.runs], case.command)
    for quantity in (*KNOWN, "position_angle"):
        label, pca = f"{name}{quantity.replace('_', ' ')}: R²", {"PCA": f"image/baseline/pca_r2_{quantity}"}
        rows.append(angled.row(label, f"image/r2_{quantity}", None, pca))
    paths = [bench.sample(run, *FRAMES, result="path.npy") for run in case.runs]
    walked = Case(
        [Made(made.folder, {"evenness": evenness(np.load(made.folder / "path.npy"))}, made.seconds) for made in paths],
        f"{case.command}; of each: {bench.command('sample.py', 'run=RUN_DIR', *FRAMES)}",
    )
    return [*rows, walked.row(f"{name}eight frames: shortest step by the mean", "evenness", at_least(0.1))]


def with_angle(run: Made) -> Made:
    """The same run, and the mean R² of what the position angle is made of."""
    means = {
        f"image/{prefix}r2_position_angle": float(
            np.mean([run.metrics.get(f"image/{prefix}r2_{part}", np.nan) for part in ANGLE])
        )
        for prefix in ("", "baseline/pca_")
    }
    return Made(run.folder, run.metrics | means, run.seconds)


def evenness(path: np.ndarray) -> float:
    """The shortest of the steps of a path `(frames, …)` by their mean; not a number where it leads nowhere."""
    flat = path.reshape(len(path), -1).astype(float)
    steps = np.linalg.norm(np.diff(flat, axis=0), axis=1)
    return float(steps.min() / steps.mean()) if steps.any() else float("nan")
