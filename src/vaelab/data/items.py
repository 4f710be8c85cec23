"""What a source hands over: raw items in memory, and what is known of them."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor

Kind = Literal["signal", "trace", "picture", "sound"]


class LeftOut(NamedTuple):
    """A file or row that a source could not use, and why."""

    name: str
    reason: str


@dataclass
class Items:
    """Raw items in the user's units, with their labels and everything that a split must respect.

    Attributes:
        kind: what an item is: a `signal`, a noisy `trace` with its clean partner, a `picture` or a `sound`.
        raw: `(items, channels, time)` float32, or for pictures `(items, channels, height, width)` uint8.
        clean: the noise-free partner of every trace, shaped as `raw`; None where there is none.
        label: `(items,)` int64 class of each item; None where nothing is known.
        label_names: the name of class 0, 1, ….
        group: `(items,)` int64; items of one group (chunks of one recording, copies of one picture) are never
            parted by the split. None: every item stands for itself.
        fold: `(items,)` int64 for data published with a split: 0 train, 1 validation, 2 test. None: split here.
        factors: known truths of each item, name to `(items,)` tensor (an SNR, the position of a peak).
        facts: what holds for all items, name to number (the cycles of a sine wave).
        sample_rate: in Hz, where time has a unit.
        left_out: every file or row that was not used, and why.
        names: what the user calls each item: its file, and which part of it; None where nothing is known.
    """

    kind: Kind
    raw: Tensor
    clean: Tensor | None = None
    label: Tensor | None = None
    label_names: tuple[str, ...] = ()
    group: Tensor | None = None
    fold: Tensor | None = None
    factors: dict[str, Tensor] = field(default_factory=dict)
    facts: dict[str, float] = field(default_factory=dict)
    sample_rate: float | None = None
    left_out: list[LeftOut] = field(default_factory=list)
    names: list[str] | None = None

    def __len__(self) -> int:
        return len(self.raw)


@dataclass(frozen=True)
class Signature:
    """What a trained model must remember of its data, in plain types, so that it can work without them.

    Attributes:
        kind: as in `Items`.
        raw_shape: shape of one raw item, `(channels, time)` or `(channels, height, width)`.
        sample_rate: in Hz, or None.
        label_names: names of the classes.
        facts: as in `Items`.
    """

    kind: Kind
    raw_shape: tuple[int, ...]
    sample_rate: float | None
    label_names: tuple[str, ...]
    facts: dict[str, float]

    @classmethod
    def of(cls, items: Items) -> "Signature":
        """The signature of these items."""
        return cls(
            items.kind,
            tuple(items.raw.shape[1:]),
            items.sample_rate,
            tuple(items.label_names),
            dict(items.facts),
        )


def label_tensor(values: list[str]) -> tuple[Tensor, tuple[str, ...]]:
    """Number the class names in sorted order: `(items,)` int64, and the names."""
    names = tuple(sorted(set(values)))
    number = {name: k for k, name in enumerate(names)}
    return torch.tensor([number[value] for value in values]), names
