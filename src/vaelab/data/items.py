"""What a source hands over: raw items in memory, and what is known of them."""

import math
from dataclasses import dataclass, field, fields
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor

from vaelab.errors import UserError

# Numbers in one item: a colour picture of 16,384 pixels a side has less.
LARGEST_ITEM = 2**30
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
        notes: what a reader decided that the user should know, one line each.
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
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.raw)

    def class_names(self) -> tuple[str, ...]:
        """The name of class 0, 1, …: where a source gave none, its number. Nothing where no item has a class."""
        if self.label is None or self.label_names:
            return tuple(self.label_names)
        return tuple(map(str, range(int(self.label.max()) + 1)))


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
            items.class_names(),
            dict(items.facts),
        )

    @classmethod
    def from_plain(cls, content: Any) -> "Signature":
        """The signature in a checkpoint's plain types, as `dataclasses.asdict` gives them.

        Raises:
            UserError: if a field is missing, or of a type or size that no data have.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(content, dict) or set(content) != names:
            raise UserError(f"its signature must have {', '.join(sorted(names))}: it is damaged")
        kind, rate, labels, facts = (content[name] for name in ("kind", "sample_rate", "label_names", "facts"))
        good = {
            "kind": kind in get_args(Kind),
            "sample_rate": rate is None or (_is_number(rate) and rate > 0),
            "label_names": isinstance(labels, list | tuple) and all(isinstance(name, str) for name in labels),
            "facts": isinstance(facts, dict) and all(map(_is_number, facts.values())),
        }
        for name, is_good in good.items():
            if not is_good:
                raise UserError(f"its signature holds no {name}: it is damaged")
        return cls(kind, shape_from_plain(content["raw_shape"]), rate, tuple(labels), facts)


def shape_from_plain(content: Any) -> tuple[int, ...]:
    """The shape of an item in a checkpoint's plain types, `(channels, *size)`.

    Raises:
        UserError: if it is none, or one of more numbers than memory holds.
    """
    sides = content if isinstance(content, list | tuple) else ()
    if len(sides) not in (2, 3) or not all(type(side) is int and side > 0 for side in sides):
        raise UserError("its shape is none of an item, (channels, *size): it is damaged")
    if math.prod(sides) > LARGEST_ITEM:
        raise UserError(f"its items have {math.prod(sides):,} numbers, more than memory holds: it is damaged")
    return tuple(sides)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def check_items(items: Any, source: str) -> None:
    """Refuse what a source hands over that is not as `Items` says.

    Raises:
        UserError: naming the source, the field and what it must be.
    """
    if not isinstance(items, Items):
        raise UserError(f"{source}.load returns {type(items).__name__}: return vaelab.data.items.Items(kind, raw)")
    if items.kind not in get_args(Kind):
        raise UserError(f"{source}.load: kind={items.kind!r} is none of {', '.join(get_args(Kind))}")
    raw, n, axes = items.raw, len(items.raw), 4 if items.kind == "picture" else 3
    types = (torch.uint8, torch.float32) if axes == 4 else (torch.float32,)
    if not isinstance(raw, Tensor) or raw.ndim != axes or raw.dtype not in types:
        size = "(items, channels, height, width)" if axes == 4 else "(items, channels, time)"
        words = " or ".join(str(kind) for kind in types)
        raise UserError(f"{source}.load: raw of {_shown(raw)}, and a {items.kind}'s must be {size}, {words}")
    if items.clean is not None and _shown(items.clean) != _shown(raw):
        raise UserError(f"{source}.load: clean of {_shown(items.clean)}, and raw of {_shown(raw)}: give them alike")
    of_each = {name: getattr(items, name) for name in ("label", "group", "fold") if getattr(items, name) is not None}
    for name, values in of_each.items():
        if not isinstance(values, Tensor) or values.shape != (n,) or values.dtype != torch.int64:
            raise UserError(
                f"{source}.load: {name} of {_shown(values)}, and of {n} items it must be ({n},), torch.int64"
            )
    for name, values in items.factors.items():
        if not isinstance(values, Tensor) or values.shape != (n,):
            raise UserError(f"{source}.load: factors[{name!r}] of {_shown(values)}, and of {n} items it must be ({n},)")
    for name, value in items.facts.items():
        if not _is_number(value):
            raise UserError(f"{source}.load: facts[{name!r}] is no plain finite number but {type(value).__name__}")
    if items.names is not None and len(items.names) != n:
        raise UserError(f"{source}.load: there are {len(items.names)} names of {n} items: give each one")


def _shown(values: Any) -> str:
    """The shape and the type of numbers, of anything else its type alone."""
    return f"{tuple(values.shape)}, {values.dtype}" if isinstance(values, Tensor) else type(values).__name__


def label_tensor(values: list[str]) -> tuple[Tensor, tuple[str, ...]]:
    """Number the class names in sorted order: `(items,)` int64, and the names, as text."""
    values = [as_text(value) for value in values]
    names = tuple(sorted(set(values)))
    number = {name: k for k, name in enumerate(names)}
    return torch.tensor([number[value] for value in values]), names


def as_text(name: str) -> str:
    r"""A name with what is no text in it spelt out: names of files are bytes in any encoding.

    >>> as_text("caf\udce9")
    'caf\\udce9'
    """
    return name.encode(errors="backslashreplace").decode()
