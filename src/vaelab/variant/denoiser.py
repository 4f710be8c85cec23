"""The denoising autoencoder: a noisy trace in, its clean partner out."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from typing_extensions import override

from vaelab.errors import UserError
from vaelab.seeding import seeded, stream_seed
from vaelab.variant.vae import VAE

if TYPE_CHECKING:
    from vaelab.data.batch import Batch
    from vaelab.data.module import DataModule
    from vaelab.kind.base import Band, Examined
    from vaelab.latent.base import Posterior
    from vaelab.metrics.band import Calibration
    from vaelab.objective.base import Drawn
    from vaelab.variant.base import Parts

TOLERANCE = 0.02  # of a trace: so near to the true peak the largest sample is in its place
DRAWS = 16  # recoveries of one trace that tell the model's doubt
DOUBTED = 1_024  # traces on which that doubt is calibrated, and as many on which it is measured


class Denoiser(VAE):
    """Recovers pulses from noise: deterministic with `latent=point`, probabilistic with `latent=gaussian`.

    `peak_weight` adds, per pulse, the cross-entropy in nats of the recovered trace being largest near the true peak and
    with the right sign, scaled by the number of samples so that it stands beside a log-likelihood summed over them.
    """

    name: ClassVar[str] = "denoiser"
    monitor: ClassVar[tuple[str, str]] = ("val/error", "min")

    def __init__(self, parts: Parts, *, peak_weight: float = 0.1) -> None:
        super().__init__(parts)
        if not self.kind.has_clean:
            kind = self.signature.kind
            raise UserError(f"variant=denoiser needs a clean partner of every {kind}, and these have none: use vae")
        if peak_weight < 0:
            raise UserError(f"variant.peak_weight must not be negative, not {peak_weight}")
        self.peak_weight = peak_weight
        # How sharply the largest sample counts; learnt, since it depends on the data's scale.
        self.sharpness = torch.nn.Parameter(torch.tensor(10.0))
        # What the last measuring found of the model's doubt, for the figures.
        self.calibration: Calibration | None = None

    @override
    def loss(self, batch: Batch, drawn: Drawn, params: Tensor) -> Tensor:
        loss = super().loss(batch, drawn, params)
        return loss + self.peak_weight * self._peak_loss(batch, params) if self.peak_weight else loss

    @override
    def item_values(self, batch: Batch, drawn: Drawn, params: Tensor) -> Tensor:
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

    def own_measures(self, examined: Examined, data: DataModule) -> dict[str, float]:
        """How good the band and the certainty are, on some of the examined items; nothing without a prior."""
        from vaelab.metrics.band import band, constant_band

        if not self.latent.has_prior:
            return {}
        few, self.calibration = examined.head(DOUBTED), self.calibrate(data)
        spread, agreement = self.doubt(few.x, few.reconstruction)
        bands = {
            "": band(few.reconstruction, spread, self.calibration),
            "baseline/constant_": constant_band(few.reconstruction, self.calibration),
        }
        return self.kind.band_measures(few, bands, agreement)

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

    def band(self, examined: Examined) -> Band | None:
        """The band of some items, once the model's doubt is calibrated."""
        from vaelab.metrics.band import band

        if self.calibration is None:
            return None
        spread, _ = self.doubt(examined.x, examined.reconstruction)
        return band(examined.reconstruction, spread, self.calibration)
