"""How much of the classes and of known quantities a code tells, beside a linear code of the same size."""

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from vaelab.seeding import generator, short_seed

# Items that a forest is fitted on, and its trees: a second for ten quantities told from a code of two numbers.
FITTED, TREES = 2000, 50


def probe_accuracy(train: Tensor, train_labels: Tensor, test: Tensor, test_labels: Tensor) -> float:
    """Share of test items whose class a logistic regression on standardised codes gets right.

    Args:
        train: `(items, code_size)`, what it is fitted on.
        train_labels: `(items,)`, of at least two classes.
        test: `(items, code_size)`.
        test_labels: `(items,)`.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        probe.fit(train.double().numpy(), train_labels.numpy())
    return float(probe.score(test.double().numpy(), test_labels.numpy()))


def quantities_r2(
    train: Tensor, train_factors: Mapping[str, Tensor], test: Tensor, test_factors: Mapping[str, Tensor], seed: int = 0
) -> dict[str, float]:
    """R² of each known quantity on test items, told from the code by a random forest (Breiman 2001).

    1: the code tells all; 0, or a little below: it tells nothing. What never varies among the test items is left out.

    Args:
        train: `(items, code_size)`, what the forests are fitted on; the first `FITTED` are enough.
        train_factors: name to `(items,)`.
        test: `(items, code_size)`.
        test_factors: name to `(items,)`.
        seed: of the forests.
    """
    seen, unseen = train[:FITTED].double().numpy(), test.double().numpy()
    told = {}
    for name, truth in test_factors.items():
        if bool((truth == truth[0]).all()):
            continue
        forest = _regressor(seed).fit(seen, train_factors[name][:FITTED].double().numpy())
        told[f"r2_{name}"] = float(forest.score(unseen, truth.double().numpy()))
    return told


def _regressor(seed: int) -> Any:
    from sklearn.ensemble import RandomForestRegressor

    # A third of the dimensions at a split, as Breiman's own advice is for regression.
    return RandomForestRegressor(
        TREES, max_features=1 / 3, min_samples_leaf=5, random_state=short_seed("measures", seed, 4)
    )


def majority_accuracy(train_labels: Tensor, test_labels: Tensor) -> float:
    """Share of test items of the class that most training items have: what a code that tells nothing gets."""
    return float((test_labels == train_labels.mode().values).double().mean())


def silhouette(codes: Tensor, labels: Tensor, limit: int = 2000, seed: int = 0) -> float:
    """Mean silhouette (Rousseeuw 1987) of the codes by their classes, in [−1, 1]: 1 where classes lie far apart.

    Its cost is quadratic: of more than `limit` items as many are drawn. NaN for fewer than two classes, or for as
    many classes as items.
    """
    from sklearn.metrics import silhouette_score

    chosen = torch.randperm(len(codes), generator=generator("measures", seed))[:limit]
    codes, labels = codes[chosen], labels[chosen]
    if not 2 <= len(labels.unique()) < len(labels):
        return float("nan")
    return float(silhouette_score(codes.double().numpy(), labels.numpy()))


def pca_codes_of_both(train: Tensor, test: Tensor, components: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Training and test items `(items, *size)` by the training items' leading principal components.

    `seed` is that of the randomised solver, which large items get.
    """
    from sklearn.decomposition import PCA

    seen, unseen = train.flatten(1).numpy(), test.flatten(1).numpy()
    pca = PCA(min(components, *seen.shape), random_state=short_seed("solver", seed)).fit(seen)
    return torch.from_numpy(pca.transform(seen)), torch.from_numpy(pca.transform(unseen))


def probe_baselines(
    train: Tensor, train_labels: Tensor, test: Tensor, test_labels: Tensor, components: int
) -> dict[str, float]:
    """What the same probe makes of PCA with as many components, and the majority class.

    Args:
        train: encoded items `(items, *size)`, as `test`.
        train_labels: `(items,)`, as `test_labels`.
        test: encoded items `(items, *size)`.
        test_labels: `(items,)`.
        components: size of the code that PCA stands beside.
    """
    linear = pca_codes_of_both(train, test, components)
    return {
        "pca_probe_accuracy": probe_accuracy(linear[0], train_labels, linear[1], test_labels),
        "majority": majority_accuracy(train_labels, test_labels),
    }
