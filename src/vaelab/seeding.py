"""Where random numbers come from: a stream for each purpose, and code whose draws depend on nothing before it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import Literal, get_args

import torch

CPU = torch.device("cpu")


# What chance decides. What has one purpose is independent of all that has another, though the run's seed is the same.
Purpose = Literal[
    "data",  # what a source makes up
    "split",  # which items are for training
    "draw",  # a part that stands for the whole
    "weights",  # those that training begins with
    "order",  # of the items in an epoch
    "pixels",  # what loading draws: binarisation, mirroring
    "latent",  # z of an item
    "doubt",  # z of an item, to see how much they differ
    "samples",  # codes from a density
    "mixture",  # the fit of that density, and its own draws
    "flow",  # the fit of one that is learnt
    "observation",  # x of a code
    "baselines",  # what a model stands beside
    "solver",  # where a method of theirs begins
    "features",  # the net that new items are compared in
    "reference",  # posteriors that stand for the aggregate
    "measures",  # halves, forests and batches of a measure
    "masks",  # what is hidden of an item that is judged
]
# Of the name, and made once: the call is part of every step.
_BEGINNINGS: dict[str, int] = {
    name: int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big") for name in get_args(Purpose)
}


def stream_seed(purpose: Purpose, *numbers: int) -> int:
    """One 63-bit seed from a purpose and several small numbers: each (purpose, seed, epoch, batch) has its own stream.

    Torch's generator of the CPU takes the lower 32 bits of it.
    """
    state = _BEGINNINGS[purpose]
    for number in numbers:
        state = (state ^ (number + 1)) * 0xD1342543DE82EF95 % 2**64
        state ^= state >> 29
    return state >> 1


def short_seed(purpose: Purpose, *numbers: int) -> int:
    """As `stream_seed`, of the 32 bits that numpy's older generators take."""
    return stream_seed(purpose, *numbers) % 2**32


def generator(purpose: Purpose, *numbers: int) -> torch.Generator:
    """A generator of the CPU at the beginning of a stream."""
    return torch.Generator().manual_seed(stream_seed(purpose, *numbers))


def reseed(seed: int, device: torch.device = CPU) -> None:
    """Start torch's own generators of the CPU and of the device from `seed`.

    `torch.manual_seed` also asks every other kind of device, which takes a hundred times as long.
    """
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)


@contextmanager
def seeded(seed: int, device: torch.device = CPU) -> Iterator[None]:
    """Inside, draws on the CPU and on the device are those of `seed`; after it, the generators are as before it.

    Of accelerators, those of CUDA are put back.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        reseed(seed, device)
        yield
