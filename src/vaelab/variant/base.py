"""The one small base of all variants: net, latent, likelihood and schedule wired into steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import lightning as L
import torch
from torch import Tensor, nn

from vaelab.errors import UserError
from vaelab.objective.base import Drawn
from vaelab.seeding import reseed, seeded, stream_seed
from vaelab.variant.tally import GREATER, Tally

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vaelab.beta_schedule.base import Pressure
    from vaelab.codec.base import Codec
    from vaelab.data.batch import Batch
    from vaelab.data.items import Signature
    from vaelab.data.module import DataModule
    from vaelab.latent.base import Latent, Posterior
    from vaelab.likelihood.base import Likelihood
    from vaelab.objective.base import Objective
    from vaelab.optimizer.base import Optimization


# The number of steps of a run without an end.
FOREVER = 10**9
# No net that learns has larger ones: what they multiply leaves single precision.
LARGEST_WEIGHT = 1e6
# Training items that the baselines are fitted on: enough for them, and not the gigabytes of a large set.
BASELINE_ITEMS = 5000


class Parts(NamedTuple):
    """What a variant wires together; `run.build_variant` makes them from a configuration and the data's shape.

    `shape` is that of one encoded item, `optimize(parameters, total_steps)` gives the optimizer, and
    `schedule(step, total_steps)` the pressure on the KL.
    """

    encoder: nn.Module
    decoder: nn.Module
    latent: Latent
    likelihood: Likelihood
    objective: Objective
    codec: Codec
    signature: Signature
    shape: tuple[int, ...]
    schedule: Callable[[int, int], Pressure]
    optimize: Callable[[Iterable[nn.Parameter], int], Optimization]
    seed: int


class Examined(NamedTuple):
    """What a model made of some items, on the CPU: everything that measures and figures look at.

    `x`, `target`, `reconstruction` are encoded `(items, channels, *size)`; `code` `(items, code_size)` are posterior
    means; `label`, `level` and `item` `(items,)`, as a batch has them.
    """

    x: Tensor
    target: Tensor
    reconstruction: Tensor
    code: Tensor
    label: Tensor
    level: Tensor
    item: Tensor

    def head(self, n: int) -> Examined:
        """The first `n` items."""
        return Examined(*(field[:n] for field in self))


class Sound(NamedTuple):
    """A `(samples,)` wave in [−1, 1] and its rate in Hz."""

    wave: Tensor
    sample_rate: int


class VAE(L.LightningModule):
    """Steps, sums and logs that are the same for every kind of signal.

    Subclasses name the kinds of data that they take, and their measures and figures. `name` is the entry of the group
    `variant`, `prefix` begins the measures; `monitor` is the validation quantity that chooses the best checkpoint where
    no other is asked for, and whether more of it is better.
    """

    kinds: ClassVar[tuple[str, ...]] = ()
    monitor: ClassVar[tuple[str, str]] = ("val/objective", "max")
    name: ClassVar[str] = ""
    prefix: ClassVar[str] = ""
    hint: ClassVar[str] = ""
    # Whether a sample is a draw from the likelihood, because its mean is no item.
    samples_are_draws: ClassVar[bool] = False

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        if parts.signature.kind not in self.kinds:
            raise UserError(f"variant={self.name} cannot take data of kind {parts.signature.kind}: {self.hint}")
        self.encoder, self.decoder = parts.encoder, parts.decoder
        self.likelihood, self.codec = parts.likelihood, parts.codec
        self.latent, self.signature, self.shape = parts.latent, parts.signature, parts.shape
        self.objective, self.schedule = parts.objective, parts.schedule
        self.optimize, self.seed = parts.optimize, parts.seed
        # Of the run: whoever plans it says so.
        self.total_steps = FOREVER
        self.recent: list[Tensor] = []
        self.latest: dict[str, float] = {}
        self.gradient_norm: Tensor | None = None
        self.tally: Tally
        self.kl: Tensor

    # The way of the data ------------------------------------------------------------------------------------------

    def posterior(self, x: Tensor) -> Posterior:
        """q(z|x) of encoded items `(batch, *shape)`."""
        return self.latent.posterior(self.encoder(x).float())

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
        self.objective.check(self.latent, self.schedule(total_steps, total_steps))

    def monitored(self, name: str | None) -> tuple[str, str]:
        """The validation quantity of this name (None: the variant's own), and whether `max` or `min` of it is best.

        Raises:
            UserError: if validation tells no such thing.
        """
        if name is None:
            return self.monitor
        known = [f"val/{known}" for known in ("objective", *Tally.names(self.latent))]
        if name not in known:
            from vaelab.config import did_you_mean

            same = f"val/{name.rpartition('/')[2]}"
            meant = did_you_mean(same if same in known else name, known)
            raise UserError(f"monitor={name} is not what validation tells{meant}")
        return name, "max" if name.removeprefix("val/").startswith(GREATER) else "min"

    def pressure(self, step: int) -> Pressure:
        """What the schedule asks of the KL at a step of this run."""
        return self.schedule(step, self.total_steps)

    @torch.inference_mode()
    def decode(self, codes: Tensor, chunk: int = 256, out: Tensor | None = None) -> Tensor:
        """Typical x, encoded, on the CPU: `(n, code_size)` → `(n, *shape)`, written into `out` where it is given."""
        out = torch.empty(len(codes), *self.shape) if out is None else out
        for part, place in zip(codes.split(chunk), out.split(chunk), strict=True):
            place.copy_(self.typical(self.params(part.to(self.device))))
        return out

    def typical(self, params: Tensor) -> Tensor:
        """What stands for all x, encoded, with these parameters: their expectation, `(batch, *shape)`."""
        return self.likelihood.mean(params)

    @torch.inference_mode()
    def draw(self, codes: Tensor, seed: int) -> Tensor:
        """As `decode`, with one draw from the likelihood instead of its mean."""
        with seeded(stream_seed("observation", seed)):
            parts = [self.likelihood.sample(self.params(part.to(self.device)).cpu()) for part in codes.split(256)]
        return torch.cat(parts)

    def reconstruct(self, posterior: Posterior) -> Tensor:
        """Expected x, encoded, `(batch, *shape)`, of items with this posterior: decoded from its mean."""
        return self.likelihood.mean(self.params(posterior.mean))

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

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: D102
        # Noise is a function of where training stands, so a resumed run draws what the uncut run would have drawn.
        self._seed(self.global_step, batch_idx, self.trainer.global_rank)
        drawn, params = self.pass_through(batch, self.objective.draws)
        loss = self.loss(batch, drawn, params)
        self.recent += [loss.detach(), drawn.mean_log_likelihood.detach(), drawn.mean_kl.detach()]
        return loss

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        """Measure the gradient, before it is clipped, in the steps that are logged."""
        if (self.global_step + 1) % self.trainer.log_every_n_steps == 0 or self.trainer.is_last_batch:  # type: ignore[attr-defined]
            gradients = [weights.grad for weights in self.parameters() if weights.grad is not None]
            self.gradient_norm = nn.utils.get_total_norm(gradients)

    def on_train_batch_end(self, *_: Any) -> None:
        """Log every so many steps, not each one: a logging call can cost more than a small step."""
        if self.recent and self.global_step % self.trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            self._log_recent()

    def on_train_epoch_end(self) -> None:  # noqa: D102
        self._log_recent()

    def _log_recent(self) -> None:
        if not self.recent:
            return
        values = torch.stack(self.recent).view(-1, 3).mean(0).tolist()
        self.recent.clear()
        named = dict(zip(("train/loss", "train/log_likelihood", "train/kl"), values, strict=True))
        self._check_finite(named)
        if self.latent.has_prior:
            named["train/elbo"] = named["train/log_likelihood"] - named["train/kl"]
            named["train/beta"] = self.pressure(self.global_step - 1).beta
        else:
            del named["train/kl"]
        named["train/lr"] = self.trainer.optimizers[0].param_groups[0]["lr"]
        named |= {f"train/{name}": float(width) for name, width in self.likelihood.learnt().items()}
        if self.gradient_norm is not None:
            norm, self.gradient_norm = float(self.gradient_norm), None
            # With scaled losses it may be infinite, and the step is then not taken.
            named |= {"train/gradient_norm": norm} if math.isfinite(norm) else {}
        self.latest = named
        if self.logger is not None:
            self.logger.log_metrics(named, step=self.global_step)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what the next log averages over, so that a resumed run logs what the uncut run would have logged."""
        checkpoint["recent"] = {"terms": [term.item() for term in self.recent], "latest": self.latest}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:  # noqa: D102
        self.recent = [torch.tensor(term, device=self.device) for term in checkpoint["recent"]["terms"]]
        self.latest = checkpoint["recent"]["latest"]

    def _check_finite(self, named: dict[str, float], largest: float = math.inf) -> None:
        kept = "; the checkpoints hold the last good epoch" if self.current_epoch else ""
        for name, value in named.items():
            if not abs(value) < largest:
                raise UserError(
                    f"{name} became {value:g} at or before step {self.global_step} (epoch {self.current_epoch}): lower "
                    f"optimizer.lr or set trainer.gradient_clip_val=1.0{kept}"
                )

    @contextmanager
    def divergence_told(self) -> Iterator[None]:
        """Where the weights have run away, what a library raises inside is only what follows from it.

        Raises:
            UserError: instead of it, naming the remedy.
        """
        try:
            yield
        except (ArithmeticError, ValueError, RuntimeError):
            weights = torch.stack([weight.detach().abs().max().cpu() for weight in self.parameters()])
            self._check_finite({"the largest weight": float(weights.max())}, LARGEST_WEIGHT)
            raise

    def on_validation_epoch_start(self) -> None:  # noqa: D102
        self.tally = Tally(self.latent, self.seed)

    def on_test_epoch_start(self) -> None:  # noqa: D102
        self.tally = Tally(self.latent, self.seed)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: D102
        self._seed(-1, batch_idx, self.trainer.global_rank)
        drawn, params = self.pass_through(batch)
        error = (self.likelihood.mean(params) - batch.target).flatten(1).square().mean(1)
        several = (drawn, params) if self.objective.draws == 1 else self.pass_through(batch, self.objective.draws)
        self.tally.add(drawn, error, self.item_values(batch, *several))

    def item_values(self, batch: Batch, drawn: Drawn, params: Tensor) -> Tensor:
        """`(batch,)` what each item is worth to the objective but for its KL, every schedule at its final value."""
        return self.objective.item_values(drawn, self.pressure(self.total_steps))

    def test_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: D102
        self.validation_step(batch, batch_idx)

    def on_validation_epoch_end(self) -> None:  # noqa: D102
        self._log_tally("val")

    def on_test_epoch_end(self) -> None:  # noqa: D102
        self._log_tally("test")

    def _log_tally(self, split: str) -> None:
        means, self.kl, items = self.tally.means(
            math.prod(self.shape), lambda t: self.trainer.strategy.reduce(t, reduce_op="sum")
        )
        # Minus what training minimises, so the greater the better.
        final, kl = self.pressure(self.total_steps), means.get("kl", 0.0)
        means["objective"] = self.objective.value(items, kl, self.kl, final)
        self._check_finite({f"{split}/{name}": value for name, value in means.items()})
        # Every process holds the same sums already.
        self.log_dict({f"{split}/{name}": value for name, value in means.items()}, rank_zero_only=False)

    def _seed(self, *position: int) -> None:
        reseed(stream_seed("latent", self.seed, *position), self.device)

    def configure_optimizers(self) -> Any:  # noqa: D102
        optimizer, schedule = self.optimize(self.parameters(), self.total_steps)
        if schedule is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    # What a kind of signal adds -----------------------------------------------------------------------------------

    def measures(self, examined: Examined, data: DataModule) -> dict[str, float]:
        """Test measures of this kind of signal beside their baselines, flat, named under `prefix`."""
        return {}

    def quick_measures(self, examined: Examined, data: DataModule) -> dict[str, float]:
        """Those of `measures` that take no time, of validation items: shown over the training, under `val`."""
        return {}

    def figures(self, examined: Examined) -> dict[str, Figure]:
        """Pictures of what the model makes of some items."""
        return {}

    def sample_figure(self, x: Tensor) -> Figure | None:
        """One picture of decoded samples `(n, *shape)`."""
        return None

    def path_figure(self, x: Tensor) -> Figure | None:
        """One picture of an interpolation `(steps, *shape)`."""
        return self.sample_figure(x)

    def sounds(self, x: Tensor, level: Tensor | None) -> list[Sound]:
        """Encoded items as sound, where the data are sound."""
        return []
