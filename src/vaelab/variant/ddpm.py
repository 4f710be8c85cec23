"""The denoising diffusion model: noise is added in many small steps, and a net learns to take it away."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from vaelab.architecture.timed import over
from vaelab.errors import UserError
from vaelab.seeding import seeded, stream_seed
from vaelab.variant.base import Parts
from vaelab.variant.transport import Field, Transport, at, even_times

NoiseSchedule = Literal["linear", "cosine"]
Sampler = Literal["ddim", "ancestral"]
# Of the variance; more would leave nothing of an item in a single step (Nichol and Dhariwal 2021).
LARGEST_BETA = 0.999
MOST_TIMESTEPS = 100_000


class DDPM(Transport):
    """x at step t is `signal[t]` · item + `noise[t]` · noise, and a net tells the noise (Ho et al. 2020, eq. 14).

    The net's own output is v = signal · noise − noise share · item, from which both are had without a division that
    would blow up errors where hardly anything of the item is left (Salimans and Ho 2022, appendix D); what is minimised
    is the error of the noise.

    `timesteps` is how many steps the noise is added in, `schedule` how fast. New items are made in `steps` of them,
    evenly chosen: with `sampler=ddim` the noise that it begins with decides all, with `ancestral` each step adds some.
    """

    name: ClassVar[str] = "ddpm"
    signal: Tensor
    noise: Tensor

    def __init__(
        self,
        parts: Parts,
        *,
        timesteps: int = 1000,
        schedule: NoiseSchedule = "cosine",
        sampler: Sampler = "ddim",
        steps: int = 50,
        ema: float = 0.999,
    ) -> None:
        super().__init__(parts, ema=ema)
        if not 1 <= timesteps <= MOST_TIMESTEPS:
            raise UserError(f"variant.timesteps must lie between 1 and {MOST_TIMESTEPS}, not {timesteps}")
        self.sampler = sampler
        kept = kept_signal(schedule, timesteps)
        self.kept: list[float] = kept.tolist()
        self.register_buffer("signal", torch.from_numpy(kept**0.5).float(), persistent=False)
        self.register_buffer("noise", torch.from_numpy((1 - kept) ** 0.5).float(), persistent=False)
        self.in_steps(steps)

    @property
    def timesteps(self) -> int:
        """How many steps noise is added in."""
        return len(self.kept) - 1

    @override
    def in_steps(self, steps: int, setting: str = "variant.steps") -> None:
        if steps > self.timesteps:
            raise UserError(f"{setting}={steps} is more than variant.timesteps={self.timesteps}: give at most as many")
        super().in_steps(steps, setting)

    def errors(self, field: Field, x: Tensor) -> Tensor:
        """`(batch,)` mean square errors of the noise, at a step of each item's own (Ho et al. 2020, eq. 14)."""
        t = 1 + (even_times(len(x), x.device) * self.timesteps).long().clamp(max=self.timesteps - 1)
        noise, signal, share = torch.randn_like(x), over(self.signal[t], x[:, None]), over(self.noise[t], x[:, None])
        noisy = signal * x + share * noise
        v = field(noisy, t / self.timesteps).float()
        return (signal * v + share * noisy - noise).square().flatten(1).mean(1)

    def carried(self, field: Field, noise: Tensor, *, chance: bool = False) -> Tensor:
        """By way of `steps` of the time steps, each from the item and the noise that the net tells.

        Song et al. 2021, eq. 12 and 16: with no noise added (DDIM), or as much as the posterior has (DDPM).
        """
        x, times = noise, sampling_times(self.timesteps, self.steps)
        for now, then in pairwise(times):
            kept, after = self.kept[now], self.kept[then]
            signal, share = kept**0.5, (1 - kept) ** 0.5
            v = at(field, x, now / self.timesteps)
            item, told = signal * x - share * v, share * x + signal * v
            added = posterior_variance(kept, after) if chance else 0.0
            x = after**0.5 * item + max(1 - after - added, 0.0) ** 0.5 * told
            if added:
                # Of the CPU's generator, so that items are the same on any device.
                x = x + added**0.5 * torch.randn(x.shape).to(x)
        return x

    def made(self, codes: Tensor, seed: int, *, noise: bool = False) -> Tensor:
        """As `decode`; with `sampler=ancestral` each step adds noise of the seed."""
        if noise or self.sampler == "ddim":
            return super().made(codes, seed, noise=noise)
        with seeded(stream_seed("observation", seed)):
            return self._items(partial(self.carried, chance=True), codes)


def kept_signal(schedule: NoiseSchedule, timesteps: int) -> np.ndarray:
    """`(timesteps + 1,)` ᾱ, the share of an item's variance that is left after 0, 1, … steps.

    `linear`: the variance added in a step rises from 1e-4 to 0.02 of 1,000 steps (Ho et al. 2020, section 4), of fewer
    in proportion. `cosine`: ᾱ falls like a squared cosine (Nichol and Dhariwal 2021, eq. 17).
    """
    if schedule == "linear":
        betas = np.linspace(0.1, 20, timesteps) / timesteps
    else:
        along = (np.arange(timesteps + 1) / timesteps + 0.008) / 1.008
        falls = np.cos(along * np.pi / 2) ** 2
        betas = 1 - falls[1:] / falls[:-1]
    return np.concatenate([[1.0], np.cumprod(1 - np.minimum(betas, LARGEST_BETA))])


def sampling_times(timesteps: int, steps: int) -> list[int]:
    """The `steps + 1` time steps from the last to 0, evenly spread, that items are made at."""
    return np.linspace(timesteps, 0, steps + 1).round().astype(int).tolist()


def posterior_variance(kept: float, after: float) -> float:
    """The variance of x when ᾱ was `after`, given the item and x when ᾱ is `kept` (Ho et al. 2020, eq. 7)."""
    return (1 - after) / (1 - kept) * (1 - kept / after)
