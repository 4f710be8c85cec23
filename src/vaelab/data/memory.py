"""Whether what a file promises fits into memory, asked before any is taken."""

import os
from pathlib import Path

from vaelab.errors import UserError

GIB = 2**30
# Real pictures and signals shrink to a tenth; what shrinks to less than this was made to fill a memory.
LARGEST_RATIO, SMALL = 200, 2**28  # bytes: so much is unpacked whatever the ratio


def require_memory(path: Path, size: int) -> None:
    """Raise `UserError` where `size` bytes are more than what is free."""
    free = free_memory()
    if size > free:
        raise UserError(f"{path} takes {size / GIB:.3g} GiB of memory and {free / GIB:.3g} are free: give fewer items")


def require_honest_size(path: Path, packed: int, unpacked: int) -> None:
    """Raise `UserError` where so few bytes unpack to so many that no data are in them."""
    if unpacked > max(SMALL, LARGEST_RATIO * packed):
        raise UserError(
            f"{path} unpacks from {packed:,} to {unpacked:,} bytes, as no data do: if it is meant, unpack it yourself"
        )


def free_memory() -> int:
    """Bytes that a process can take without pushing others out; where that is not told, all there are."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
