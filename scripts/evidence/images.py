"""Photos and drawings of one's own in a code of 256 numbers, held out: nearer than the best linear code of that size.

Needs `--data flowers17=FOLDER` (17 kinds of flowers: Nilsback and Zisserman 2006); dogs3, cats_dogs, emoji and
cifar10_jpg are folders of pictures, too, and stand beside it where they are given. All have the same words and steps.

`linear` is the best linear code of the same training pictures, moved and mirrored as training has them, and `DCT` their
cosine frequencies of most variance; plain PCA is of the pictures as they are, and is the weakest where there are few.
"""

from __future__ import annotations

from dataclasses import replace

from evidence._bench import Bench, Case, Made
from evidence._claims import Claim, at_least

NEEDS = "flowers17"
OTHERS = ("dogs3", "cats_dogs", "emoji", "cifar10_jpg")
# Of pictures that are smaller.
SIZES = {"cifar10_jpg": ["dataset.size=32"]}
LINEAR = {"PCA": "pca", "DCT": "dct", "linear": "linear"}


def claims(bench: Bench) -> list[Claim]:
    """Of each folder how near reconstructions are, how much nearer than the best linear code's, and how sharp."""
    rows = []
    for name in (NEEDS, *(name for name in OTHERS if name in bench.data)):
        words = ["experiment=images", f"dataset.root={bench.data[name]}", *SIZES.get(name, [])]
        steps = ["trainer.max_epochs=-1", f"trainer.max_steps={bench.pick(1400, 10)}"]
        case = bench.case(*words, *steps)
        ahead = Case([with_lead(run) for run in case.runs], case.command)
        mean = {"mean": "image/baseline/mean_psnr_db"}
        rows += [
            case.row(f"{name}: PSNR (dB)", "image/psnr_db", None, beside("psnr_db") | mean, digits=2),
            case.row(f"{name}: SSIM", "image/ssim", None, beside("ssim")),
            ahead.row(
                f"{name}: PSNR above the best linear code's (dB)", "psnr_db", at_least(bench.pick(0.5, -3)), digits=2
            ),
            ahead.row(f"{name}: SSIM above the best linear code's", "ssim", at_least(bench.pick(0.02, -1))),
            case.row(f"{name}: sharpness ratio", "image/sharpness_ratio", None, beside("sharpness_ratio")),
        ]
    return rows


def beside(measure: str) -> dict[str, str]:
    """The linear codes' own."""
    return {told: f"image/baseline/{code}_{measure}" for told, code in LINEAR.items()}


def with_lead(run: Made) -> Made:
    """The run with how far it is ahead of the best of the linear codes."""
    found = run.metrics
    lead = {
        name: found[f"image/{name}"] - max(found[f"image/baseline/{code}_{name}"] for code in LINEAR.values())
        for name in ("psnr_db", "ssim")
    }
    return replace(run, metrics=found | lead)
