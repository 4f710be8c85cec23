"""Which way a measure is better, as the words in its name tell."""

import math
import re

# What of its name says that less of it is better: errors, costs, distances and gaps. Of all else more is better.
LESS = (
    *("error", "rmse", "mse", "mae", "loss", "nll", "bits", "seconds", "distance", "frechet", "wasserstein", "mmd"),
    *("kl", "ks", "kuiper", "divergence", "convergence", "gap", "total_correlation", "near_median", "near_p95"),
    *("thd", "dip", "width", "resolution", "copies", "copied"),
)
# What should be near a number, too much of it being as bad as too little.
NEAR = {"bias": 0.0, "ratio": 1.0}


def aim(name: str) -> float:
    """The value at which a measure of this name is best: infinity where more is better, minus that where less is."""
    if _says(name, LESS):
        return -math.inf
    return next((value for word, value in NEAR.items() if _says(name, (word,))), math.inf)


def miss(name: str, value: float) -> float:
    """What is the less, the better a measure's value is."""
    best = aim(name)
    return math.copysign(1, -best) * value if math.isinf(best) else abs(value - best)


def aim_in_words(name: str) -> str:
    """Which way it is better."""
    best = aim(name)
    return f"{best:g} is best" if math.isfinite(best) else "more is better" if best > 0 else "less is better"


def _says(name: str, words: tuple[str, ...]) -> bool:
    return re.search(rf"(?:^|[/_])(?:{'|'.join(words)})(?:[/_]|$)", name) is not None
