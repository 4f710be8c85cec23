"""The way from one item to another through the latent space."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor

from vaelab.errors import UserError
from vaelab.latent.base import Latent
from vaelab.latent.flow import Flow
from vaelab.run.checkpoint import Run
from vaelab.run.flow import flow_of
from vaelab.task.base import Output, check_numbers, chosen_items, code_means, encode, evenly, read_file
from vaelab.variant.base import HasCode

Path = Literal["lerp", "slerp", "flow"]
SHOWN = 100  # steps in the figure: more have no room in it


@dataclass
class Interpolate:
    """`n` steps from one item to another, ends included: test items by `between`, or two files by `files`.

    Without either, two test items are drawn. The figure shows at most 100 of the steps, evenly chosen.

    `path=lerp` goes straight; `path=slerp` along the arc (Shoemake 1985), whose middle is as far from the origin as
    its ends, as most of a Gaussian prior's mass is; `path=flow` where the codes of training items are, as the run's
    learnt density knows them, by the arc between what it makes the two ends of.
    """

    needs: ClassVar[type] = HasCode

    n: int = 10
    path: Path = "slerp"
    between: list[int] | None = None
    files: list[str] = field(default_factory=list)

    def __call__(self, run: Run, out: Output) -> None:
        """Write `path.npy`, `path.png` and, of sound, each step as wav."""
        if self.n < 2:
            raise UserError(f"task.n must be at least 2, both ends, not {self.n}")
        check_numbers("task.n", self.n, run)
        x, level = self._ends(run)
        start, end = code_means(run, x)
        variant = run.variant
        assert isinstance(variant, HasCode)
        flow = flow_of(run) if self.path == "flow" else None
        decoded = variant.decode(way(start, end, self.n, self.path, variant.latent, flow))
        levels = torch.lerp(level[0], level[1], torch.linspace(0, 1, self.n))
        out.array("path", run.variant.codec.decode(decoded, levels))
        shown = evenly(self.n, SHOWN)
        if len(shown) < self.n:
            print(f"the figure shows {len(shown)} of the {self.n} steps")
        out.figure("path", run.variant.kind.path_figure(decoded[shown]))
        out.sounds("path", run.variant.kind, decoded, levels)

    def _ends(self, run: Run) -> tuple[Tensor, Tensor]:
        if self.files:
            if len(self.files) != 2:
                raise UserError(f"task.files must name two files, not {len(self.files)}")
            return encode(run, torch.cat([read_file(run, file)[:1] for file in self.files]))
        if self.between is not None and (len(self.between) != 2 or min(self.between) < 0):
            raise UserError(f"task.between must name two test items, such as [0,1], not {self.between}")
        ends = chosen_items(run, "task.between", self.between, 2)
        return ends.x, ends.level


def way(start: Tensor, end: Tensor, steps: int, path: Path, latent: Latent, flow: Flow | None = None) -> Tensor:
    """`(steps, code_size)` codes from `start` to `end`, ends included, each a valid code of the family."""
    t = torch.linspace(0, 1, steps).unsqueeze(1)
    if flow is not None:
        return latent.project(carried_arc(start, end, t, flow))
    return latent.project(lerp(start, end, t) if path == "lerp" else slerp(start, end, t))


def lerp(start: Tensor, end: Tensor, t: Tensor) -> Tensor:
    """The straight line."""
    return start + t * (end - start)


def slerp(start: Tensor, end: Tensor, t: Tensor) -> Tensor:
    """The great arc (Shoemake 1985, eq. 1), its radius going evenly from one end's to the other's.

    Ends in one line with the origin have no arc between them: there it is the straight line.
    """
    # In single precision the angle between nearly opposite ends would be noise.
    a, b, s = start.double(), end.double(), t.double()
    near, far = a.norm(), b.norm()
    angle = torch.acos(((a @ b) / (near * far)).clamp(-1, 1))
    if near * far == 0 or torch.sin(angle) < 1e-4:
        return lerp(start, end, t)
    arc = torch.sin((1 - s) * angle) * a / near + torch.sin(s * angle) * b / far
    return (torch.lerp(near, far, s) * arc / torch.sin(angle)).to(start)


def carried_arc(start: Tensor, end: Tensor, t: Tensor, flow: Flow) -> Tensor:
    """What a flow makes of the arc between the noise of two codes, plus what it does not know of either, evenly."""
    ends = torch.stack([start, end])
    noise = flow.noise_of(ends)
    left = ends - flow.codes_of(noise)
    return flow.codes_of(slerp(noise[0], noise[1], t)) + lerp(left[0], left[1], t)
