"""The GAN of the Wasserstein divergence."""

from typing import ClassVar

from torch import Tensor
from typing_extensions import override

from vaelab.errors import UserError
from vaelab.variant.base import Parts
from vaelab.variant.wasserstein import Wasserstein


class WGANDiv(Wasserstein):
    """The critic estimates the Wasserstein divergence between true and made items (Wu et al. 2018).

    It minimises E[critic(made)] − E[critic(true)] + k E[‖∇ critic(x)‖^p]. The paper leaves open where the gradients are
    taken; here at the items themselves, one half true and one half made, so that the last term is
    k/2 (E[‖∇ critic(true)‖^p] + E[‖∇ critic(made)‖^p]). Unlike in a WGAN-GP there is nothing that a norm must be.
    """

    name: ClassVar[str] = "wgan_div"

    def __init__(
        self, parts: Parts, *, critic_steps: int = 5, ema: float = 0.999, k: float = 2.0, p: float = 6.0
    ) -> None:
        super().__init__(parts, critic_steps=critic_steps, ema=ema)
        if k <= 0:
            raise UserError(f"variant.k must be positive, not {k}: without it the critic grows for ever")
        if p <= 1:
            raise UserError(f"variant.p must be above 1, not {p}: there is no divergence with less")
        self.k, self.p = k, p

    @override
    def penalty_of(self, true: Tensor, made: Tensor) -> Tensor:
        at_true, at_made = (self.slopes(x).pow(self.p).mean() for x in (true, made))
        return self.k / 2 * (at_true + at_made)
