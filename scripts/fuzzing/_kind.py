"""What a kind of input is, and what reading one gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

Rng = np.random.Generator


@dataclass
class Reading:
    """What vaelab made of an input.

    Attributes:
        values: the items, as the source hands them over.
        labels: the class of each, by name; None without.
        left_out: name and reason of what was not used.
        notes: what was told beside that.
        folder: where a run or samples were written.
    """

    values: np.ndarray = field(default_factory=lambda: np.empty(0))
    labels: list[str] | None = None
    left_out: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()
    folder: Path | None = None


@dataclass
class Input:
    """One input, already written.

    Attributes:
        words: what was done to it.
        read: has vaelab read it; what it raises is judged.
        check: says what is wrong with numbers that came out without a word; empty if nothing is.
    """

    words: str
    read: Callable[[], Reading]
    check: Callable[[Reading], str] = lambda reading: ""


@dataclass(frozen=True)
class Kind:
    """A kind of input.

    Attributes:
        make: writes an input into the empty folder that it is given; the last argument is the folder of `prepare`.
        heavy: modules that are imported once, before any process forks.
        warm: what else is done once in the process that forks; it must not start threads.
        prepare: writes, once, in a process of its own, what inputs are made from.
    """

    make: Callable[[Rng, Path, Path], Input]
    heavy: Sequence[str] = ()
    warm: Callable[[], Any] = lambda: None
    prepare: Callable[[Path], Any] = lambda folder: None


def pick(rng: Rng, choices: Sequence[Any]) -> Any:
    """One of them, as it is: numpy would make an array of them first."""
    return choices[int(rng.integers(len(choices)))]


def some(rng: Rng, choices: Sequence[Any], most: int) -> list[Any]:
    """One or more of them, each once."""
    count = int(rng.integers(1, min(most, len(choices)) + 1))
    return [choices[k] for k in rng.permutation(len(choices))[:count]]
