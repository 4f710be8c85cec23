"""Sine waves."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from vaelab.kind.base import Overlay
from vaelab.kind.signals import Signals

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vaelab.codec.base import Codec
    from vaelab.data.items import Signature
    from vaelab.data.module import DataModule


class Sines(Signals):
    """Sine waves of one known frequency: new ones, raw and then smoothed, are held against the nearest true sine."""

    name: ClassVar[str] = "sines"
    what: ClassVar[str] = "sine waves of one known frequency"
    prefix = "sine"
    samples: ClassVar[int] = 2000

    def __init__(self, codec: Codec, signature: Signature, seed: int = 0) -> None:
        super().__init__(codec, signature, seed)
        from vaelab.metrics.sine import check_measurable

        check_measurable(signature.raw_shape[-1], self.cycles)

    @classmethod
    @override
    def fits(cls, signature: Signature) -> bool:
        return super().fits(signature) and "cycles" in signature.facts

    @property
    def cycles(self) -> float:
        """How many cycles a wave has from end to end."""
        return self.signature.facts["cycles"]

    @override
    def sample_measures(self, x: Tensor, item: Tensor, data: DataModule) -> dict[str, float]:
        from vaelab.metrics.sine import sine_measures, smooth

        waves = self.codec.decode(x)
        smoothed = sine_measures(smooth(waves), self.cycles)
        return sine_measures(waves, self.cycles) | {f"smoothed/{name}": value for name, value in smoothed.items()}

    def sample_baselines(self, item: Tensor, data: DataModule) -> dict[str, float]:
        """Draws from the one Gaussian that has the training waves' mean and covariance."""
        return data.once("sine", lambda: self._of_one_gaussian(data))

    def _of_one_gaussian(self, data: DataModule) -> dict[str, float]:
        from vaelab.metrics.baseline import gaussian_samples
        from vaelab.metrics.sine import sine_measures

        drawn = gaussian_samples(data.items.raw[data.index["train"]], self.samples, self.seed)
        return {f"baseline/gaussian_{name}": value for name, value in sine_measures(drawn, self.cycles).items()}

    @override
    def sample_figure(self, x: Tensor) -> Figure | None:
        from vaelab.figures.waves import wave_samples
        from vaelab.metrics.sine import smooth

        waves = self.codec.decode(x)
        return wave_samples(waves, self._reference(waves).expand_as(waves), smooth(waves))

    def overlay(self, items: Tensor) -> Overlay | None:
        """The sine of phase 0, and the last wave smoothed."""
        from vaelab.metrics.sine import smooth

        return Overlay(self._reference(items)[0], smooth(items[-1]))

    def _reference(self, waves: Tensor) -> Tensor:
        from vaelab.simulators.sine import sine_waves

        return sine_waves(torch.zeros(1), samples=waves.shape[-1], cycles=self.cycles)
