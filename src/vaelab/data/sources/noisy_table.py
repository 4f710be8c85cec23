"""Clean signals of the user's own, with noise that is added here: pairs for a denoiser."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from vaelab.data.items import Items, Signature
from vaelab.data.sources.signal_table import SignalTable, read_signals
from vaelab.errors import UserError
from vaelab.seeding import generator


@dataclass
class NoisyTable:
    """A table of clean signals, one a row, as `SignalTable` reads it, under white Gaussian noise.

    Attributes:
        file: the table; a three-dimensional array in it is `(items, channels, time)`.
        key: which array of an npz.
        snr_db: power of a signal, less its mean, over power of the noise, in dB: one number, or a range in which it is
            uniform.
        copies: how many times each signal is used, with other noise; all copies stay on one side of the split.
        sample_rate: in Hz, for the axes of figures; None: time is counted in samples.
        seed: decides the noise.
    """

    file: str
    key: str | None = None
    snr_db: float | tuple[float, float] = (0.0, 12.0)
    copies: int = 1
    sample_rate: float | None = None
    seed: int = 0

    def load(self) -> Items:
        """Noisy signals `(items, channels, time)` float32 in the file's units, and their `clean` partners.

        Factor: `snr_db`. Raises `UserError` if the table cannot be used or a setting is outside its range.
        """
        low, high = self._range()
        if self.copies < 1:
            raise UserError(f"dataset.copies must be at least 1, not {self.copies}")
        table = SignalTable(self.file, self.key).load()
        rng = generator("data", self.seed)
        clean = table.raw.repeat(self.copies, 1, 1)
        snr_db = low + (high - low) * torch.rand(len(clean), generator=rng)
        noisy = add_noise(clean, snr_db, rng)
        return Items(
            "trace",
            noisy,
            clean,
            group=torch.arange(len(table)).repeat(self.copies),
            factors={"snr_db": snr_db},
            sample_rate=self.sample_rate,
            left_out=table.left_out,
        )

    def read(self, path: str | Path, signature: Signature) -> Tensor:
        """Noisy signals `(items, channels, time)` float32 of another file, of any length: nothing is added to them."""
        return read_signals(path, signature)

    def _range(self) -> tuple[float, float]:
        ends = list(self.snr_db) if isinstance(self.snr_db, Sequence) else [self.snr_db, self.snr_db]
        if len(ends) != 2 or ends[0] > ends[1]:
            raise UserError(f"dataset.snr_db must be a number or a range that rises, such as [0,12], not {self.snr_db}")
        return ends[0], ends[1]


def add_noise(clean: Tensor, snr_db: Tensor, rng: torch.Generator) -> Tensor:
    """Add white Gaussian noise to `(items, channels, time)` at a ratio `(items,)` in dB; a constant stays as it is."""
    rms = (clean - clean.mean(-1, keepdim=True)).square().mean((1, 2), keepdim=True).sqrt()
    scale = rms * 10 ** (-snr_db.view(-1, 1, 1) / 20)
    return clean + scale * torch.randn(clean.shape, generator=rng)
