"""Where random numbers come from: seeds made of several numbers, and code whose draws depend on nothing before it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

CPU = torch.device("cpu")


def stream_seed(*numbers: int) -> int:
    """One 63-bit seed from several small numbers, so that each (seed, epoch, batch) has a stream of its own."""
    state = 0x9E3779B97F4A7C15
    for number in numbers:
        state = (state ^ (number + 1)) * 0xD1342543DE82EF95 % 2**64
        state ^= state >> 29
    return state >> 1


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
