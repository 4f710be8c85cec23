"""What the model makes of items it has not seen."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from vaelab.errors import UserError
from vaelab.report.judge import figures
from vaelab.run.checkpoint import Run
from vaelab.task.base import Output
from vaelab.variant.base import HasCode


@dataclass
class Reconstruct:
    """Encode and decode `n` items that are drawn from a split."""

    needs: ClassVar[type] = HasCode

    n: int = 16
    split: Literal["train", "val", "test"] = "test"

    def __call__(self, run: Run, out: Output) -> None:
        """Write originals, reconstructions and their numbers in the split as npy, side by side as png, sound as wav."""
        if self.n < 1:
            raise UserError(f"task.n must be at least 1, not {self.n}")
        variant, data = run.variant, run.data()
        assert isinstance(variant, HasCode)
        examined = variant.examine(data.loader(self.split, self.n))
        out.array("items", data.numbers(self.split, examined.item))
        out.array("originals", run.variant.codec.decode(examined.target, examined.level))
        out.array("reconstructions", run.variant.codec.decode(examined.reconstruction, examined.level))
        for name, figure in figures(run.variant, examined).items():
            out.figure(name, figure)
        out.sounds("original", run.variant.kind, examined.x, examined.level)
        out.sounds("reconstruction", run.variant.kind, examined.reconstruction, examined.level)
