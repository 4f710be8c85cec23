"""The importance-weighted bound (Burda et al. 2016): log p(x) from below, closer with every draw."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from vaelab.latent.base import Latent, Posterior


def code_log_weight(posterior: Posterior, latent: Latent, codes: Tensor) -> Tensor:
    """Log p(z) − log q(z|x) in nats of codes `(draws · batch, code_size)` of a batch, `(draws · batch,)`."""
    draws = codes.view(-1, len(posterior.mean), codes.shape[-1])
    return (latent.prior_log_density(draws) - posterior.log_density(draws)).sum(-1).flatten()


def log_weights(
    posterior: Posterior, latent: Latent, log_likelihood: Callable[[Tensor], Tensor], draws: int, chunk: int
) -> Tensor:
    """Log importance weights log p(x|z) + log p(z) − log q(z|x) in nats of one item, `(draws,)`.

    The item is encoded already: `posterior` is that of a batch of one, and is drawn from `chunk` times at once, few
    enough that what the decoder makes stays in the processor's cache. `log_likelihood(codes)` gives `(chunk,)`.
    """
    parts = []
    for start in range(0, draws, chunk):
        codes = posterior.sample(min(chunk, draws - start))
        parts.append(log_likelihood(codes) + code_log_weight(posterior, latent, codes))
    return torch.cat(parts)


def importance_bounds(log_weight: Tensor, ks: Sequence[int]) -> Tensor:
    """The bound with the first k draws, for each k: `(…, draws)` in, `(…, len(ks))` out, in nats.

    L_k = log 1/k Σ w_i (Burda et al. 2016, eq. 8); L_1 has the ELBO as its mean, and L_k rises to log p(x).
    """
    running = torch.logcumsumexp(log_weight.double(), dim=-1)
    return torch.stack([running[..., k - 1] - math.log(k) for k in ks], dim=-1)
