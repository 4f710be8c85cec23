"""What items are compared in: the hidden layer of a classifier where there are classes, else principal components."""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vaelab.metrics.baseline import fitted_pca
from vaelab.seeding import generator, seeded, stream_seed

COMPONENTS, HIDDEN = 64, 32
BATCH, RATE = 128, 0.01  # of the classifier
LEAST_STEPS, ROUNDS = 150, 15  # of it: enough for few items, and how often many are gone through
# With fewer items of a class, on average, a classifier learns the items.
FEWEST = 5


class Features(Protocol):
    """Numbers of an item that stand for what is seen in it; all are scaled as one, to a mean variance of 1.

    Attributes:
        size: how many numbers.
        classes: how many classes it tells apart; 0: none.
        accuracy: share of held-out items whose class it tells; None where there are no classes, or no such items.
    """

    size: int
    classes: int
    accuracy: float | None

    def __call__(self, x: Tensor) -> Tensor:
        """Of encoded items `(n, *shape)`: `(n, size)` float64."""

    def told(self, x: Tensor) -> Tensor:
        """The class of each: `(n,)` int64."""


class Components:
    """The leading principal components of the training items `(n, *shape)`, at most 64."""

    classes = 0
    accuracy: float | None = None

    def __init__(self, train: Tensor, seed: int) -> None:
        self.pca = fitted_pca(train, COMPONENTS, seed)
        variance = float(self.pca.explained_variance_.mean())
        self.size, self.scale = self.pca.n_components_, variance**-0.5 if variance > 0 else 1.0

    def __call__(self, x: Tensor) -> Tensor:
        """`(n, size)` float64."""
        return self.scale * torch.from_numpy(self.pca.transform(x.flatten(1).numpy())).double()

    def told(self, x: Tensor) -> Tensor:
        """There are no classes."""
        raise NotImplementedError


class Classifier:
    """The hidden layer of a small net that tells the classes of training items by their principal components.

    `label` `(n,)` holds numbers below `classes`. It sees nothing but what it is given here.
    """

    size = HIDDEN
    accuracy: float | None = None

    def __init__(self, train: Tensor, label: Tensor, classes: int, seed: int) -> None:
        self.components, self.classes = Components(train, seed), classes
        seen = self.components(train).float()
        with seeded(stream_seed("features", seed)):
            self.hidden = nn.Sequential(nn.Linear(seen.shape[1], HIDDEN), nn.ReLU())
            self.head = nn.Linear(HIDDEN, classes)
        self._fit(seen, label, seed)
        active = self._active(seen)
        self.scale = float(active.var(0).mean().clamp(min=1e-12)) ** -0.5

    def _fit(self, seen: Tensor, label: Tensor, seed: int) -> None:
        net = nn.Sequential(self.hidden, self.head)
        optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, fused=True)
        steps = max(LEAST_STEPS, ROUNDS * len(seen) // BATCH)
        drawn = torch.randint(len(seen), (steps, BATCH), generator=generator("features", seed, 1))
        for rows in drawn:
            loss = F.cross_entropy(net(seen[rows]), label[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    @torch.inference_mode()
    def _active(self, seen: Tensor) -> Tensor:
        return self.hidden(seen)

    def __call__(self, x: Tensor) -> Tensor:
        """`(n, 32)` float64."""
        return self.scale * self._active(self.components(x).float()).double()

    @torch.inference_mode()
    def told(self, x: Tensor) -> Tensor:
        """The most probable class of each: `(n,)`."""
        return self.head(self._active(self.components(x).float())).argmax(1)

    def measured(self, x: Tensor, label: Tensor) -> Classifier:
        """Itself, with its accuracy on held-out items."""
        known = label >= 0
        self.accuracy = float((self.told(x[known]) == label[known]).double().mean()) if known.any() else None
        return self


class Stacked:
    """The features of each channel of an item by itself, side by side; its class is those of all channels in turn."""

    def __init__(self, one: Classifier, channels: int) -> None:
        self.one, self.channels = one, channels
        self.size, self.classes, self.accuracy = channels * one.size, one.classes**channels, one.accuracy

    def __call__(self, x: Tensor) -> Tensor:
        """`(n, channels · 32)` float64."""
        return self.one(parted(x)).unflatten(0, (len(x), self.channels)).flatten(1)

    def told(self, x: Tensor) -> Tensor:
        """`(n,)`, the class of the first channel counting most."""
        each = self.one.told(parted(x)).unflatten(0, (len(x), self.channels))
        return (each * self.one.classes ** torch.arange(self.channels).flip(0)).sum(1)


def parted(x: Tensor) -> Tensor:
    """The channels of items `(n, channels, *size)` as items of their own, `(n · channels, 1, *size)`."""
    return x.flatten(0, 1)[:, None]


def fitted_features(train: Tensor, label: Tensor, test: Tensor, test_label: Tensor, seed: int) -> Features:
    """A classifier where the training items have classes, and enough of each; else their principal components.

    Args:
        train: encoded items `(n, *shape)`, all that is fitted on.
        label: `(n,)`; −1 where nothing is known.
        test: held-out items `(m, *shape)`, on which the accuracy is measured, and nothing else.
        test_label: `(m,)`.
        seed: of the net's weights and batches.
    """
    known = label >= 0
    classes = int(label.max()) + 1
    if len(label[known].unique()) < 2 or int(known.sum()) < FEWEST * classes:
        return Components(train, seed)
    return Classifier(train[known], label[known], classes, seed).measured(test, test_label)
