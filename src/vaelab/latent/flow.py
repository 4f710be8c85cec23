"""A density of codes that is learnt by flow matching: a second stage, on the codes of a model that is trained.

What training items are encoded to seldom fills the prior, and codes of the prior from where no item is decode to
nothing known. A second model of the codes alone mends that (two-stage VAE: Dai and Wipf 2019).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from vaelab.errors import UserError
from vaelab.latent.base import Posterior, selected
from vaelab.optimizer.adamw_cosine import adamw_cosine
from vaelab.seeding import seeded, stream_seed

FEWEST = 10  # items that tell of others
WIDEST = 256  # directions that are learnt; what lies across them is taken for normal
WIDTH, BLOCKS, WAVES = 128, 3, 16
STEPS, BATCH, RATE = 2_000, 256, 2e-3
KEPT = 0.999  # of the averaged weights, in each step, once there are many
LATE, EDGE = 0.5, 1e-6  # the logit of the median time: more is learnt where codes take shape; of the normal, tails
LOOKED_AT, NUMBERS = 8_192, 2**24  # draws that tell the scale of codes: fewer of long ones, for the memory
HEUN, AT_ONCE = 16, 2_048  # steps from noise to a code, and codes that take them together
LEAST, TINY = 1e-3, 1e-12  # of the largest spread: a direction with less is not blown up; nor one of none
FURTHEST = 1e12  # as of weights: no code lies beyond


class Flow(nn.Module):
    """Draws codes by an ordinary differential equation from normal noise; `fit_flow` makes one that knows something.

    It sees codes in a frame in which every direction has mean 0 and variance 1: code = mean + `out_of` · x +
    `across` · noise. Codes of more than `WIDEST` numbers have that many principal directions, and `across` them nothing
    but the spread of each number.

    Attributes:
        mean, across: `(code_size,)`.
        out_of: `(code_size, directions)`.
    """

    mean: Tensor
    out_of: Tensor
    across: Tensor

    def __init__(self, code_size: int) -> None:
        super().__init__()
        self.directions = min(code_size, WIDEST)
        self.field = Field(self.directions)
        self.register_buffer("mean", torch.zeros(code_size))
        self.register_buffer("out_of", torch.zeros(code_size, self.directions))
        self.register_buffer("across", torch.zeros(code_size))

    @torch.no_grad()
    def draw(self, n: int) -> Tensor:
        """`(n, code_size)` codes, from the noise of torch's global generator.

        Raises:
            UserError: if they are no numbers, which no flow that was fitted gives.
        """
        codes = self.codes_of(torch.randn(n, self.directions))
        if len(self.mean) > self.directions:
            codes += self.across * torch.randn_like(codes)
        if not (codes.abs() < FURTHEST).all():
            raise UserError("task.density=flow: the flow of this run gives no numbers, so it is damaged: use gmm")
        return codes

    @torch.no_grad()
    def codes_of(self, noise: Tensor) -> Tensor:
        """What noise `(n, directions)` becomes, without what lies across the directions: `(n, code_size)`."""
        return self.mean + torch.cat([carried(self.field, part) for part in noise.split(AT_ONCE)]) @ self.out_of.T

    @torch.no_grad()
    def noise_of(self, codes: Tensor) -> Tensor:
        """The noise `(n, directions)` that becomes these codes `(n, code_size)`, but for what lies across."""
        x = torch.linalg.lstsq(self.out_of, (codes - self.mean).T).solution.T
        return torch.cat([carried(self.field, part, back=True) for part in x.split(AT_ONCE)])


class Field(nn.Module):
    """The velocity of points `(n, directions)` at times `(n,)` from 0, noise, to 1, codes.

    Where codes are normal it is (2t − 1) x / (t² + (1 − t)²), and there it begins: what is learnt is how they differ.
    """

    waves: Tensor

    def __init__(self, directions: int) -> None:
        super().__init__()
        self.register_buffer("waves", 0.5 * math.pi * 2.0 ** torch.linspace(0, 6, WAVES), persistent=False)
        self.time = nn.Sequential(nn.Linear(2 * WAVES, WIDTH), nn.SiLU())
        self.enter = nn.Linear(directions, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))
        self.norm, self.leave = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, directions)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """`(n, directions)`."""
        angle = time[:, None] * self.waves
        when, hidden = self.time(torch.cat([angle.sin(), angle.cos()], 1)), self.enter(x)
        for block in self.blocks:
            hidden = block(hidden, when)
        t = time[:, None]
        variance = t.square() + (1 - t).square()
        return (2 * t - 1) / variance * x + self.leave(F.silu(self.norm(hidden))) / variance.sqrt()


class Block(nn.Module):
    """A residual layer that is told the time; it begins as nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.first, self.time = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.second = nn.Linear(WIDTH, WIDTH)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, hidden: Tensor, when: Tensor) -> Tensor:
        """`(n, WIDTH)`, as both arguments."""
        return hidden + self.second(F.silu(self.first(self.norm(hidden)) + self.time(when)))


def carried(field: nn.Module, x: Tensor, back: bool = False) -> Tensor:
    """Where the field takes points `(n, directions)` from time 0 to 1, or `back`, by `HEUN` of Heun's steps."""
    times = torch.linspace(1, 0, HEUN + 1) if back else torch.linspace(0, 1, HEUN + 1)
    for start, end in pairwise(times):
        before = field(x, start.expand(len(x)))
        after = field(x + (end - start) * before, end.expand(len(x)))
        x = x + (end - start) * (before + after) / 2
    return x


def fit_flow(posterior: Posterior, seed: int) -> Flow:
    """A flow of the codes that items with this posterior have, the same for the same seed.

    Flow matching on straight paths (Lipman et al. 2023, eq. 20-23 with no noise left at the end): the velocity at
    x_t = (1 − t) x_0 + t x_1 is fitted to x_1 − x_0, x_0 normal noise and x_1 a code. Codes are draws from the
    posterior, not its means: what is drawn later is then what the decoder has seen.

    Raises:
        UserError: if there are too few items, or their codes are no numbers.
    """
    items, size = posterior.mean.shape
    if items < FEWEST:
        raise UserError(f"task.density=flow learns from at least {FEWEST} training items, not {items}: use posterior")
    # Several threads only wait for one another over matrices so small.
    with seeded(stream_seed("flow", seed)), torch.enable_grad(), threadpool_limits(1):
        flow = Flow(size)
        frame = _frame(_drawn(posterior, max(2 * WIDEST, min(LOOKED_AT, NUMBERS // size))))
        flow.field = _fitted(flow.field, lambda: (_drawn(posterior, BATCH) - frame.mean) @ frame.into)
    flow.mean, flow.out_of, flow.across = frame.mean, frame.out_of, frame.across
    if not all(value.isfinite().all() for value in flow.state_dict().values()):
        raise UserError("task.density=flow: the codes of training items are no numbers to learn from: use prior")
    return flow.requires_grad_(False)


def _drawn(posterior: Posterior, n: int) -> Tensor:
    """Codes `(n, code_size)` of items taken at random."""
    return selected(posterior, torch.randint(len(posterior.mean), (n,))).sample()


class _Frame(NamedTuple):
    """What `Flow` knows of codes beside its field, and `into` `(code_size, directions)`, the way in."""

    mean: Tensor
    into: Tensor
    out_of: Tensor
    across: Tensor


def _frame(codes: Tensor) -> _Frame:
    """That of some codes `(n, code_size)`: each number for itself, or the principal directions of many."""
    mean, spread = codes.mean(0), codes.std(0)
    scale = spread.clamp(min=max(LEAST * float(spread.max()), TINY))
    if codes.shape[1] <= WIDEST:
        return _Frame(mean, torch.diag(1 / scale), torch.diag(scale), torch.zeros_like(mean))
    scaled = (codes - mean) / scale
    _, sizes, ways = torch.pca_lowrank(scaled, WIDEST, center=False)
    sizes = sizes / (len(codes) - 1) ** 0.5
    sizes = sizes.clamp(min=LEAST * float(sizes.max()))
    across = (scaled - scaled @ ways @ ways.T).std(0) * scale
    return _Frame(mean, ways / sizes / scale[:, None], ways * sizes * scale[:, None], across)


def _fitted(field: Field, draw: Callable[[], Tensor]) -> Field:
    """The field after `STEPS` of training on batches `(BATCH, directions)`, averaged over them, the last most.

    Times are logit-normal (Esser et al. 2024, eq. 19), one in each part of as many as there are codes in a batch.
    """
    averaged = AveragedModel(field, multi_avg_fn=_average)
    optimizer, schedule = adamw_cosine(field.parameters(), STEPS, lr=RATE)
    assert schedule is not None
    for _ in range(STEPS):
        codes = draw()
        noise = torch.randn_like(codes)
        share = ((torch.arange(BATCH) + torch.rand(BATCH)) / BATCH).clamp(EDGE, 1 - EDGE)
        time = torch.sigmoid(LATE + torch.special.ndtri(share))
        x = torch.lerp(noise, codes, time[:, None])
        loss = F.mse_loss(field(x, time), codes - noise)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        averaged.update_parameters(field)
    fitted: Any = averaged.module
    return fitted


def _average(averaged: Any, latest: Any, count: Any) -> None:
    """Move `count` steps' average towards the weights after the next; while there are few steps, all count alike."""
    torch._foreach_lerp_(averaged, latest, (1 - KEPT) / (1 - KEPT ** (int(count) + 1)))
