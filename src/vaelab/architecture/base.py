"""What every architecture does: an encoder and a decoder from shapes.

One of your own is a dataclass, whose fields are its settings, and its entry of the group::

    # mynets.py
    import math
    from dataclasses import dataclass

    from torch import nn

    from vaelab.architecture.base import Architecture


    @dataclass
    class Linear(Architecture):
        bias: bool = True

        def encoder(self, shape, heads, dim):
            return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), heads * dim, self.bias))

        def decoder(self, shape, code_size):
            size = math.prod(shape)
            return nn.Sequential(nn.Linear(code_size, size, self.bias), nn.Unflatten(1, tuple(shape)))

    # mine/architecture/linear.yaml
    _target_: mynets.Linear
    bias: true

One without `own_code` is always given sizes; one that has it is given None where its own code is to be used. Encoder
and decoder refuse data that they cannot take: `check_rank`, `check_halvable`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import nn

from vaelab.architecture.timed import Coded
from vaelab.errors import UserError
from vaelab.linear import LinearCode

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
    numbers, and nothing narrower stands in its way: whoever asks for it asks `own_code` first.
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

    def decoder(self, shape: Shape, code_size: int | None) -> nn.Module:
        """`(batch, code_size)` → `(batch, *shape)`."""
        raise NotImplementedError

    def field(self, shape: Shape) -> nn.Module:
        """`(batch, *shape)` and times `(batch,)` in [0, 1] → `(batch, *shape)`: of encoder and decoder, or better."""
        return Coded(self, shape)


@runtime_checkable
class BeginsLinear(Protocol):
    """A net, or a part of one, that begins at the best linear code of the training items with `size` numbers."""

    size: int

    def begin(self, code: LinearCode) -> None:
        """Take over what the code, of at most `size` numbers, knows."""


def activation(name: str) -> nn.Module:
    """The activation of this name.

    Raises:
        UserError: naming the ones there are.
    """
    if name not in ACTIVATIONS:
        raise UserError(f"there is no activation {name!r}: use one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]()


def group_norm(width: int) -> nn.Module:
    """At most 8 groups, of two channels at the least: of a single number a norm would leave nothing."""
    return nn.Identity() if width == 1 else nn.GroupNorm(math.gcd(16, width) // 2 or 1, width)


def check_rank(shape: Shape, rank: int, name: str, remedy: str) -> None:
    """Refuse x that an architecture cannot take: `rank` counts the axes after the channels.

    Raises:
        UserError: naming the shape and another architecture.
    """
    if len(shape) != rank + 1:
        raise UserError(f"architecture={name} cannot take data of shape {tuple(shape)}: use {remedy}")


def check_halvable(shape: Shape, name: str) -> None:
    """Refuse x without room for a single halving.

    Raises:
        UserError: naming the shape and another architecture.
    """
    if min(shape[1:]) < 2:
        raise UserError(f"architecture={name} cannot halve data of shape {tuple(shape)}: use architecture=mlp")


def check_layers(widths: Sequence[int], kernel_size: int = 1) -> None:
    """Refuse settings that make no net.

    Raises:
        UserError: if there is no layer or an empty one, or the kernel has no middle.
    """
    if not widths or min(widths) < 1:
        raise UserError(f"architecture.widths must name at least one layer, such as [64,128], not {list(widths)}")
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise UserError(f"architecture.kernel_size must be odd and positive, such as 3, not {kernel_size}")


def halved_sizes(size: Shape, steps: int) -> list[tuple[int, ...]]:
    """`size` after 0, 1, … halvings (rounded down), as many of `steps` as its shortest side allows."""
    sizes = [tuple(size)]
    while len(sizes) <= steps and min(sizes[-1]) >= 2:
        sizes.append(tuple(side // 2 for side in sizes[-1]))
    return sizes
