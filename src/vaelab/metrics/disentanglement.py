"""How far each dimension of a code stands for one known factor, and each factor for one dimension.

Throughout `codes` is `(n, d)` float, for a VAE the means of the posterior, and `factors` is `(n, k)` int64: the
number of each factor's value, in any numbering. A score of 1 is a code that is the factors themselves, whatever
their order, scale and sign. Chance scores 0, except for informativeness, where it is the mean share of the
factors' most frequent value, and for the beta-VAE and FactorVAE scores, where it is 1/k.

A classifier is fitted on one random half of the items and scored on the other: such a score rises with n, and
another order of the items or dimensions, like another seed, moves it by some hundredths at most. MIG stays as it is.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaelab.seeding import generator, short_seed

Floats = NDArray[np.float64]

BINS = 20  # of a code's histogram, as Locatello et al. (2019)
BATCH = 64  # items or pairs that share the value of one factor
POINTS = 500  # batches for each factor, to fit and again to score
TREES = 50


class Dci(NamedTuple):
    """Eastwood and Williams (2018).

    Attributes:
        disentanglement: whether a dimension informs of one factor only.
        completeness: whether a factor is told by one dimension only.
        informativeness: accuracy with which the factors are predicted, mean over the factors.
    """

    disentanglement: float
    completeness: float
    informativeness: float


def disentanglement_measures(codes: Tensor, factors: Tensor, names: Sequence[str], seed: int = 0) -> dict[str, float]:
    """All scores of a code, name to number; 5,000 × 10 codes take some ten seconds, nearly all of it the forests.

    Args:
        codes: `(n, d)`.
        factors: `(n, k)` int64.
        names: of the factors, for messages.
        seed: of halves, forests and batches.

    Raises:
        ValueError: a code is not finite, or a factor has one value or hardly any value twice.
    """
    _check(codes, factors, names)
    disentanglement, completeness, informativeness = dci(codes, factors, seed)
    return {
        "mig": mig(codes, factors),
        "dci_disentanglement": disentanglement,
        "dci_completeness": completeness,
        "dci_informativeness": informativeness,
        "sap": sap(codes, factors, seed),
        "beta_vae_score": beta_vae_score(codes, factors, seed),
        "factor_vae_score": factor_vae_score(codes, factors, seed),
    }


def scorable(factors: dict[str, Tensor], n: int) -> bool:
    """Whether `n` items are enough for every factor to be scored: four for each of its values."""
    return all(1 < len(values.unique()) <= n // 4 for values in factors.values())


def _check(codes: Tensor, factors: Tensor, names: Sequence[str]) -> None:
    if not (codes.ndim == factors.ndim == 2 and len(codes) == len(factors) and factors.shape[1] == len(names)):
        shapes = f"{tuple(codes.shape)} and {tuple(factors.shape)}"
        raise ValueError(f"codes and factors {shapes} must be (n, d) and (n, {len(names)}), for {', '.join(names)}")
    if not codes.isfinite().all():
        raise ValueError("codes hold a NaN or an infinity")
    for name, factor in zip(names, factors.T, strict=True):
        values = len(factor.unique())
        if values < 2 or 4 * values > len(factor):
            raise ValueError(f"factor {name}: {values} values in {len(factor)} items are too few or too many to score")


def mig(codes: Tensor, factors: Tensor) -> float:
    """Mutual information gap (Chen et al. 2018, eq. 6), mean over the factors, corrected for chance.

    The gap between the two dimensions that know most of a factor, each by its share of the factor's entropy (see
    `information_shares`). A code of one dimension is compared with knowing nothing.
    """
    shares = information_shares(codes, factors).clamp_min(0)
    first, second = torch.cat([shares, torch.zeros_like(shares[:1])]).topk(2, dim=0).values
    return float((first - second).mean())


def information_shares(codes: Tensor, factors: Tensor) -> Tensor:
    """Share of each factor's entropy that each dimension knows, corrected for chance: `(d, k)`, 1 for all of it.

    Mutual information by a histogram of `BINS` bins of equal width, or as many as the factor has values: fewer
    could not hold its entropy. From n items it comes out too high, by 0.15 nats for 40 × 40 cells and n = 5,000,
    so what the same histogram gives on average over all pairings of codes and factors is taken off both the
    information and the entropy (Vinh, Epps and Bailey 2010).
    """
    shares = [[_information_share(code, factor) for factor in factors.T] for code in codes.T]
    return torch.tensor(shares, dtype=torch.float64)


def _information_share(code: Tensor, factor: Tensor) -> float:
    from scipy.stats import entropy
    from sklearn.metrics import mutual_info_score
    from sklearn.metrics.cluster import contingency_matrix, expected_mutual_information

    bins = _equal_width_bins(code, max(BINS, len(factor.unique())))
    table = contingency_matrix(factor.cpu().numpy(), bins.cpu().numpy()).astype(np.int64)
    by_chance = expected_mutual_information(table, len(factor))
    information = mutual_info_score(None, None, contingency=table)
    return float((information - by_chance) / max(entropy(table.sum(1)) - by_chance, 1e-12))


def _equal_width_bins(code: Tensor, bins: int) -> Tensor:
    """Number of each code's bin between the smallest and the largest: `(n,)` int64."""
    low, high = code.double().aminmax()
    place = (code - low) / (high - low).clamp_min(torch.finfo(torch.float64).tiny)
    return (place * bins).long().clamp_max(bins - 1)


def dci(codes: Tensor, factors: Tensor, seed: int = 0) -> Dci:
    """Disentanglement, completeness and informativeness (Eastwood and Williams 2018).

    The importance of a dimension for a factor is what it takes off the Gini impurity in a random forest that
    predicts the factor; a blind dimension earns some of it wherever no dimension tells all, so noise dimensions
    lower both scores of an imperfect code. Informativeness is an accuracy, as in Locatello et al. (2019), not the
    paper's error.
    """
    x, y, unseen, truth = _split(codes, factors, seed)
    forests = [_forest(seed).fit(x, factor) for factor in y.T]
    importance = np.stack([forest.feature_importances_ for forest in forests], axis=1)
    accuracy = [forest.score(unseen, factor) for forest, factor in zip(forests, truth.T, strict=True)]
    weight = importance.sum(axis=1) / max(importance.sum(), 1e-12)
    disentanglement = weight @ _concentration(importance)
    return Dci(float(disentanglement), float(_concentration(importance.T).mean()), float(np.mean(accuracy)))


def _forest(seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    # Each split may choose among all dimensions: were the one that knows the factor held back, a blind one would
    # earn importance in its place. Leaves of several items keep the trees from learning noise by heart.
    return RandomForestClassifier(
        TREES, max_features=None, min_samples_leaf=5, random_state=short_seed("measures", seed, 3)
    )


def _concentration(importance: Floats) -> Floats:
    """One minus the entropy of each row's shares, in units of its largest; 0 for a row of zeros: `(rows,)`."""
    columns, total = importance.shape[1], importance.sum(axis=1, keepdims=True)
    share = np.where(total > 0, importance / np.maximum(total, 1e-12), 1 / columns)
    surprise = -np.log(np.maximum(share, 1e-12)) / np.log(max(columns, 2))
    return 1 - (share * surprise).sum(axis=1)


def sap(codes: Tensor, factors: Tensor, seed: int = 0) -> float:
    """Separated attribute predictability (Kumar et al. 2018), mean over the factors.

    The gap between the two dimensions that best predict a factor, each alone, by thresholds: balanced accuracy as
    the paper has it for factors without an order, but scaled so that chance is 0, or the gap of a factor of K
    values could not pass 1 - 1/K. A code of one dimension is compared with chance.
    """
    x, y, unseen, truth = _split(codes, factors, seed)
    scores = [
        [_threshold_score(x[:, i], f, unseen[:, i], t) for f, t in zip(y.T, truth.T, strict=True)]
        for i in range(x.shape[1])
    ]
    ranked = np.sort(np.vstack([np.zeros((1, y.shape[1])), np.maximum(scores, 0)]), axis=0)
    return float((ranked[-1] - ranked[-2]).mean())


def _threshold_score(code: Floats, factor: NDArray, unseen: Floats, truth: NDArray) -> float:
    """Balanced accuracy over chance of a tree that may cut the one dimension into as many pieces as values."""
    from sklearn.metrics import recall_score
    from sklearn.tree import DecisionTreeClassifier

    values = np.unique(truth)
    chance = 1 / max(len(values), 2)
    tree = DecisionTreeClassifier(max_leaf_nodes=len(np.unique(factor)), class_weight="balanced", random_state=0)
    predicted = tree.fit(code[:, None], factor).predict(unseen[:, None])
    accuracy = recall_score(truth, predicted, labels=values, average="macro", zero_division=0)
    return float((accuracy - chance) / (1 - chance))


def beta_vae_score(codes: Tensor, factors: Tensor, seed: int = 0) -> float:
    """Accuracy of a linear classifier that names the one factor which the pairs of a batch share (Higgins et al. 2017).

    It sees the mean of |z₁ - z₂| over `BATCH` pairs. A rotated code may score nearly as well as a straight one.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    fit, score = (_points(_pair_differences, *half) for half in _in_halves(codes, factors, seed))
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return float(classifier.fit(*fit).score(*score))


def factor_vae_score(codes: Tensor, factors: Tensor, seed: int = 0) -> float:
    """Accuracy of a majority vote that names the one factor fixed in a batch (Kim and Mnih 2018, section 4).

    It sees which dimension varies least over `BATCH` items, in units of its variance over all. Dimensions that
    never vary do not stand; the paper also leaves out those that fell to the prior, which `codes` do not show.
    """
    fit, score = (_points(_steadiest, *half) for half in _in_halves(codes, factors, seed))
    votes = np.zeros((codes.shape[1], factors.shape[1]))
    np.add.at(votes, (fit[0][:, 0].astype(int), fit[1]), 1)
    return float((votes.argmax(axis=1)[score[0][:, 0].astype(int)] == score[1]).mean())


def _pair_differences(codes: Tensor, factor: Tensor, generator: torch.Generator) -> Tensor:
    """Mean |z₁ - z₂| of batches of pairs that have the same value, another in every pair: `(POINTS, d)`."""
    first = torch.randint(len(factor), (POINTS, BATCH), generator=generator)
    second = _others_of_same_value(factor, first, generator)
    return (codes[first] - codes[second]).abs().mean(dim=1)


def _steadiest(codes: Tensor, factor: Tensor, generator: torch.Generator) -> Tensor:
    """The dimension that varies least in batches of one value, another in every batch: `(POINTS, 1)`."""
    anchor = torch.randint(len(factor), (POINTS, 1), generator=generator).expand(-1, BATCH)
    members = codes[_others_of_same_value(factor, anchor, generator)]
    varies = codes.amax(dim=0) > codes.amin(dim=0)
    relative = members.var(dim=1) / codes.var(dim=0)
    return relative.where(varies, torch.inf).argmin(dim=1, keepdim=True)


def _others_of_same_value(factor: Tensor, items: Tensor, generator: torch.Generator) -> Tensor:
    """For each item another one, drawn from all of the same value (never itself: a pair would be too alike).

    Args:
        factor: `(n,)`.
        items: numbers of items, any shape.
        generator: of the draws.

    Returns:
        Numbers of items, shaped as `items`; an item whose value has no other is its own.
    """
    _, value, count = factor.unique(return_inverse=True, return_counts=True)
    by_value = value.argsort(stable=True)
    place, first = by_value.argsort(), count.cumsum(0) - count
    of, many = value[items], count[value[items]]
    step = 1 + (torch.rand(items.shape, generator=generator, dtype=torch.float64) * (many - 1)).long()
    return by_value[first[of] + (place[items] - first[of] + step) % many]


def _points(
    see: Callable[[Tensor, Tensor, torch.Generator], Tensor], codes: Tensor, factors: Tensor, rng: torch.Generator
) -> tuple[Floats, NDArray[np.int64]]:
    """What a batch shows, `POINTS` times for each factor, `(k · POINTS, …)`, and the number of the shared factor."""
    seen = torch.cat([see(codes, factor, rng) for factor in factors.T])
    return seen.double().numpy(), np.repeat(np.arange(factors.shape[1]), POINTS)


def _in_halves(codes: Tensor, factors: Tensor, seed: int) -> list[tuple[Tensor, Tensor, torch.Generator]]:
    """The items to fit on and those to score on, each with a generator of its own."""
    x, y = codes.detach().double().cpu(), factors.cpu()
    return [(x[half], y[half], generator("measures", seed, k)) for k, half in enumerate(_halves(len(x), seed))]


def _halves(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Numbers of the items to fit on, and of those to score on."""
    order = torch.randperm(n, generator=generator("measures", seed, 2))
    return order[: n // 2], order[n // 2 :]


def _split(codes: Tensor, factors: Tensor, seed: int) -> tuple[Floats, NDArray, Floats, NDArray]:
    """Codes and factors to fit on, and those to score on."""
    (x, y, _), (unseen, truth, _) = _in_halves(codes, factors, seed)
    return x.numpy(), y.numpy(), unseen.numpy(), truth.numpy()
