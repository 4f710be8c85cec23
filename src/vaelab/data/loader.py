"""Batches from in-memory tensors by index: no worker, no per-item collate, the same order after a resume."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from vaelab.codec.base import Codec
from vaelab.data.augment import Augmentation
from vaelab.data.batch import Batch
from vaelab.seeding import generator, stream_seed


@dataclass
class Store:
    """Items in memory: encoded already, or raw where the codec encodes on the fly.

    `x` (and `target`, None where x is its own target) are `(items, channels, *size)`; `label` and `level` `(items,)`.
    `index` `(n,)` names those of one split; the splits share the tensors, so that nothing is held twice.
    """

    x: Tensor
    target: Tensor | None
    label: Tensor
    level: Tensor
    index: Tensor

    def __len__(self) -> int:
        return len(self.index)

    def part(self, index: Tensor) -> "Store":
        """The items in the rows `index` alone, in that order."""
        return replace(self, index=index.to(self.index.device))

    def to(self, device: torch.device) -> "Store":
        """The same items on a device; copies only of what was elsewhere."""
        tensors = (self.x, self.target, self.label, self.level, self.index)
        return Store(*(None if tensor is None else tensor.to(device) for tensor in tensors))  # type: ignore[arg-type]


class IndexLoader:
    """Draws batches of a `Store`; a pure function of (seed, epoch, rank) and the batch's number.

    With `shuffle`, every epoch has its own order; `epoch` is asked when an iteration begins. `state_dict` holds how
    many batches of the epoch were drawn: loaded, the next iteration goes on behind them. Each of `world` processes
    draws its own, equally many, share.
    """

    def __init__(
        self,
        store: Store,
        codec: Codec,
        batch_size: int,
        *,
        seed: int,
        shuffle: bool = False,
        epoch: Callable[[], int] = lambda: 0,
        augment: Augmentation | None = None,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.store, self.codec, self.batch_size = store, codec, batch_size
        self.seed, self.shuffle, self.epoch, self.augment = seed, shuffle, epoch, augment
        self.rank, self.world = rank, world
        self.drawn = self.resumed_at = 0
        self.generator = torch.Generator(store.x.device)

    def __len__(self) -> int:
        return -(-(len(self.store) // self.world if self.shuffle else self._share()) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        # An evaluation is the same in every epoch, and has none of training's draws.
        epoch = self.epoch() if self.shuffle else -1
        order = self._order(epoch)
        start, self.resumed_at = self.resumed_at, 0
        for k in range(start, len(self)):
            self.drawn = k + 1
            yield self._batch(order[k * self.batch_size : (k + 1) * self.batch_size], epoch, k)

    def joined(self) -> Batch:
        """All batches as one, on the CPU."""
        return Batch(*(torch.cat(fields).cpu() for fields in zip(*self, strict=True)))

    def state_dict(self) -> dict[str, Any]:
        """Where in the epoch the loader stands."""
        return {"drawn": self.drawn % len(self)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on behind the batches that were drawn."""
        self.resumed_at = state["drawn"]

    def _share(self) -> int:
        return len(range(self.rank, len(self.store), self.world))

    def _order(self, epoch: int) -> Tensor:
        if not self.shuffle:
            return self.store.index[self.rank :: self.world]
        order = torch.randperm(len(self.store), generator=generator("order", self.seed, epoch))
        equal = len(self.store) // self.world * self.world
        return self.store.index[order[self.rank : equal : self.world].to(self.store.index.device)]

    def _batch(self, index: Tensor, epoch: int, k: int) -> Batch:
        store = self.store
        x = store.x.index_select(0, index)
        label, level = store.label.index_select(0, index), store.level.index_select(0, index)
        if self.codec.on_the_fly or self.augment:
            self.generator.manual_seed(stream_seed("pixels", self.seed, epoch, k, self.rank))
        if self.codec.on_the_fly:
            x, level = self.codec.encode(x, generator=self.generator)
        target = x if store.target is None else store.target.index_select(0, index)
        if self.augment:
            x = target = self.augment(x, self.generator)
        return Batch(x, target, label, level, index)
