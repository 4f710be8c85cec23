"""New items from nothing: codes from a density, decoded."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vaelab.data.module import class_numbers
from vaelab.errors import UserError
from vaelab.latent.densities import Density, Sampler, code_sampler
from vaelab.memory import NUMBER, check_size
from vaelab.run.checkpoint import Run
from vaelab.run.flow import flow_of
from vaelab.task.base import Output
from vaelab.variant.base import ABLE, Decodes, HasCode, HasLabels, Method, Stepwise

FITTED_ON = 10_000


@dataclass
class Prior:
    """Draw `n` items. `density=prior` needs only the run; gmm and posterior look at its training data.

    `density=flow` looks at them the first time; what it has learnt of them the run keeps.

    `noise` adds the likelihood's own noise to the decoded means; `steps` is how many a diffusion model or a flow takes
    instead of those that it was trained with in mind. `label` names classes that share the items evenly, one class
    after the other.
    """

    n: int = 64
    seed: int = 0
    density: Density = "prior"
    noise: bool = False
    steps: int | None = None
    label: Sequence[str | int] | None = None

    def __call__(self, run: Run, out: Output) -> None:
        """Write `samples.npy`, `samples.png` and, of sound, each as wav; of classes, `labels.npy`, their numbers."""
        variant = run.variant
        check_size(NUMBER * self.n * math.prod(variant.shape), "task.n")
        if self.steps is not None:
            self._set_steps(run)
        codes, label = None, None
        if self.label is not None:
            label = self._labels(variant, self.label)
            assert isinstance(variant, HasLabels)
            x = variant.sample_of(label, self.seed)
        elif isinstance(variant, Decodes):
            codes = self._codes(run)
            x = variant.made(codes, self.seed, noise=self.noise)
        elif self.noise or self.density != "prior":
            raise UserError(f"variant={variant.name} makes new items without a code: leave task.density and noise")
        else:
            x = variant.sample(self.n, self.seed)
        with torch.inference_mode():
            out.array("samples", variant.codec.decode(x))
        if codes is not None:
            out.array("codes", codes)
        if label is not None:
            out.array("labels", label)
        out.figure("samples", variant.kind.sample_figure(x[:64]))
        out.sounds("sample", variant.kind, x)

    def _set_steps(self, run: Run) -> None:
        if not isinstance(run.variant, Stepwise):
            raise UserError(f"variant={run.variant.name} makes an item at once: leave task.steps=null")
        assert self.steps is not None
        run.variant.in_steps(self.steps, "task.steps")

    def _labels(self, variant: Method, words: Sequence[str | int]) -> Tensor:
        """`(n,)` class numbers. Raises `UserError` for classes that the model does not know."""
        if not isinstance(variant, HasLabels) or not len(variant.labels()):
            raise UserError(f"task.label needs {ABLE[HasLabels]}, and variant={variant.name} has none: leave it null")
        if self.noise or self.density != "prior":
            raise UserError("task.label draws from the prior of each class: leave task.density and task.noise")
        names, known = variant.signature.label_names, variant.labels()
        numbers = torch.tensor(class_numbers("task.label", words, [names[k] for k in known.tolist()]))
        if self.n < len(numbers):
            raise UserError(f"task.n={self.n} leaves some of the {len(numbers)} classes of task.label without an item")
        return known[numbers[torch.arange(self.n) * len(numbers) // self.n]]

    def _codes(self, run: Run) -> Tensor:
        if self.n < 1:
            raise UserError(f"task.n must be at least 1, not {self.n}")
        return sampler_of(run, self.density, self.seed)(self.n, 0)


def sampler_of(run: Run, density: Density, seed: int) -> Sampler:
    """Draws codes from a density of a run, as `code_sampler` says.

    Raises:
        UserError: if the model has no code of an item, and the density needs one; as `flow_of`.
    """
    assert isinstance(run.variant, Decodes)
    codes, flow = None, None
    if density != "prior":
        if not isinstance(run.variant, HasCode):
            needs = f"task.density={density} needs {ABLE[HasCode]}"
            raise UserError(f"{needs}, and variant={run.variant.name} has none: prior")
        if density == "flow":
            flow = flow_of(run)
        else:
            codes = run.variant.codes(run.data().loader("train", FITTED_ON))
    return code_sampler(density, latent=run.variant.latent, codes=codes, seed=seed, flow=flow)
