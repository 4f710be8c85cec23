"""A circular buffer of fixed size, and the factory of three that turns codes into items without an end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

Overflow = Literal["block", "overwrite"]


class Ring:
    """Float32 items in the order in which they came, in memory of a fixed size that is used round and round.

    Attributes:
        held: how many items it holds now.
        overwritten: how many were lost so far, because others came before they were read.
    """

    def __init__(self, size: int, shape: tuple[int, ...]) -> None:
        self.store = np.empty((size, *shape), np.float32)
        self.start = self.held = self.overwritten = 0

    @property
    def free(self) -> int:
        """How many items it takes without losing one."""
        return len(self.store) - self.held

    def claim(self, n: int) -> np.ndarray:
        """The slots of the next `n` items, to be written at once; fewer where the end of the memory comes between.

        Where there is no room the oldest items give way, and are counted.
        """
        size = len(self.store)
        at = (self.start + self.held) % size
        n = min(n, size - at)
        lost = max(0, n - self.free)
        self.start = (self.start + lost) % size
        self.held += n - lost
        self.overwritten += lost
        return self.store[at : at + n]

    def write(self, items: np.ndarray) -> None:
        """Append `(k, *shape)`, as `claim` has it."""
        while len(items):
            slots = self.claim(len(items))
            slots[:] = items[: len(slots)]
            items = items[len(slots) :]

    def read(self, n: int) -> np.ndarray:
        """Take the oldest `n` items, or as many as there are: `(k, *shape)`, good until the next write.

        They are copied only where they go round the end.
        """
        n, size = min(n, self.held), len(self.store)
        start, end = self.start, self.start + n
        self.start = end % size
        self.held -= n
        if end <= size:
            return self.store[start:end]
        return np.concatenate([self.store[start:], self.store[: end - size]])

    def slots(self) -> np.ndarray:
        """What lies where: `(size, *shape)`, a copy, NaN where nothing is held."""
        lying = np.full_like(self.store, np.nan)
        index = np.arange(self.start, self.start + self.held) % len(self.store)
        lying[index] = self.store[index]
        return lying


class Pace:
    """Whole numbers that are `rate` times others: exactly so on average, whatever the fractions."""

    def __init__(self, rate: float) -> None:
        self.rate, self.asked, self.given = rate, 0, 0

    def of(self, n: int) -> int:
        """How many for the next `n`, with the fraction that those before left over."""
        self.asked += n
        count = int(self.rate * self.asked) - self.given
        self.given += count
        return count


class Factory:
    """A producer, a decoder and a consumer with circular buffers between them, in one process and without a clock.

    Codes are written into one ring until it is full. Then the rings swap: the decoder empties it, a chunk a turn, into
    a ring of decoded items, while the producer fills the other one. In each turn the producer makes `produce`, and the
    consumer takes `consume`, times as many as the decoder has before it; the rest of a fraction counts in later turns.
    With `overflow="block"` the faster wait and nothing is lost; with `"overwrite"` they do not, and what is then lost
    is counted. Order is kept always.

    Args:
        draw: k to the next k codes, `(k, *code_shape)` float32.
        decode: writes the items of codes `(k, *code_shape)` into an array `(k, *shape)` float32.
        code_shape: of one code.
        shape: of one decoded item.
        n: how many codes are made; None for no end.
        size: items that each ring holds.
        chunk: codes decoded at once.
        overflow: whether the faster wait.
        produce: codes made for each one decoded.
        consume: items taken for each one decoded.
    """

    def __init__(
        self,
        draw: Callable[[int], np.ndarray],
        decode: Callable[[np.ndarray, np.ndarray], object],
        *,
        code_shape: tuple[int, ...],
        shape: tuple[int, ...],
        n: int | None,
        size: int,
        chunk: int,
        overflow: Overflow = "block",
        produce: float = 1.0,
        consume: float = 1.0,
    ) -> None:
        self.draw, self.decode = draw, decode
        self.filling, self.emptying, self.items = Ring(size, code_shape), Ring(size, code_shape), Ring(size, shape)
        self.n, self.chunk, self.blocks = n, chunk, overflow == "block"
        self.produced, self.consumed = Pace(produce), Pace(consume)
        self.made = self.decoded = self.taken = 0

    @property
    def overwritten(self) -> int:
        """How many codes and items were lost so far: made = taken + overwritten + still in the rings."""
        return sum(ring.overwritten for ring in (self.filling, self.emptying, self.items))

    @property
    def done(self) -> bool:
        """Whether all codes were made and the rings are empty."""
        return self.made == self.n and not (self.filling.held or self.emptying.held or self.items.held)

    def turn(self) -> np.ndarray:
        """Make, decode and take; what was taken comes back, `(k, *shape)`, oldest first, good until the next turn."""
        # At the end of a ring the decoder has less than a chunk before it; before a swap, the first of the next ring.
        share = min(self.chunk, self.emptying.held) or self.chunk
        self._make(self.produced.of(share))
        if not self.emptying.held and (not self.filling.free or self.made == self.n):
            self.filling, self.emptying = self.emptying, self.filling
        self._decode()
        taken = self.items.read(self.consumed.of(share))
        self.taken += len(taken)
        return taken

    def _make(self, count: int) -> None:
        if self.n is not None:
            count = min(count, self.n - self.made)
        if self.blocks:
            count = min(count, self.filling.free)
        if count:
            self.filling.write(self.draw(count))
            self.made += count

    def _decode(self) -> None:
        codes = self.emptying.read(min(self.chunk, self.items.free) if self.blocks else self.chunk)
        self.decoded += len(codes)
        while len(codes):
            # Into their place, since a copy would cost as much as a twentieth of decoding.
            slots = self.items.claim(len(codes))
            self.decode(codes[: len(slots)], slots)
            codes = codes[len(slots) :]
