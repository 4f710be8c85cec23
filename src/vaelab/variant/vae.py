"""The variational autoencoder: net, latent, likelihood and schedule wired into steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from vaelab.errors import UserError
from vaelab.kind.base import Examined
from vaelab.latent.densities import sample_codes
from vaelab.objective.base import Drawn
from vaelab.seeding import seeded, stream_seed
from vaelab.variant.base import WIDEST_CODE, Method, in_chunks
from vaelab.variant.tally import Tally

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vaelab.architecture.base import Architecture
    from vaelab.beta_schedule.base import Pressure
    from vaelab.data.batch import Batch
    from vaelab.latent.base import Latent, Posterior
    from vaelab.variant.base import Parts

REALISATIONS = 100  # draws of an item that tell what is expected of it


class VAE(Method):
    """Any kind of signal, as what a code and a likelihood make of it (Kingma and Welling 2014).

    Where chance is part of an item (`Kind.items_are_draws`), the encoder is shown what the likelihood knows of it,
    `decode` gives realisations that all share one chance, so that what differs between two is their codes' doing, and
    `made` gives each its own.
    """

    name: ClassVar[str] = "vae"
    monitor: ClassVar[tuple[str, str]] = ("val/objective", "max")
    course: ClassVar[tuple[str, ...]] = ("objective", "elbo", "log_likelihood", "kl", "error")
    encoder: nn.Module
    decoder: nn.Module

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.objective, self.schedule = parts.objective, parts.schedule
        self.tally: Tally
        self.kl: Tensor

    @classmethod
    @override
    def nets(
        cls, architecture: Architecture, shape: Sequence[int], latent: Latent, own_code: bool
    ) -> dict[str, Callable[[], nn.Module]]:
        dim, size = (None, None) if own_code else (latent.dims, latent.code_size)
        return {
            "encoder": partial(architecture.encoder, shape, latent.heads, dim),
            "decoder": partial(architecture.decoder, shape, size),
        }

    # The way of the data ------------------------------------------------------------------------------------------

    def posterior(self, x: Tensor) -> Posterior:
        """q(z|x) of encoded items `(batch, *shape)`."""
        shown = self.likelihood.statistic(x) if self.kind.items_are_draws else x
        return self.latent.posterior(self.encoder(shown).float())

    def params(self, code: Tensor) -> Tensor:
        """The likelihood's parameters `(batch, *shape)` for codes `(batch, code_size)`."""
        return self.decoder(code).float()

    def pass_through(self, batch: Batch, draws: int = 1) -> tuple[Drawn, Tensor]:
        """A batch with `draws` of z for each item: its bound, and the decoder's output `(draws · batch, *shape)`."""
        posterior = self.posterior(batch.x)
        codes = posterior.sample(draws)
        params = self.params(codes)
        target = batch.target if draws == 1 else batch.target.repeat(draws, *[1] * (batch.target.ndim - 1))
        log_likelihood = self.likelihood.log_prob(target, params).view(draws, -1)
        return Drawn(log_likelihood, posterior.kl(), codes, posterior, self.latent), params

    def loss(self, batch: Batch, drawn: Drawn, params: Tensor) -> Tensor:
        """What one step minimises, in nats per sample."""
        return self.objective(drawn, self.pressure(self.global_step))

    def check_plan(self, total_steps: int) -> None:
        """Refuse a schedule that does not fit into a run of so many steps, or into the objective, or is below zero.

        Raises:
            UserError: naming the setting and the remedy.
        """
        for step in torch.linspace(0, total_steps, 101, dtype=torch.float64).long().tolist():
            beta = self.schedule(step, total_steps).beta
            if not 0 <= beta < math.inf:
                raise UserError(
                    f"beta_schedule makes beta {beta:g} at step {step}: it must not be negative or infinite"
                )
        if self.objective.draws < 1:
            raise UserError(f"{type(self.objective).__name__}.draws must be at least 1, not {self.objective.draws}")
        self.objective.check(self.latent, self.schedule(total_steps, total_steps))

    def pressure(self, step: int) -> Pressure:
        """What the schedule asks of the KL at a step of this run."""
        return self.schedule(step, self.total_steps)

    @torch.inference_mode()
    def decode(self, codes: Tensor, chunk: int = 256, out: Tensor | None = None) -> Tensor:
        """Typical x, encoded, on the CPU: `(n, code_size)` → `(n, *shape)`, written into `out` where it is given."""
        return in_chunks(lambda part: self.typical(self.params(part.to(self.device))), codes, self.shape, chunk, out)

    def typical(self, params: Tensor) -> Tensor:
        """What stands for all x, encoded, with these parameters, `(batch, *shape)`: their expectation.

        Where items are draws, which have none, it is a realisation, each with the same chance.
        """
        if not self.kind.items_are_draws:
            return self.likelihood.mean(params)
        with seeded(stream_seed("observation", self.seed)):
            return torch.vmap(self.likelihood.sample, randomness="same")(params.cpu())

    @torch.inference_mode()
    def draw(self, codes: Tensor, seed: int) -> Tensor:
        """As `decode`, with one draw from the likelihood instead of its mean."""
        with seeded(stream_seed("observation", seed)):
            parts = [self.likelihood.sample(self.params(part.to(self.device)).cpu()) for part in codes.split(256)]
        return torch.cat(parts)

    def made(self, codes: Tensor, seed: int, *, noise: bool = False) -> Tensor:
        """New x of codes, encoded, on the CPU, with the likelihood's noise if that is asked for or part of an item."""
        return self.draw(codes, seed) if noise or self.kind.items_are_draws else self.decode(codes)

    @property
    def has_samples(self) -> bool:
        """Whether the code has a prior."""
        return self.latent.has_prior

    def sample(self, n: int, seed: int) -> Tensor:
        """New items of the prior, encoded, on the CPU: `(n, *shape)`."""
        return self.made(sample_codes("prior", n, latent=self.latent, codes=None, seed=seed), seed)

    def realisations(self, code: Tensor) -> Tensor:
        """`(draws, n, *shape)` draws from the likelihood under codes `(n, code_size)`."""
        return self.draw(code.repeat(REALISATIONS, 1), self.seed).unflatten(0, (REALISATIONS, len(code)))

    def reconstruct(self, posterior: Posterior) -> Tensor:
        """Typical x, encoded, `(batch, *shape)`, of items with this posterior: decoded from its mean."""
        return self.typical(self.params(posterior.mean))

    @torch.inference_mode()
    def examine(self, batches: Iterable[Batch]) -> Examined:
        """Encode and reconstruct items, the same each time."""
        self.eval()
        rows: list[Examined] = []
        for batch in batches:
            posterior = self.posterior(batch.x.to(self.device))
            reconstruction = self.reconstruct(posterior)
            row = Examined(batch.x, batch.target, reconstruction, posterior.mean, batch.label, batch.level, batch.item)
            rows.append(Examined(*(field.cpu() for field in row)))
        return Examined(*(torch.cat(fields) for fields in zip(*rows, strict=True)))

    @torch.inference_mode()
    def codes(self, batches: Iterable[Batch]) -> Tensor:
        """Posterior means of items, `(items, code_size)` on the CPU: as `examine`, undecoded."""
        self.eval()
        return torch.cat([self.posterior(batch.x.to(self.device)).mean.cpu() for batch in batches])

    # Steps --------------------------------------------------------------------------------------------------------

    @override
    def step(self, batch: Batch, batch_idx: int) -> tuple[Tensor, dict[str, Tensor]]:
        drawn, params = self.pass_through(batch, self.objective.draws)
        loss = self.loss(batch, drawn, params)
        return loss, {"loss": loss, "log_likelihood": drawn.mean_log_likelihood, "kl": drawn.mean_kl}

    def logged(self, means: dict[str, float]) -> dict[str, float]:
        """The bound and beta beside the terms; without a prior neither, nor a KL."""
        told = dict(means)
        if self.latent.has_prior:
            told["elbo"] = means["log_likelihood"] - means["kl"]
            told["beta"] = self.pressure(self.global_step - 1).beta
        else:
            del told["kl"]
        return told | {name: float(width) for name, width in self.likelihood.learnt().items()}

    def now(self) -> dict[str, float]:
        """Beta at the step that was taken last: when the run is over there is no other."""
        return {"beta": self.pressure(max(self.global_step - 1, 0)).beta} if self.latent.has_prior else {}

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        recent = checkpoint["recent"]
        if isinstance(recent["terms"], list):
            # One list of all terms in turn, as it was written before methods named theirs.
            names = ("loss", "log_likelihood", "kl")
            checkpoint["recent"] = recent | {"terms": {name: recent["terms"][k::3] for k, name in enumerate(names)}}
        super().on_load_checkpoint(checkpoint)

    @override
    def told(self) -> list[str]:
        return ["objective", *Tally.names(self.latent)]

    @override
    def on_validation_epoch_start(self) -> None:
        self.tally = Tally(self.latent, self.seed)

    @override
    def on_test_epoch_start(self) -> None:
        self.tally = Tally(self.latent, self.seed)

    @override
    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._seed(-1, batch_idx, self.trainer.global_rank)
        drawn, params = self.pass_through(batch)
        error = (self.likelihood.mean(params) - batch.target).flatten(1).square().mean(1)
        several = (drawn, params) if self.objective.draws == 1 else self.pass_through(batch, self.objective.draws)
        self.tally.add(drawn, error, self.item_values(batch, *several))

    def item_values(self, batch: Batch, drawn: Drawn, params: Tensor) -> Tensor:
        """`(batch,)` what each item is worth to the objective but for its KL, every schedule at its final value."""
        return self.objective.item_values(drawn, self.pressure(self.total_steps))

    @override
    def on_validation_epoch_end(self) -> None:
        self._log_tally("val")

    @override
    def on_test_epoch_end(self) -> None:
        self._log_tally("test")

    def _log_tally(self, split: str) -> None:
        means, self.kl, items = self.tally.means(
            math.prod(self.shape), lambda t: self.trainer.strategy.reduce(t, reduce_op="sum")
        )
        # Minus what training minimises, so the greater the better.
        final, kl = self.pressure(self.total_steps), means.get("kl", 0.0)
        means["objective"] = float(self.objective.value(items, kl, self.kl, final))
        self.check_finite({f"{split}/{name}": value for name, value in means.items()})
        # Every process holds the same sums already.
        self.log_dict({f"{split}/{name}": value for name, value in means.items()}, rank_zero_only=False)

    # Reports ------------------------------------------------------------------------------------------------------

    def own_figures(self) -> dict[str, Figure]:
        """Each dimension's KL."""
        from vaelab.figures.latent import kl_bars

        return {"kl": kl_bars(self.kl)} if self.latent.has_prior else {}

    def plan_figures(self, steps: int) -> dict[str, Figure]:
        """The beta schedule."""
        from vaelab.figures.training import schedule_curve

        schedule = schedule_curve(self.pressure, steps) if self.latent.has_prior else None
        return {} if schedule is None else {"beta_schedule": schedule}

    def histograms(self) -> dict[str, Tensor]:
        """Each dimension's KL."""
        return {"kl_per_dimension": self.kl} if self.latent.has_prior else {}

    def listed(self) -> dict[str, float]:
        """Each dimension's own KL in nats, of hundreds of them, but not tens of thousands."""
        if not self.latent.has_prior or len(self.kl) > WIDEST_CODE:
            return {}
        return {f"kl_of_dimension/{k}": kl for k, kl in enumerate(self.kl.tolist())}
