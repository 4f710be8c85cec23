"""Sine waves of one amplitude and one frequency, whose only freedom is the phase."""

import math
from dataclasses import dataclass

import torch

from vaelab.data.items import Items
from vaelab.errors import UserError
from vaelab.memory import NUMBER, check_size
from vaelab.seeding import generator
from vaelab.simulators.sine import sine_waves


@dataclass
class Sine:
    """Waves of amplitude 1, the phase uniform on [−π, π).

    Attributes:
        waves: how many.
        samples: length of each.
        cycles: periods in that length; need not be whole.
        seed: decides the phases.
    """

    waves: int = 10_000
    samples: int = 128
    cycles: float = 3.0
    seed: int = 0

    def load(self) -> Items:
        """Waves `(items, 1, time)` float32, with the factor `phase` in radians and the fact `cycles`.

        Raises `UserError` if there is nothing to make, or more cycles than samples can carry.
        """
        if self.waves < 1:
            raise UserError(f"waves={self.waves}: give at least one")
        check_size(NUMBER * self.waves * self.samples, "dataset.waves", "dataset.samples")
        uniform = torch.rand(self.waves, generator=generator("data", self.seed))
        phase = (2 * uniform - 1) * math.pi
        raw = sine_waves(phase.double(), samples=self.samples, cycles=self.cycles).float()
        return Items("signal", raw, factors={"phase": phase}, facts={"cycles": float(self.cycles)})
