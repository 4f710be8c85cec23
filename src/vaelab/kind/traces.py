"""Noisy traces with their clean partners, radio pulses among them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from vaelab.kind.base import Band, Examined, Model
from vaelab.kind.signals import Signals

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vaelab.codec.base import Codec
    from vaelab.data.items import Signature
    from vaelab.data.module import DataModule
    from vaelab.metrics.radio import Curves

TRAINING_TRACES = 2_048  # as many as the baselines' mean spectra and template need


class Traces(Signals):
    """Noisy traces, judged by how near what is recovered comes to the clean ones, beside classical filters.

    Of traces that may hold a pulse it is measured, too, how often its peak is found, and whether there is one.
    """

    name: ClassVar[str] = "traces"
    what: ClassVar[str] = "noisy traces with a clean partner"
    has_clean: ClassVar[bool] = True

    def __init__(self, codec: Codec, signature: Signature, seed: int = 0) -> None:
        super().__init__(codec, signature, seed)
        self.of_pulses = "low_hz" in signature.facts
        self.prefix = "radio" if self.of_pulses else "trace"
        # What the last measuring found, for the figures that show more than some items.
        self.curves: Curves | None = None

    @classmethod
    @override
    def fits(cls, signature: Signature) -> bool:
        return signature.kind == "trace"

    def quick_measures(self, examined: Examined, data: DataModule) -> dict[str, float]:
        """Of the traces that hold something to be recovered."""
        from vaelab.metrics.denoising import denoising_measures

        noisy, clean, recovered = self._in_units(examined)
        some = clean.flatten(1).any(1)
        return denoising_measures(noisy[some], clean[some], recovered[some]) if some.any() else {}

    @override
    def measures(self, examined: Examined, data: DataModule) -> dict[str, float]:
        from vaelab.metrics.denoising import denoising_baselines, denoising_measures

        if self.of_pulses:
            return self._pulse_measures(examined, data)
        noisy, clean, recovered = self._in_units(examined)
        known = self._known(data)
        beside = data.once(("denoising", len(noisy)), lambda: denoising_baselines(noisy, clean, *known))
        return denoising_measures(noisy, clean, recovered) | beside

    def _pulse_measures(self, examined: Examined, data: DataModule) -> dict[str, float]:
        from vaelab.metrics import radio

        noisy, clean, recovered = self._in_units(examined)
        known, truth = self._known(data), data.factors(examined.item)
        snr, pulse, rate = truth["snr"], truth["is_pulse"], self.signature.sample_rate or 1.0
        measures = radio.radio_measures(noisy, clean, recovered, snr, pulse, rate)
        if not (known[1].any() and pulse.any()):
            return measures

        def of_filters() -> tuple[dict[str, float], Curves]:
            filters = radio.fit_filters(*known, rate)
            measured = radio.radio_baselines(noisy, clean, snr, pulse, filters)
            return measured, radio.curves(filters.traces(noisy, clean), clean, snr, pulse)

        beside, curves = data.once(("radio", len(noisy)), of_filters)
        own = radio.curves({"net": recovered}, clean, snr, pulse)
        self.curves = radio.Curves(own.scan | curves.scan, own.rates | curves.rates)
        return measures | beside

    def _known(self, data: DataModule) -> tuple[Tensor, Tensor]:
        """Noisy and clean training traces in the user's units."""
        train = data.drawn("train", TRAINING_TRACES)
        assert data.items.clean is not None
        return data.items.raw[train], data.items.clean[train]

    def _in_units(self, examined: Examined) -> list[Tensor]:
        """Noisy, clean and recovered traces `(items, channels, time)` in the user's units."""
        encoded = (examined.x, examined.target, examined.reconstruction)
        return [self.codec.decode(x, examined.level) for x in encoded]

    @override
    def band_measures(self, examined: Examined, bands: Mapping[str, Band], agreement: Tensor) -> dict[str, float]:
        from vaelab.metrics.band import certain_half

        measures = super().band_measures(examined, bands, agreement)
        if not self.of_pulses:
            return measures
        _, clean, recovered = self._in_units(examined)
        return measures | certain_half(recovered, clean, agreement)

    @override
    def figures(self, examined: Examined, model: Model) -> dict[str, Figure]:
        from vaelab.figures.traces import accuracy_by_snr, detection_roc, trace_spectra
        from vaelab.metrics.radio import telling_examples

        noisy, clean, recovered = self._in_units(examined)
        rate, examples = self.signature.sample_rate, telling_examples(recovered, clean) if self.of_pulses else {}
        figures = {
            "recovered": self._rows(examined.head(4), model),
            "spectra": trace_spectra(clean, recovered, noisy, rate, examples),
        }
        if examples:
            chosen = examined.rows(torch.tensor(list(examples.values())))
            figures["examples"] = self._rows(chosen, model, list(examples))
        if self.curves is not None:
            figures["accuracy_by_snr"] = accuracy_by_snr(self.curves.scan)
            if self.curves.rates:
                figures["detection"] = detection_roc(self.curves.rates)
        return figures

    def _rows(self, examined: Examined, model: Model, titles: list[str] | None = None) -> Figure:
        from vaelab.figures.traces import trace_rows

        noisy, clean, recovered = self._in_units(examined)
        ends, drawn = model.band(examined), None
        if ends is not None:
            drawn = self.codec.decode(ends[0], examined.level), self.codec.decode(ends[1], examined.level)
        rate = self.signature.sample_rate
        return trace_rows(noisy, clean, recovered, rate, count=len(noisy), titles=titles, band=drawn)

    @override
    def path_figure(self, x: Tensor) -> Figure | None:
        return self.sample_figure(x)
