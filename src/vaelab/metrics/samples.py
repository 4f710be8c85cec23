"""How near new items come to true ones as a whole, whatever they are."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from vaelab.metrics.features import Features

MOST, NUMBERS = 1024, 2**24
NEIGHBOURS = 5  # as Naeem et al. take for all of theirs
SEEN = 256  # items whose nearest training item is looked for


def compared(shape: Sequence[int]) -> int:
    """How many items of this shape are held against as many others: fewer of large ones, for the time."""
    return max(min(MOST, NUMBERS // math.prod(shape)), 2)


def affordable(shape: Sequence[int]) -> int:
    """How many items of this shape may be gone through: as many as have 2²⁴ numbers together."""
    return max(NUMBERS // math.prod(shape), 2)


class Reference:
    """Test items, held against which other lots of items are measured.

    Args:
        true: test items `(n, *shape)`, encoded as all others are.
        train: training items, among which copies are looked for.
        features: what items are compared in.
        further: what more is measured of items against true ones.
    """

    def __init__(
        self,
        true: Tensor,
        train: Tensor,
        features: Features,
        further: Callable[[Tensor, Tensor], dict[str, float]] | None = None,
    ) -> None:
        self.true, self.train, self.features, self.further = true, train, features, further
        self.seen = features(true)
        # What is asked for with every lot of items.
        self.among = mean_distance(true)
        self.reach = neighbour_distance(self.seen) if len(true) > NEIGHBOURS else None
        self.nearest = nearest_distance(true[:SEEN], train)

    def measures(self, x: Tensor) -> dict[str, float]:
        """Of items `(n, *shape)`, as many as there are true ones, by name; what needs more of them is left out.

        Of items that are no numbers nothing is told.

        `nearest_ratio` is their mean distance to the nearest training item over that of the test items: well below
        one they are copies, or smoother than true ones.
        """
        told = self.lot_measures(x)
        if told and self.nearest > 0:
            told["nearest_ratio"] = nearest_distance(x[:SEEN], self.train) / self.nearest
        return told

    def lot_measures(self, x: Tensor) -> dict[str, float]:
        """As `measures`, but for the training items: what training items themselves can be measured by."""
        if not x.isfinite().all() or not (seen := self.features(x)).isfinite().all():
            return {}
        told = {"energy_distance": energy_distance(x, self.true, self.among)}
        if min(len(x), len(self.true)) > 1:
            told["frechet"] = frechet_distance(seen, self.seen)
        if self.reach is not None:
            told |= density_and_coverage(seen, self.seen, self.reach)
        if self.features.classes:
            told |= class_measures(self.features.told(x), self.features.classes)
        if self.further is not None and len(x) == len(self.true):
            told |= self.further(x, self.true)
        return told


def energy_distance(x: Tensor, true: Tensor, among: float | None = None) -> float:
    """The energy distance 2 E|X − Y| − E|X − X'| − E|Y − Y'| of two lots of items (Székely and Rizzo 2013).

    It is zero for equal distributions, and only for them. Pairs of an item with itself do not count, so that it is
    right on average, and may come out a little below zero. Distances are root-mean-square over an item's numbers.

    Args:
        x: `(n, *shape)`.
        true: `(m, *shape)`.
        among: the `mean_distance` of the true ones, where it is known.
    """
    a, b = (items.flatten(1).double() for items in (x, true))
    between = float(torch.cdist(a, b).mean()) / a.shape[1] ** 0.5
    return 2 * between - mean_distance(x) - (mean_distance(true) if among is None else among)


def wasserstein_distance(x: Tensor, true: Tensor) -> float:
    """The 2-Wasserstein distance of two lots of as many items `(n, numbers)` (Peyré and Cuturi 2019, eq. 2.18).

    Items are shared out so that the mean square of their distances is least, exactly; it is the root of that. Of few
    items it is far above zero even for equal distributions, so that it says something beside that of true items alone.
    """
    from scipy.optimize import linear_sum_assignment

    squares = torch.cdist(x.double(), true.double(), compute_mode="donot_use_mm_for_euclid_dist").square()
    rows, columns = linear_sum_assignment(squares.numpy())
    return float(squares[rows, columns].mean()) ** 0.5


def mean_distance(items: Tensor) -> float:
    """Root-mean-square over their numbers, mean over all pairs of two items `(n, *shape)`; of one alone, zero."""
    rows = items.flatten(1).double()
    pairs = max(len(rows) * (len(rows) - 1), 1)
    return float(torch.cdist(rows, rows).sum()) / pairs / rows.shape[1] ** 0.5


def frechet_distance(seen: Tensor, true: Tensor) -> float:
    """|μ − ν|² + tr(A + B − 2 (A B)^½) of two lots of features, as if both were normal (Heusel et al. 2017, eq. 6).

    It is the squared 2-Wasserstein distance of the two normals (Dowson and Landau 1982). Of few items it is far
    above zero even for equal distributions, so that it says something beside that of as many true items alone.

    Args:
        seen: `(n, features)`, n at least 2.
        true: `(m, features)`, m at least 2.
    """
    x, y = (features.double() for features in (seen, true))
    a, b = (torch.atleast_2d(torch.cov(features.T)) for features in (x, y))
    variances, directions = torch.linalg.eigh(a)
    root = directions * variances.clamp(min=0).sqrt() @ directions.T
    # (A B)^½ has the trace of (A^½ B A^½)^½, which is symmetric.
    shared = torch.linalg.eigvalsh(root @ b @ root).clamp(min=0).sqrt().sum()
    apart = (x.mean(0) - y.mean(0)).square().sum()
    return max(float(apart + a.trace() + b.trace() - 2 * shared), 0.0)


def neighbour_distance(true: Tensor, k: int = NEIGHBOURS) -> Tensor:
    """How far each item's k-th neighbour is, `(m,)`, of features `(m, features)`, m above k."""
    # The nearest of all is the item itself.
    return torch.cdist(true, true).topk(k + 1, largest=False).values[:, -1]


def density_and_coverage(seen: Tensor, true: Tensor, reach: Tensor, k: int = NEIGHBOURS) -> dict[str, float]:
    """How often new items lie near true ones, and how many true ones have new ones near (Naeem et al. 2020, section 3).

    Near a true item is what lies within the ball that reaches to its k-th neighbour among the true ones. `density`, the
    mean number of balls that a new item lies in, over k, is 1 on average for equal distributions and grows where new
    items crowd; `coverage`, the share of balls that hold a new item, comes to 1 − 2⁻ᵏ.

    Args:
        seen: features `(n, features)` of new items.
        true: `(m, features)`.
        reach: `(m,)` the `neighbour_distance` of the true ones.
        k: which neighbour that is.
    """
    inside = torch.cdist(true, seen) < reach[:, None]
    return {
        "density": float(inside.double().sum(0).mean() / k),
        "coverage": float(inside.any(1).double().mean()),
    }


def class_measures(told: Tensor, classes: int) -> dict[str, float]:
    """How items `(n,)`, each of the class that it was told to be, are spread over so many classes.

    `classes_found` is the share of the classes that occur, `least_class_share` the rarest one's share of the items, and
    `class_entropy` that of the shares, in nats.
    """
    share = told.bincount(minlength=classes).double() / len(told)
    return {
        "class_entropy": float(torch.special.entr(share).sum()),
        "classes_found": float((share > 0).double().mean()),
        "least_class_share": float(share.min()),
    }


def within_class_variance(x: Tensor, label: Tensor, true: Tensor, true_label: Tensor) -> float | None:
    """The variance of items around the mean of their class, over that of true items: the mean over the classes.

    It is 1 on average for equal distributions, and below it where a class has become its own middle. Only a class
    counts that has two items or more on either side; where there is none, nothing is told.

    Args:
        x: `(n, *shape)`.
        label: `(n,)` class numbers.
        true: `(m, *shape)`.
        true_label: `(m,)`; −1 where nothing is known.
    """
    ratios = []
    for one in label.unique().tolist():
        ours, theirs = (items[of == one].flatten(1).double() for items, of in ((x, label), (true, true_label)))
        if min(len(ours), len(theirs)) > 1 and float(theirs.var(0).sum()) > 0:
            ratios.append(float(ours.var(0).sum() / theirs.var(0).sum()))
    return math.fsum(ratios) / len(ratios) if ratios else None


def nearest_distance(x: Tensor, others: Tensor) -> float:
    """The mean distance of items `(n, *shape)` to the nearest of others `(m, *shape)`."""
    middle = others.flatten(1).mean(0)
    # Near the origin single precision parts what is close, too.
    return float(torch.cdist(x.flatten(1) - middle, others.flatten(1) - middle).amin(1).mean())
