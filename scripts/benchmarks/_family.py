"""Methods without a bound, as one would write them by hand around vaelab's own nets."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from benchmarks._problem import ByHand, Problem
from vaelab.metrics.samples import energy_distance
from vaelab.variant.average import move_average


class Penalised(ByHand):
    """A WGAN-GP: some steps of the critic, one of the generator, whose weights are averaged for validation."""

    def __init__(self, variant: Any, problem: Problem) -> None:
        super().__init__()
        self.generator, self.critic, self.averaged = variant.generator, variant.critic, variant.averaged
        self.mean, self.code_size = variant.likelihood.mean, variant.latent.code_size
        self.critic_steps, self.penalty, self.ema = variant.critic_steps, variant.penalty, variant.ema
        self.steps = 0

    def loss(self, x: Tensor, target: Tensor) -> Tensor:
        """What the critic or the generator minimises, whose turn it is."""
        critics_turn = self.steps % (self.critic_steps + 1) < self.critic_steps
        self.critic.requires_grad_(critics_turn)
        self.generator.requires_grad_(not critics_turn)
        made = self.made(self.generator, len(x))
        if not critics_turn:
            return -self.critic(made).mean()
        share = torch.rand(len(x), *[1] * (x.ndim - 1))
        between = torch.lerp(target, made, share).requires_grad_()
        (slope,) = torch.autograd.grad(self.critic(between).sum(), between, create_graph=True)
        penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()
        return self.penalty * penalty + self.critic(made).mean() - self.critic(target).mean()

    def after_step(self) -> None:
        """Average, if it was the generator's."""
        self.steps += 1
        rounds, turn = divmod(self.steps, self.critic_steps + 1)
        if turn == 0:
            move_average(self.averaged, self.generator, rounds, self.ema)

    @torch.inference_mode()
    def validate(self, x: Tensor, target: Tensor) -> float:
        """The energy distance of as many new items."""
        return energy_distance(self.made(self.averaged, len(x)), target)

    def made(self, generator: Any, n: int) -> Tensor:
        """New items `(n, *shape)`."""
        return self.mean(generator(torch.randn(n, self.code_size)))


class Carried(ByHand):
    """What carries noise to items: the averaged weights are validated, and items are scaled."""

    def __init__(self, variant: Any, problem: Problem) -> None:
        super().__init__()
        self.field, self.averaged, self.ema, self.steps = variant.field, variant.averaged, variant.ema, 0
        self.scale, self.mean = torch.std_mean(problem.train.target, correction=0)

    def loss(self, x: Tensor, target: Tensor) -> Tensor:
        """The mean square error at times that are spread evenly."""
        n, field = len(x), self.field if self.training else self.averaged
        item, noise = (target - self.mean) / self.scale, torch.randn_like(x)
        return self.error(field, item, noise, (torch.rand(()) + torch.arange(n) / n) % 1)

    def error(self, field: Any, item: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """Of a net, on scaled items with noise of that shape and times `(batch,)` in [0, 1)."""
        raise NotImplementedError

    def after_step(self) -> None:
        """Average."""
        self.steps += 1
        move_average(self.averaged, self.field, self.steps, self.ema)


class Matched(Carried):
    """Flow matching along straight paths."""

    def error(self, field: Any, item: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """Of the velocity."""
        way = torch.lerp(noise, item, time.view(-1, *[1] * (item.ndim - 1)))
        return (field(way, time) - (item - noise)).square().mean()


class Diffused(Carried):
    """Diffusion, of which the net tells v."""

    def __init__(self, variant: Any, problem: Problem) -> None:
        super().__init__(variant, problem)
        self.signal, self.noise, self.timesteps = variant.signal, variant.noise, variant.timesteps

    def error(self, field: Any, item: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """Of the noise, at the next of the time steps."""
        t = 1 + (time * self.timesteps).long().clamp(max=self.timesteps - 1)
        signal, share = (values[t].view(-1, *[1] * (item.ndim - 1)) for values in (self.signal, self.noise))
        noisy = signal * item + share * noise
        v = field(noisy, t / self.timesteps)
        return (signal * v + share * noisy - noise).square().mean()
