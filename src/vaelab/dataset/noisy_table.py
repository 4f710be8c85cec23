"""Clean signals of the user's own, with noise that is added here: pairs for a denoiser."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from vaelab.data.items import Items, Signature
from vaelab.dataset.axes import Axes
from vaelab.dataset.signal_table import SignalTable, read_with_axes
from vaelab.errors import UserError
from vaelab.seeding import generator


@dataclass
class NoisyTable:
    """A table of clean signals, one a row, as `SignalTable` reads it, under white Gaussian noise.

    Attributes:
        file: the table, or a folder of npy or npz files.
        key: which array of an npz.
        group: the column, or the key of an npz, that says which signals must not be parted by the split.
        axes: which axis is which, out of items, channels and time; None: read from the shape, and told.
        snr_db: power of a signal, less its mean, over power of the noise, in dB: one number, or a range in which it is
            uniform.
        copies: how many times each signal is used, with other noise; all copies stay on one side of the split.
        sample_rate: in Hz, for the axes of figures; None: time is counted in samples.
        seed: decides the noise.
    """

    file: str
    key: str | None = None
    group: str | int | None = None
    axes: str | list[str] | None = None
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
        table = SignalTable(self.file, self.key, group=self.group, axes=self.axes).load()
        rng = generator("data", self.seed)
        clean = table.raw.repeat(self.copies, 1, 1)
        snr_db = low + (high - low) * torch.rand(len(clean), generator=rng)
        noisy = add_noise(clean, snr_db, rng)
        if not noisy.isfinite().all():
            raise UserError(f"{self.file}: with noise at {self.snr_db} dB its numbers grow too large: scale the table")
        group = torch.arange(len(table)) if table.group is None else table.group
        return Items(
            "trace",
            noisy,
            clean,
            group=group.repeat(self.copies),
            factors={"snr_db": snr_db},
            sample_rate=self.sample_rate,
            left_out=table.left_out,
            notes=table.notes,
        )

    def read(self, path: str | Path, signature: Signature) -> Tensor:
        """Noisy signals `(items, channels, time)` float32 of another file, of any length: nothing is added to them."""
        return self.read_with_axes(path, signature)[0]

    def read_with_axes(self, path: str | Path, signature: Signature) -> tuple[Tensor, Axes]:
        """The same, and how the file lays them out."""
        return read_with_axes(path, signature, self.key, self.axes, (None, self.group))

    def _range(self) -> tuple[float, float]:
        ends = list(self.snr_db) if isinstance(self.snr_db, Sequence) else [self.snr_db, self.snr_db]
        if len(ends) != 2 or ends[0] > ends[1]:
            raise UserError(f"dataset.snr_db must be a number or a range that rises, such as [0,12], not {self.snr_db}")
        return ends[0], ends[1]


def add_noise(clean: Tensor, snr_db: Tensor, rng: torch.Generator) -> Tensor:
    """Add white Gaussian noise to `(items, channels, time)` at a ratio `(items,)` in dB; a constant stays as it is."""
    # Over a power of two, which rounds nothing: squares of 1e25, or of 1e-25, are no single-precision numbers.
    unit = 2.0 ** clean.abs().amax((1, 2), keepdim=True).frexp().exponent.clamp(-126, 126)
    scaled = clean / unit
    rms = (scaled - scaled.mean(-1, keepdim=True)).square().mean((1, 2), keepdim=True).sqrt() * unit
    scale = rms * 10 ** (-snr_db.view(-1, 1, 1) / 20)
    return clean + scale * torch.randn(clean.shape, generator=rng)
