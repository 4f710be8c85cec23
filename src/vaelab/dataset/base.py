"""What every source does."""

from pathlib import Path
from typing import Protocol, runtime_checkable

from torch import Tensor

from vaelab.data.items import Items, Signature


@runtime_checkable
class Source(Protocol):
    """A simulator or a reader of files, with its settings as plain fields; making one touches no disk."""

    def load(self) -> Items:
        """All items, in memory. Raises `UserError` where nothing usable is found."""
        ...


@runtime_checkable
class Reader(Source, Protocol):
    """A source that also reads a single file of the user's own for a model that is already trained."""

    def read(self, path: str | Path, signature: Signature) -> Tensor:
        """Raw items `(items, *raw_shape)` of one file, made to the model's shape and sample rate.

        Raises `UserError` where the file is missing or cannot be read.
        """
        ...
