"""Bits, or grey values taken for their probability."""

import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from vaelab.likelihood.base import Likelihood, per_sample


class Bernoulli(Likelihood):
    """Independent Bernoulli with the decoder's output as logits.

    For grey values strictly between 0 and 1 this is the usual cross-entropy, not a normalised density.
    """

    support = (0.0, 1.0)

    @override
    def log_prob(self, target: Tensor, params: Tensor) -> Tensor:
        # x · logit − log(1 + e^logit): two passes over memory where the library's cross-entropy takes more.
        if len(target) == 1:
            # One item under many draws: its part is a product of matrices.
            return params.flatten(1) @ target.flatten() - per_sample(F.softplus(params))
        return per_sample(target * params - F.softplus(params))

    @override
    def mean(self, params: Tensor) -> Tensor:
        return params.sigmoid()

    @override
    def sample(self, params: Tensor) -> Tensor:
        return torch.bernoulli(params.sigmoid())
