"""Mutations of bytes, whatever they mean."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

from fuzzing._kind import Rng, pick

BLOCK = 2**22


def flipped(data: bytes, rng: Rng) -> bytes:
    """Some bits turned, up to 64."""
    changed = bytearray(data)
    for place in rng.integers(0, max(1, len(data)), 2 ** int(rng.integers(0, 7))).tolist():
        if place < len(changed):
            changed[place] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def in_front(data: bytes, rng: Rng) -> bytes:
    """Some bytes of the first 128 replaced: where most formats have their header."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        if changed:
            place = int(rng.integers(min(128, len(changed))))
            changed[place] = pick(rng, (0, 1, 127, 128, 255, int(rng.integers(256))))
    return bytes(changed)


def cut(data: bytes, rng: Rng) -> bytes:
    """The end is missing."""
    return data[: int(rng.integers(0, len(data) + 1))]


def beheaded(data: bytes, rng: Rng) -> bytes:
    """The beginning is missing."""
    return data[int(rng.integers(1, 65)) :]


def inserted(data: bytes, rng: Rng) -> bytes:
    """Chance stands somewhere inside."""
    place = int(rng.integers(0, len(data) + 1))
    return data[:place] + rng.bytes(int(rng.integers(1, 200))) + data[place:]


def doubled(data: bytes, rng: Rng) -> bytes:
    """A block stands there twice."""
    start, end = sorted(rng.integers(0, len(data) + 1, 2).tolist())
    return data[:end] + data[start:]


def removed(data: bytes, rng: Rng) -> bytes:
    """A block is missing."""
    start, end = sorted(rng.integers(0, len(data) + 1, 2).tolist())
    return data[:start] + data[end:]


def followed(data: bytes, rng: Rng) -> bytes:
    """Chance, zeros or itself comes behind."""
    return data + pick(rng, (rng.bytes(100), bytes(1000), data))


def blanked(data: bytes, rng: Rng) -> bytes:
    """A block of zeros or ones, as a bad disk gives it."""
    start, end = sorted(rng.integers(0, len(data) + 1, 2).tolist())
    return data[:start] + pick(rng, (b"\0", b"\xff")) * (end - start) + data[end:]


def emptied(data: bytes, rng: Rng) -> bytes:
    """Nothing is there, or nearly nothing."""
    return pick(rng, (b"", b"\0", b"\n", b" ", data[:1], data[:4], data[:8]))


def of_chance(data: bytes, rng: Rng) -> bytes:
    """All of it is chance."""
    return rng.bytes(int(rng.integers(1, 2000)))


DAMAGES: Sequence[Callable[[bytes, Rng], bytes]] = (
    *(flipped, in_front, cut, beheaded, inserted, doubled, removed, followed, blanked, emptied, of_chance),
)


def damaged(data: bytes, rng: Rng, damages: Sequence[Callable[[bytes, Rng], bytes]] = DAMAGES) -> tuple[bytes, str]:
    """One of the mutations, and its name."""
    damage = pick(rng, damages)
    return damage(data, rng), damage.__name__


def with_head(data: bytes, other: bytes, rng: Rng) -> bytes:
    """The beginning of another file in the place of its own."""
    size = int(rng.integers(2, 64))
    return other[:size] + data[size:]


def packed_zeros(size: int, bits: int) -> bytes:
    """At least `size` zeros, deflated, made of one block again and again: `bits` as in `zlib.compressobj`.

    A zlib stream (15) ends in their sum; that of the others is not theirs: who looks at it has unpacked them all.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, bits)
    start = packer.compress(bytes(BLOCK)) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(bytes(BLOCK)) + packer.flush(zlib.Z_FULL_FLUSH)
    end = packer.flush()
    if bits == 15:
        # Adler's sum of n zeros: n modulo the largest prime below 2^16, and 1.
        end = end[:-4] + (BLOCK * (1 + size // BLOCK) % 65_521).to_bytes(2, "big") + b"\0\1"
    return start + again * (size // BLOCK) + end
