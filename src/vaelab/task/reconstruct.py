"""What the model makes of items it has not seen."""

from dataclasses import dataclass
from typing import Literal

from vaelab.errors import UserError
from vaelab.run.checkpoint import Run
from vaelab.task.base import Output


@dataclass
class Reconstruct:
    """Encode and decode `n` items that are drawn from a split."""

    n: int = 16
    split: Literal["train", "val", "test"] = "test"

    def __call__(self, run: Run, out: Output) -> None:
        """Write originals, reconstructions and their numbers in the split as npy, side by side as png, sound as wav."""
        if self.n < 1:
            raise UserError(f"task.n must be at least 1, not {self.n}")
        variant, data = run.variant, run.data()
        examined = variant.examine(data.loader(self.split, self.n))
        out.array("items", data.numbers(self.split, examined.item))
        out.array("originals", variant.codec.decode(examined.target, examined.level))
        out.array("reconstructions", variant.codec.decode(examined.reconstruction, examined.level))
        for name, figure in variant.figures(examined).items():
            out.figure(name, figure)
        out.sounds("original", variant, examined.x, examined.level)
        out.sounds("reconstruction", variant, examined.reconstruction, examined.level)
