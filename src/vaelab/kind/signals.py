"""Signals over time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor
from typing_extensions import override

from vaelab.kind.base import BASELINE_ITEMS, Examined, Kind

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vaelab.data.items import Signature
    from vaelab.data.module import DataModule
    from vaelab.kind.base import Model


class Signals(Kind):
    """Any signals `(channels, time)`, judged by the share of their variance that comes back."""

    name: ClassVar[str] = "signals"
    what: ClassVar[str] = "signals over time"
    prefix = "signal"

    @classmethod
    @override
    def fits(cls, signature: Signature) -> bool:
        return signature.kind == "signal"

    @override
    def measures(self, examined: Examined, data: DataModule) -> dict[str, float]:
        from vaelab.metrics.signal import signal_baselines, signal_measures

        x, train, size = examined.x, data.batch("train", BASELINE_ITEMS).x, examined.code.shape[1]
        beside = data.once(("signal", len(x), size), lambda: signal_baselines(x, train, size))
        return signal_measures(x, examined.reconstruction, train) | beside

    @override
    def quick_measures(self, examined: Examined, data: DataModule) -> dict[str, float]:
        from vaelab.metrics.signal import signal_measures

        mean = data.once("mean signal", lambda: data.batch("train", BASELINE_ITEMS).x.mean(0, keepdim=True))
        return signal_measures(examined.x, examined.reconstruction, mean)

    @override
    def figures(self, examined: Examined, model: Model) -> dict[str, Figure]:
        from vaelab.figures.waves import wave_pairs

        x, reconstruction = self.codec.decode(examined.x), self.codec.decode(examined.reconstruction)
        return {"reconstructions": wave_pairs(x, reconstruction, self.signature.sample_rate)}

    @override
    def sample_figure(self, x: Tensor) -> Figure | None:
        from vaelab.figures.waves import wave_samples

        return wave_samples(self.codec.decode(x), sample_rate=self.signature.sample_rate)

    @override
    def fill_figure(self, x: Tensor, hidden: Tensor, filled: Tensor, level: Tensor | None) -> Figure | None:
        from vaelab.figures.waves import filled_waves

        waves = self.codec.decode(x, level), hidden[:, 0], self.codec.decode(filled, level)
        return filled_waves(*waves, sample_rate=self.signature.sample_rate)

    @override
    def path_figure(self, x: Tensor) -> Figure | None:
        from vaelab.figures.waves import wave_path

        return wave_path(self.codec.decode(x), self.signature.sample_rate)

    @override
    def read(self, file: str | Path) -> Tensor:
        from vaelab.dataset.signal_table import read_signals

        return read_signals(file, self.signature)

    @classmethod
    @override
    def files(cls) -> tuple[frozenset[str], str]:
        from vaelab.dataset import arrays, signal_table

        return arrays.ARRAYS | signal_table.SOUNDS | {".csv", ".tsv", ".txt"}, "tables"
