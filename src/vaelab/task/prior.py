"""New items from nothing: codes from a density, decoded."""

import math
from dataclasses import dataclass

import torch

from vaelab.latent.densities import Density, sample_codes
from vaelab.memory import NUMBER, check_size
from vaelab.run.checkpoint import Run
from vaelab.task.base import Output

FITTED_ON = 10_000


@dataclass
class Prior:
    """Draw `n` items. `density=prior` needs only the run; gmm and posterior look at its training data.

    `noise` adds the likelihood's own noise to the decoded means.
    """

    n: int = 64
    seed: int = 0
    density: Density = "prior"
    noise: bool = False

    def __call__(self, run: Run, out: Output) -> None:
        """Write `samples.npy`, `samples.png` and, of sound, each as wav."""
        variant = run.variant
        check_size(NUMBER * self.n * math.prod(variant.shape), "task.n")
        codes = None
        if self.density in ("gmm", "posterior"):
            codes = variant.codes(run.data().loader("train", FITTED_ON))
        drawn = sample_codes(self.density, self.n, latent=variant.latent, codes=codes, seed=self.seed)
        noisy = self.noise or variant.samples_are_draws
        x = variant.draw(drawn, self.seed) if noisy else variant.decode(drawn)
        with torch.inference_mode():
            out.array("samples", variant.codec.decode(x))
        out.array("codes", drawn)
        out.figure("samples", variant.sample_figure(x[:64]))
        out.sounds("sample", variant, x)
