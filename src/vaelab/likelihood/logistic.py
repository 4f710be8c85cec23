"""A discretised logistic density: a probability of grey levels."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from vaelab.errors import UserError
from vaelab.likelihood.base import Likelihood, check_width, per_sample


class Logistic(Likelihood):
    """A logistic density around the decoder's output, gathered into the bins of `levels` values on [0, 1].

    A probability of what a file can hold, so that bits per dimension compare across models (Kingma et al. 2016, eq. 14,
    and Salimans et al. 2017, eq. 2). The outermost bins reach to infinity; values between two levels count as the
    nearer. The one `scale` is learnt with the net.
    """

    support = (0.0, 1.0)

    def __init__(self, levels: int = 256, scale: float = 0.1) -> None:
        super().__init__()
        if levels < 2:
            raise UserError(f"likelihood.levels must be at least 2, not {levels}")
        check_width("scale", scale)
        self.steps = levels - 1
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))

    @override
    def log_prob(self, target: Tensor, params: Tensor) -> Tensor:
        level = torch.round(target * self.steps)
        precision = torch.exp(-self.log_scale)
        upper = ((level + 0.5) / self.steps - params) * precision
        lower = ((level - 0.5) / self.steps - params) * precision
        # log(σ(u) − σ(l)) = log σ(u) + log σ(−l) + log(1 − e^(l − u)): exact far from the centre, too.
        inner = F.logsigmoid(upper) + F.logsigmoid(-lower) + torch.log(-torch.expm1(-precision / self.steps))
        edged = torch.where(level <= 0, F.logsigmoid(upper), inner)
        return per_sample(torch.where(level >= self.steps, F.logsigmoid(-lower), edged))

    def mean(self, params: Tensor) -> Tensor:
        """The centre, inside of [0, 1]: the mean but for what the outermost bins gather."""
        return params.clamp(0.0, 1.0)

    @override
    def sample(self, params: Tensor) -> Tensor:
        uniform = torch.rand_like(params).clamp(1e-7, 1 - 1e-7)
        drawn = params + self.log_scale.exp() * (uniform.log() - torch.log1p(-uniform))
        return torch.round(drawn.clamp(0.0, 1.0) * self.steps) / self.steps

    @override
    def learnt(self) -> dict[str, Tensor]:
        return {"scale": self.log_scale.detach().exp()}
