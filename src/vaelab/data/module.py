"""The in-memory DataModule: a source and a codec in, batches out."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count, islice
from typing import Any, TypeVar, cast

import lightning as L
import torch
from torch import Tensor

from vaelab.codec.base import Codec, Encoded
from vaelab.data.augment import Augmentation
from vaelab.data.batch import Batch
from vaelab.data.items import Items, Signature, check_items
from vaelab.data.loader import IndexLoader, Store
from vaelab.data.split import SPLITS, split_items, split_notes
from vaelab.dataset.base import Source
from vaelab.errors import UserError
from vaelab.linear import LinearCode, fit_linear_code, principal_components
from vaelab.seeding import generator

T = TypeVar("T")
# One size for every evaluation: what is drawn for a batch (a binarisation) must not depend on the training's.
EVALUATION_BATCH = 256
# What a linear code is fitted on: training items, in several forms if they are augmented, until they are so many, or
# so many numbers.
LINEAR_ITEMS, LINEAR_NUMBERS = 2**14, 2**27
# PCA holds all that it is fitted on in memory, and so sees less.
PCA_NUMBERS = 2**26


@dataclass(frozen=True)
class Found:
    """What the data turned out to be, told before the first step.

    `counts` are the items of each split; `low` and `high` bound the encoded values.
    """

    signature: Signature
    shape: tuple[int, ...]
    counts: dict[str, int]
    low: float
    high: float
    fingerprint: str


def class_numbers(setting: str, words: Sequence[str | int], names: Sequence[str]) -> list[int]:
    """The numbers of the classes with these names, as `setting` gives them.

    Raises:
        UserError: naming the classes that there are, if one is not among them, or none is named.
    """
    there_are = f"there are {', '.join(names[:20])}{', …' if len(names) > 20 else ''}"
    if not words:
        raise UserError(f"{setting} names no class: {there_are}")
    for word in words:
        if str(word) not in names:
            raise UserError(f"{setting}: there is no class {word}: {there_are}")
    return [names.index(str(word)) for word in words]


def fair_draw(total: int, n: int, *seed: int) -> Tensor:
    """Which `n` of `total` things stand for all (all of them, if there are fewer): `(n,)` numbers in random order.

    The same for the same seed. The first so many of a draw are a fair draw, too.
    """
    return torch.randperm(total, generator=generator("draw", *seed))[:n]


class DataModule(L.LightningDataModule):
    """Reads a source once, splits it by group, fits the codec on the training split and serves batches by index.

    `prepare()` does the work, once, before any model exists, because the data's shape decides the nets'. A codec that
    comes `fitted` (a trained run's) stays as it is. What is given by name alone are settings of `dataset`. With `keep`,
    only items of these classes are trained and validated on; the test split has all.
    """

    def __init__(
        self,
        source: Source,
        codec: Codec,
        seed: int = 0,
        fitted: bool = False,
        *,
        batch_size: int = 128,
        split: Sequence[float] = (0.8, 0.1, 0.1),
        flip: bool = False,
        crop: int = 0,
        rotate: float = 0.0,
        jitter: float = 0.0,
        shift: float = 0.0,
        keep: Sequence[str | int] | None = None,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise UserError(f"dataset.batch_size must be at least 1, not {batch_size}")
        self.source, self.codec, self.batch_size = source, codec, batch_size
        self.fractions, self.keep, self.seed, self.fitted = split, keep, seed, fitted
        self.augmentation = Augmentation(flip, crop, rotate, jitter, shift)
        self.items: Items
        self.index: dict[str, Tensor] = {}
        self.stores: dict[str, Store] = {}
        self._known: dict[Hashable, Any] = {}

    def prepare(self) -> Found:
        """Load, split, fit and encode; say what was found."""
        if not self.stores:
            self.items = self.source.load()
            check_items(self.items, type(self.source).__name__)
            self.augmentation.check(self.items)
            index = split_items(self.items, self.fractions, self.seed)
            self.items.notes += split_notes(self.items, index)
            self.index = self._kept(index)
            # Codecs on the fly learn nothing, and the training split's copy would double a large set.
            if not self.fitted and not self.codec.on_the_fly:
                self.codec.fit(self.items.raw[self.index["train"]])
            whole = self._encode()
            self.stores = {name: replace(whole, index=self.index[name]) for name in SPLITS}
        return self._found()

    def factors(self, item: Tensor) -> dict[str, Tensor]:
        """The known truths of the items in these rows."""
        return {name: values[item] for name, values in self.items.factors.items()}

    def drawn(self, split: str, n: int) -> Tensor:
        """Rows of the items that stand for a split: a `fair_draw` of `n`, the same at every call.

        Never the first `n`: files come sorted by class.
        """
        index = self.index[split]
        return index[fair_draw(len(index), n, self.seed, SPLITS.index(split))]

    def loader(self, split: str, n: int | None = None) -> IndexLoader:
        """The split in its own order, or `n` items that are `drawn` from it: the same batches at every call."""
        return self._serve(self.index[split] if n is None else self.drawn(split, n))

    def batch(self, split: str, n: int | None = None) -> Batch:
        """All that `loader` serves as one batch, on the CPU."""
        return self.loader(split, n).joined()

    def rows(self, item: Tensor) -> Batch:
        """The encoded items in some rows, on the CPU."""
        return self._serve(item).joined()

    def numbered(self, split: str, numbers: Sequence[int]) -> Batch:
        """The encoded items that have these numbers in their split, on the CPU."""
        return self.rows(self.index[split][torch.tensor(numbers)])

    def numbers(self, split: str, item: Tensor) -> Tensor:
        """The numbers in their split of the items in these rows; a split's rows stand in rising order."""
        return torch.searchsorted(self.index[split], item)

    def _serve(self, index: Tensor) -> IndexLoader:
        return IndexLoader(self.stores["train"].part(index), self.codec, EVALUATION_BATCH, seed=self.seed)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` returned when it was first asked for under this key.

        For what the data and the key alone decide, such as baselines: the jobs of a sweep share the data, and so these.
        """
        if key not in self._known:
            self._known[key] = make()
        return cast("T", self._known[key])

    def linear_code(self, size: int) -> LinearCode:
        """The best linear code of `size` numbers of what training items become in the first epochs.

        Of two ways to find one it is the one that restores validation items better.
        """
        return self.once(("linear", size), lambda: self._best_code(size))

    def cosine_code(self, size: int) -> LinearCode:
        """As `linear_code`, the frequencies of most variance alone."""
        return self.once(("cosine", size), lambda: fit_linear_code(self.augmented, size, correlated=False))

    def _best_code(self, size: int) -> LinearCode:
        held = self.batch("val", EVALUATION_BATCH).target
        some = max(PCA_NUMBERS // held[0].numel(), 1)
        seen = torch.cat(list(islice(self.augmented(), -(-some // EVALUATION_BATCH))))[:some]
        codes = (fit_linear_code(self.augmented, size), principal_components(seen, size, self.seed))
        return min(codes, key=lambda code: float((code.restore(code.project(held)) - held).square().mean()))

    def augmented(self) -> Iterator[Tensor]:
        """Encoded training items as the first epochs have them, `(batch, *shape)` each; of a clean partner, that."""
        store = self.stores["train"]
        left = max(min(LINEAR_ITEMS, LINEAR_NUMBERS // store.x[0].numel()), 1)
        for epoch in count() if self.augmentation else [0]:
            serve = IndexLoader(
                store,
                self.codec,
                EVALUATION_BATCH,
                seed=self.seed,
                shuffle=True,
                epoch=partial(int, epoch),
                augment=self.augmentation,
            )
            for batch in serve:
                yield batch.target[:left].cpu()
                left -= len(batch.target)
                if left <= 0:
                    return

    def train_dataloader(self) -> IndexLoader:
        """Shuffled anew each epoch; on a resumed run exactly where it stopped."""
        assert self.trainer is not None
        progress: Any = self.trainer.fit_loop.epoch_progress.current
        return IndexLoader(
            self._on_device("train"),
            self.codec,
            self.batch_size,
            seed=self.seed,
            shuffle=True,
            epoch=lambda: progress.processed,
            augment=self.augmentation,
            rank=self.trainer.global_rank,
            world=self.trainer.world_size,
        )

    def val_dataloader(self) -> IndexLoader:
        """The validation split."""
        return self._evaluation_loader("val")

    def test_dataloader(self) -> IndexLoader:
        """The test split."""
        return self._evaluation_loader("test")

    def _evaluation_loader(self, split: str) -> IndexLoader:
        assert self.trainer is not None
        rank, world = self.trainer.global_rank, self.trainer.world_size
        store = self._on_device(split)
        return IndexLoader(store, self.codec, EVALUATION_BATCH, seed=self.seed, rank=rank, world=world)

    def _on_device(self, split: str) -> Store:
        assert self.trainer is not None
        device = self.trainer.strategy.root_device
        if self.stores[split].x.device != device:
            whole = self.stores[split].to(device)
            self.stores = {name: replace(whole, index=self.index[name].to(device)) for name in SPLITS}
        return self.stores[split]

    def _kept(self, index: dict[str, Tensor]) -> dict[str, Tensor]:
        """The splits, those for training and validation without the classes that are not to be kept."""
        if self.keep is None:
            return index
        label = self.items.label
        if label is None:
            raise UserError("dataset.keep chooses classes, and these items have none: leave it null")
        kept = torch.isin(label, torch.tensor(class_numbers("dataset.keep", self.keep, self.items.class_names())))
        index = index | {name: index[name][kept[index[name]]] for name in ("train", "val")}
        for name in ("train", "val"):
            if not len(index[name]):
                raise UserError(f"dataset.keep={list(self.keep)} leaves no item in the split {name}: keep more classes")
        return index

    def _encode(self) -> Store:
        items, every = self.items, torch.arange(len(self.items))
        label = torch.full((len(items),), -1) if items.label is None else items.label
        if self.codec.on_the_fly:
            return Store(items.raw, None, label, torch.zeros(len(items)), every)
        encoded = self.codec.encode(items.raw)
        if not isinstance(encoded, Encoded):
            name, given = type(self.codec).__name__, type(encoded).__name__
            raise UserError(f"{name}.encode gives {given}: return vaelab.codec.base.Encoded(x, level)")
        x, level = encoded
        target = None if items.clean is None else self.codec.encode(items.clean, level)[0]
        return Store(x, target, label, level, every)

    def _found(self) -> Found:
        low, high = self._range()
        counts = {name: len(store) for name, store in self.stores.items()}
        one = self.stores["train"].x[:1]
        shape = tuple((self.codec.encode(one).x if self.codec.on_the_fly else one).shape[1:])
        return Found(Signature.of(self.items), shape, counts, low, high, self._fingerprint())

    def _range(self) -> tuple[float, float]:
        store = self.stores["train"]
        tensor = store.x if store.target is None else store.target
        ends = torch.stack([tensor.min(), tensor.max()]).view(2, 1, 1, 1)
        ends = self.codec.encode(ends).x if self.codec.on_the_fly else ends
        return float(ends.min()), float(ends.max())

    def _fingerprint(self) -> str:
        """A short hash of the raw items: the same data, the same fingerprint."""
        import hashlib

        digest = hashlib.blake2b(digest_size=8)
        digest.update(self.items.raw.contiguous().view(torch.uint8).numpy().data)
        return digest.hexdigest()
