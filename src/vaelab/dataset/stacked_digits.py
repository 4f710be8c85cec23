"""Three handwritten digits in three channels: a thousand modes, and no file needed."""

from dataclasses import dataclass

import torch

from vaelab.data.items import Items
from vaelab.dataset.digits import Digits
from vaelab.errors import UserError
from vaelab.memory import NUMBER, check_size
from vaelab.seeding import generator

CHANNELS = ("red", "green", "blue")
SPLIT = (0.8, 0.1, 0.1)


@dataclass
class StackedDigits:
    """Pictures of three of scikit-learn's digits, drawn by themselves (Srivastava et al. 2017; there of MNIST's).

    The digits are split before they are stacked, so that none is in two splits.

    Attributes:
        items: how many.
        seed: decides all.
    """

    items: int = 50_000
    seed: int = 0

    def load(self) -> Items:
        """Pictures `(items, 3, 8, 8)` uint8, in folds; factors `red`, `green` and `blue`, the digit of each channel.

        The fact `stacked` is how many classes a channel has. Raises `UserError` for fewer than three items.
        """
        if self.items < len(SPLIT):
            raise UserError(f"items={self.items}: give at least {len(SPLIT)}, one for each split")
        check_size(NUMBER * self.items * 3 * 64, "dataset.items")
        digits = Digits().load()
        assert digits.label is not None
        counts = parts(self.items)
        fold = torch.repeat_interleave(torch.arange(3), torch.tensor(counts))
        chance = generator("data", self.seed)
        pools = torch.randperm(len(digits), generator=chance).split(parts(len(digits)))
        rows = [pool[torch.randint(len(pool), (n, 3), generator=chance)] for pool, n in zip(pools, counts, strict=True)]
        chosen = torch.cat(rows)
        factors = dict(zip(CHANNELS, digits.label[chosen].unbind(1), strict=True))
        facts = {"stacked": float(len(digits.label_names))}
        return Items("picture", digits.raw[chosen][:, :, 0], fold=fold, factors=factors, facts=facts)


def parts(total: int) -> list[int]:
    """How many of so many are in each split, at least one."""
    held_out = [max(round(total * share), 1) for share in SPLIT[1:]]
    return [total - sum(held_out), *held_out]
