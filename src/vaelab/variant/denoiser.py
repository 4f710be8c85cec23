"""The denoising autoencoder: a noisy trace in, its clean partner out."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from vaelab.errors import UserError
from vaelab.seeding import seeded, stream_seed
from vaelab.variant.base import VAE, Examined, Parts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vaelab.data.batch import Batch
    from vaelab.data.module import DataModule
    from vaelab.latent.base import Posterior
    from vaelab.metrics.band import Calibration
    from vaelab.metrics.radio import Curves
    from vaelab.objective.base import Drawn

TRAINING_TRACES = 2_048  # as many as the baselines' mean spectra and template need
TOLERANCE = 0.02  # of a trace: so near to the true peak the largest sample is in its place
DRAWS = 16  # recoveries of one trace that tell the model's doubt
DOUBTED = 1_024  # traces on which that doubt is calibrated, and as many on which it is measured


class Denoiser(VAE):
    """Recovers pulses from noise: deterministic with `latent=point`, probabilistic with `latent=gaussian`.

    `peak_weight` adds, per pulse, the cross-entropy in nats of the recovered trace being largest near the true peak and
    with the right sign, scaled by the number of samples so that it stands beside a log-likelihood summed over them.
    """

    kinds: ClassVar[tuple[str, ...]] = ("trace",)
    monitor: ClassVar[tuple[str, str]] = ("val/error", "min")
    name: ClassVar[str] = "denoiser"
    prefix: ClassVar[str] = "radio"
    hint: ClassVar[str] = "use variant=signal for signals, image for pictures, spectrogram for sound"

    def __init__(self, parts: Parts, *, peak_weight: float = 0.1) -> None:
        super().__init__(parts)
        if peak_weight < 0:
            raise UserError(f"variant.peak_weight must not be negative, not {peak_weight}")
        self.peak_weight = peak_weight
        # How sharply the largest sample counts; learnt, since it depends on the data's scale.
        self.sharpness = torch.nn.Parameter(torch.tensor(10.0))
        self.of_pulses = "low_hz" in self.signature.facts
        if not self.of_pulses:
            self.prefix = "trace"  # type: ignore[misc]
        # What the last measuring found, for the figures that show more than some items.
        self.curves: Curves | None = None
        self.calibration: Calibration | None = None

    def loss(self, batch: Batch, drawn: Drawn, params: Tensor) -> Tensor:  # noqa: D102
        loss = super().loss(batch, drawn, params)
        return loss + self.peak_weight * self._peak_loss(batch, params) if self.peak_weight else loss

    def item_values(self, batch: Batch, drawn: Drawn, params: Tensor) -> Tensor:  # noqa: D102
        values = super().item_values(batch, drawn, params)
        return values - self.peak_weight * self._peak_loss(batch, params) if self.peak_weight else values

    def _peak_loss(self, batch: Batch, params: Tensor) -> Tensor:
        recovered, target = self.likelihood.mean(params).flatten(1), batch.target.flatten(1)
        target = target.repeat(len(recovered) // len(target), 1)
        samples = target.shape[1]
        # One class for every place and sign; right are those near the peak with the sign that the pulse has there.
        log_share = F.log_softmax(self.sharpness * torch.cat([recovered, -recovered], dim=1), dim=1)
        height, place = target.abs().max(1)
        near = (torch.arange(samples, device=place.device) - place[:, None]).abs() <= round(TOLERANCE * samples)
        right = torch.cat([target > 0, target < 0], dim=1) & near.repeat(1, 2)
        pulse = height > 0
        # What is not right weighs nothing; a trace without a pulse has no right class, and does not count.
        loss = -log_share.masked_fill(~right & pulse[:, None], -torch.inf).logsumexp(1)
        return samples * (loss * pulse).sum() / pulse.sum().clamp(min=1)

    def reconstruct(self, posterior: Posterior) -> Tensor:
        """The mean over draws of the code, which has the least square error; what the mean code gives can overshoot."""
        if not self.latent.has_prior:
            return super().reconstruct(posterior)
        with seeded(stream_seed("latent", self.seed), self.device):
            # One after the other, because a code of all scales is wide.
            draws = (self.likelihood.mean(self.params(posterior.sample())) for _ in range(DRAWS))
            return sum(draws, torch.zeros((), device=self.device)) / DRAWS

    def quick_measures(self, examined: Examined, data: DataModule) -> dict[str, float]:
        """Of the traces that hold something to be recovered."""
        from vaelab.metrics.denoising import denoising_measures

        noisy, clean, recovered = self._in_units(examined)
        some = clean.flatten(1).any(1)
        return denoising_measures(noisy[some], clean[some], recovered[some]) if some.any() else {}

    def measures(self, examined: Examined, data: DataModule) -> dict[str, float]:  # noqa: D102
        from vaelab.metrics import radio
        from vaelab.metrics.denoising import denoising_baselines, denoising_measures

        noisy, clean, recovered = self._in_units(examined)
        train = data.drawn("train", TRAINING_TRACES)
        assert data.items.clean is not None
        known = data.items.raw[train], data.items.clean[train]
        found = self._doubtful(examined, data) if self.latent.has_prior else {}
        if not self.of_pulses:
            beside = data.once(("denoising", len(noisy)), lambda: denoising_baselines(noisy, clean, *known))
            return denoising_measures(noisy, clean, recovered) | found | beside
        truth = data.factors(examined.item)
        snr, pulse, rate = truth["snr"], truth["is_pulse"], self.signature.sample_rate or 1.0
        found |= radio.radio_measures(noisy, clean, recovered, snr, pulse, rate)
        if not (known[1].any() and pulse.any()):
            return found

        def of_filters() -> tuple[dict[str, float], radio.Curves]:
            filters = radio.fit_filters(*known, rate)
            measured = radio.radio_baselines(noisy, clean, snr, pulse, filters)
            return measured, radio.curves(filters.traces(noisy, clean), clean, snr, pulse)

        beside, curves = data.once(("radio", len(noisy)), of_filters)
        own = radio.curves({"net": recovered}, clean, snr, pulse)
        self.curves = radio.Curves(own.scan | curves.scan, own.rates | curves.rates)
        return found | beside

    def _in_units(self, examined: Examined) -> list[Tensor]:
        """Noisy, clean and recovered traces `(items, channels, time)` in the user's units."""
        encoded = (examined.x, examined.target, examined.reconstruction)
        return [self.codec.decode(x, examined.level) for x in encoded]

    def _doubtful(self, examined: Examined, data: DataModule) -> dict[str, float]:
        """How good the band and the certainty are, on some of the examined items."""
        from vaelab.metrics.band import band, band_measures, certain_half, constant_band

        few, self.calibration = examined.head(DOUBTED), self.calibrate(data)
        _, clean, recovered = self._in_units(few)
        spread, score = self.doubt(few.x, few.reconstruction)
        measures: dict[str, float] = {}
        bands = {"": band(few.reconstruction, spread, self.calibration)}
        bands["baseline/constant_"] = constant_band(few.reconstruction, self.calibration)
        for prefix, ends in bands.items():
            lower, upper = (self.codec.decode(end, few.level) for end in ends)
            found = band_measures(clean, recovered, lower, upper)
            measures |= {f"{prefix}{name}": value for name, value in found.items()}
        return measures | (certain_half(recovered, clean, score) if self.of_pulses else {})

    def calibrate(self, data: DataModule) -> Calibration:
        """What some validation traces, whose truth is known, say of the model's doubt."""
        from vaelab.metrics.band import calibrate

        known = self.examine(data.loader("val", DOUBTED))
        return calibrate(known.target, known.reconstruction, *self.doubt(known.x, known.reconstruction))

    @torch.inference_mode()
    def doubt(self, x: Tensor, reconstruction: Tensor) -> tuple[Tensor, Tensor]:
        """How much the traces decoded from several draws of z differ, and agree on the peak.

        Both arguments are encoded, `(n, channels, time)`.

        Returns:
            Their standard deviation, shaped as `x`, and their `agreement`, `(n,)`.
        """
        from vaelab.metrics.band import agreement

        spreads, scores = [], []
        with seeded(stream_seed("doubt", self.seed), self.device):
            # So few at once, because a code of all scales is wide.
            for part, own in zip(x.split(32), reconstruction.split(32), strict=True):
                codes = self.posterior(part.to(self.device)).sample(DRAWS)
                draws = self.decode(codes).unflatten(0, (DRAWS, len(part)))
                spreads.append(draws.std(0))
                scores.append(agreement(draws, own))
        return torch.cat(spreads), torch.cat(scores)

    def figures(self, examined: Examined) -> dict[str, Figure]:  # noqa: D102
        from vaelab.figures.traces import accuracy_by_snr, detection_roc, trace_spectra
        from vaelab.metrics.radio import telling_examples

        noisy, clean, recovered = self._in_units(examined)
        rate, examples = self.signature.sample_rate, telling_examples(recovered, clean) if self.of_pulses else {}
        figures = {
            "recovered": self._rows(examined.head(4)),
            "spectra": trace_spectra(clean, recovered, noisy, rate, examples),
        }
        if examples:
            chosen = Examined(*(field[list(examples.values())] for field in examined))
            figures["examples"] = self._rows(chosen, list(examples))
        if self.curves is not None:
            figures["accuracy_by_snr"] = accuracy_by_snr(self.curves.scan)
            if self.curves.rates:
                figures["detection"] = detection_roc(self.curves.rates)
        return figures

    def _rows(self, examined: Examined, titles: list[str] | None = None) -> Figure:
        from vaelab.figures.traces import trace_rows

        noisy, clean, recovered = self._in_units(examined)
        rate, band = self.signature.sample_rate, self._band(examined)
        return trace_rows(noisy, clean, recovered, rate, count=len(noisy), titles=titles, band=band)

    def _band(self, examined: Examined) -> tuple[Tensor, Tensor] | None:
        """The band of some items in the user's units, once the model's doubt is calibrated."""
        from vaelab.metrics.band import band

        if self.calibration is None:
            return None
        spread, _ = self.doubt(examined.x, examined.reconstruction)
        lower, upper = band(examined.reconstruction, spread, self.calibration)
        return self.codec.decode(lower, examined.level), self.codec.decode(upper, examined.level)

    def sample_figure(self, x: Tensor) -> Figure | None:  # noqa: D102
        from vaelab.figures.waves import wave_samples

        return wave_samples(self.codec.decode(x), sample_rate=self.signature.sample_rate)
