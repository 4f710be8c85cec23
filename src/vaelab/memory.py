"""How much memory there is, and what is refused before it is taken."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from vaelab.errors import UserError

if TYPE_CHECKING:
    from torch import nn

MEMINFO, CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")
UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
WEIGHT = 4  # bytes, as of all below
# Of each number of the data: as it was made, and as the net sees it.
NUMBER = 8
# A net of more weights takes its time, and is told.
LARGE = 100_000_000
# While a net is trained there are its gradient and Adam's two moments beside each weight.
TRAINED = 4
MOST = 2**63  # weights that can be counted
# Real pictures and signals shrink to a tenth; what shrinks to less than this was made to fill a memory.
LARGEST_RATIO, SMALL = 200, 2**28  # bytes: so much is unpacked whatever the ratio


def check_size(needed: float, *settings: str) -> None:
    """Check that so many bytes can be had.

    Args:
        needed: bytes.
        settings: those that ask for them.

    Raises:
        UserError: naming the settings, what they would need, and what there is.
    """
    if needed > (free := available()):
        *others, last = settings
        which, one = (f"{', '.join(others)} and {last}", "one of them") if others else (last, "it")
        raise UserError(f"{which} would need {told(needed)} of memory, and {told(free)} are free: lower {one}")


def require_memory(path: Path, size: int) -> None:
    """Raise `UserError` where a file's `size` bytes are more than what is free."""
    if size > (free := available()):
        raise UserError(f"{path} takes {told(size)} of memory, and {told(free)} are free: give fewer items")


def require_honest_size(path: Path, packed: int, unpacked: int) -> None:
    """Raise `UserError` where so few bytes unpack to so many that no data are in them."""
    if unpacked > max(SMALL, LARGEST_RATIO * packed):
        raise UserError(
            f"{path} unpacks from {packed:,} to {unpacked:,} bytes, as no data do: if it is meant, unpack it yourself"
        )


def available() -> int:
    """Bytes that this process can still have: of the machine, of its control group, and of its own limit."""
    bounds = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    if MEMINFO.is_file():
        lines = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines())
        bounds.append(1024 * int(lines["MemAvailable"].split()[0]))
    limit, used = CGROUP / "memory.max", CGROUP / "memory.current"
    if limit.is_file() and used.is_file() and (most := limit.read_text().strip()).isdigit():
        # What files have left in memory counts as used, and is given back when it is asked for.
        cached = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())["file"]
        bounds.append(int(most) - int(used.read_text()) + int(cached))
    own = resource.getrlimit(resource.RLIMIT_AS)[0]
    return max(min(bounds if own == resource.RLIM_INFINITY else [*bounds, own]), 0)


def count_weights(*nets: Callable[[], nn.Module]) -> int:
    """How many weights these nets would have, without any of them being made; at the most `MOST`."""
    import torch

    try:
        # The same draws come after as without it.
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            return sum(weight.numel() for make in nets for weight in make().parameters())
    except (RuntimeError, TypeError, OverflowError) as error:
        if "overflow" not in str(error).lower():
            raise
        return MOST


def told(size: float) -> str:
    """Bytes in the largest unit that leaves a number above 1."""
    power = next((k for k in range(len(UNITS) - 1) if size < 1024 ** (k + 1)), len(UNITS) - 1)
    number = size / 1024**power
    return f"{number:.3g} {UNITS[power]}" if number < 1000 else f"{number:,.0f} {UNITS[power]}"
