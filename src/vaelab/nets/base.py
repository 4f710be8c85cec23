"""What every architecture does: an encoder and a decoder from shapes."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from vaelab.errors import UserError

Shape = Sequence[int]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


@dataclass
class Architecture:
    """The interface: nets for x of any `(channels, *size)`.

    The encoder maps `(batch, *shape)` to `(batch, heads · dim)`, head by head; the decoder maps `(batch, code_size)`
    to `(batch, *shape)`. With `dim` None (and `code_size` None) the code is the architecture's own, `own_code(shape)`
    numbers, and nothing narrower stands in its way.
    """

    def own_code(self, shape: Shape) -> int:
        """The size of the architecture's own code for x of this shape.

        Raises:
            UserError: if it has none.
        """
        name = type(self).__name__.lower()
        raise UserError(f"architecture={name} needs latent.dim=NUMBER: it has no code size of its own")

    def encoder(self, shape: Shape, heads: int, dim: int | None) -> nn.Module:
        """`(batch, *shape)` → `(batch, heads · dim)`."""
        raise NotImplementedError

    def decoder(self, code_size: int | None, shape: Shape) -> nn.Module:
        """`(batch, code_size)` → `(batch, *shape)`."""
        raise NotImplementedError


def activation(name: str) -> nn.Module:
    """The activation of this name.

    Raises:
        UserError: naming the ones there are.
    """
    if name not in ACTIVATIONS:
        raise UserError(f"there is no activation {name!r}: use one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]()


def check_rank(shape: Shape, rank: int, name: str, remedy: str) -> None:
    """Refuse x that an architecture cannot take: `rank` counts the axes after the channels.

    Raises:
        UserError: naming the shape and another architecture.
    """
    if len(shape) != rank + 1:
        raise UserError(f"architecture={name} cannot take data of shape {tuple(shape)}: use {remedy}")


def halved_sizes(size: Shape, steps: int) -> list[tuple[int, ...]]:
    """`size` after 0, 1, … halvings (rounded down), as many of `steps` as its shortest side allows."""
    sizes = [tuple(size)]
    while len(sizes) <= steps and min(sizes[-1]) >= 2:
        sizes.append(tuple(side // 2 for side in sizes[-1]))
    return sizes
