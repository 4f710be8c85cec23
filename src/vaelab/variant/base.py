"""How a kind of signal is modelled: the interface of the group `variant`, and what all methods have in common."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import lightning as L
import torch
from torch import Tensor, nn
from typing_extensions import override

from vaelab.architecture.base import BeginsLinear
from vaelab.errors import DivergedError, UserError
from vaelab.kind.base import Kind
from vaelab.metrics.direction import aim
from vaelab.seeding import reseed, stream_seed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vaelab.architecture.base import Architecture
    from vaelab.beta_schedule.base import Pressure
    from vaelab.codec.base import Codec
    from vaelab.data.batch import Batch
    from vaelab.data.items import Signature
    from vaelab.data.module import DataModule
    from vaelab.kind.base import Band, Examined
    from vaelab.latent.base import Latent, Posterior
    from vaelab.likelihood.base import Likelihood
    from vaelab.objective.base import Objective
    from vaelab.optimizer.base import Optimization


# The number of steps of a run without an end.
FOREVER = 10**9
WIDEST_CODE = 1024  # dimensions that are listed and drawn one by one
# No net that learns has larger ones: what they multiply leaves single precision.
LARGEST_WEIGHT = 1e6


STEP = "step must return a loss, a scalar tensor with a gradient, and a dict of scalar tensors to be logged"


class Parts(NamedTuple):
    """What a method wires together; `run.build_variant` makes them from a configuration and the data's shape.

    `nets` are those that the method's own `nets` asks for, `shape` is that of one encoded item,
    `optimize(parameters, total_steps)` gives the optimizer, and `schedule(step, total_steps)` the pressure on the KL.
    """

    nets: Mapping[str, nn.Module]
    latent: Latent
    likelihood: Likelihood
    objective: Objective
    codec: Codec
    signature: Signature
    kind: Kind
    shape: tuple[int, ...]
    schedule: Callable[[int, int], Pressure]
    optimize: Callable[[Iterable[nn.Parameter], int], Optimization]
    seed: int


# What a method can do ---------------------------------------------------------------------------------------------


@runtime_checkable
class Decodes(Protocol):
    """Makes items of codes."""

    latent: Latent

    def decode(self, codes: Tensor, chunk: int = 256, out: Tensor | None = None) -> Tensor:
        """Typical x, encoded, on the CPU: `(n, code_size)` → `(n, *shape)`, written into `out` where it is given."""

    def made(self, codes: Tensor, seed: int, *, noise: bool = False) -> Tensor:
        """New x of codes, encoded, on the CPU, with the density's own noise if that is asked for or part of an item."""


@runtime_checkable
class HasCode(Decodes, Protocol):
    """Has a code of every item."""

    def posterior(self, x: Tensor) -> Posterior:
        """q(z|x) of encoded items `(batch, *shape)`."""

    def examine(self, batches: Iterable[Batch]) -> Examined:
        """Encode and reconstruct items, the same each time."""

    def codes(self, batches: Iterable[Batch]) -> Tensor:
        """Posterior means of items, `(items, code_size)` on the CPU: as `examine`, undecoded."""

    def realisations(self, code: Tensor) -> Tensor:
        """`(draws, n, *shape)` draws of what codes `(n, code_size)` stand for."""


@runtime_checkable
class HasDensity(HasCode, Protocol):
    """Says how probable an item is under a code."""

    likelihood: Likelihood

    def params(self, code: Tensor) -> Tensor:
        """The likelihood's parameters `(batch, *shape)` for codes `(batch, code_size)`."""


@runtime_checkable
class Denoises(HasCode, Protocol):
    """Recovers what is hidden in an item, and knows how sure it is."""

    def reconstruct(self, posterior: Posterior) -> Tensor:
        """Expected x, encoded, `(batch, *shape)`, of items with this posterior."""

    def doubt(self, x: Tensor, reconstruction: Tensor) -> tuple[Tensor, Tensor]:
        """How much recoveries differ, shaped as `x`, and how far they agree, `(n,)`."""

    def calibrate(self, data: DataModule) -> Any:
        """What items whose truth is known say of that doubt."""


@runtime_checkable
class Inpaints(Protocol):
    """Tells what is hidden of an item from the rest of it."""

    def hidden(self, item: Tensor) -> Tensor:
        """Which places of the items in these rows `(n,)` are hidden when they are judged: `(n, 1, *size)` bool."""

    def fill(self, x: Tensor, hidden: Tensor) -> Tensor:
        """Encoded x `(n, *shape)`, on the CPU, with what is `hidden` `(n, 1, *size)` told from the rest."""


@runtime_checkable
class Stepwise(Protocol):
    """Makes an item in many steps, and can do with fewer or more."""

    def in_steps(self, steps: int, setting: str) -> None:
        """Make items in so many steps from now on. Raises `UserError`, naming the setting, if that cannot be."""


@runtime_checkable
class HasLabels(Protocol):
    """Makes items of a class that is asked for."""

    def labels(self) -> Tensor:
        """`(k,)` numbers of the classes that it makes items of, those of `Signature.label_names`; k 0: of none."""

    def sample_of(self, label: Tensor, seed: int) -> Tensor:
        """A new item of each class number `(n,)`, encoded, on the CPU: `(n, *shape)`; the same for the same seed."""


ABLE: Mapping[type, str] = {
    Decodes: "a code that items are made of",
    HasCode: "a code of every item",
    HasDensity: "a density of items under a code",
    Denoises: "a clean partner of every item",
    HasLabels: "classes that items are made of",
    Inpaints: "a way to fill what is missing",
}


class Method(L.LightningModule):
    """How a model of any kind of signal is trained and asked for samples.

    A new one says which `nets` it needs, what a `step` minimises, what validation tells, and how to `sample`; with an
    entry `configs/variant/mine.yaml` it is trained, resumed, measured and drawn as the others are. What more it can do
    it says by the members of `Decodes`, `HasCode`, `HasDensity`, `Denoises`, `Inpaints`, `HasLabels` or `Stepwise`, all
    of one's, and has the tasks that ask for them; nothing need be derived from these. One that encodes and decodes as a
    VAE does has most of them from `variant.vae.VAE`.

    One of your own, and its entry of the group. What `nets` names are attributes; what they need not be is an
    architecture's: `nets` may return `{}`, and `__init__` make an `nn.Parameter`. Settings are those of `__init__`, by
    name alone::

        # mymethods.py
        from functools import partial

        import torch

        from vaelab.variant.base import Method


        class Autoencoder(Method):
            name = "autoencoder"
            monitor = ("val/error", "min")
            course = ("loss", "error")

            def __init__(self, parts, *, spread: float = 1.0):
                super().__init__(parts)
                self.spread = spread

            @classmethod
            def nets(cls, architecture, shape, latent, own_code):
                return {
                    "encoder": partial(architecture.encoder, shape, 1, latent.code_size),
                    "decoder": partial(architecture.decoder, shape, latent.code_size),
                }

            def step(self, batch, batch_idx):
                loss = (self.decoder(self.encoder(batch.x)) - batch.target).square().mean()
                return loss, {"loss": loss}

            def told(self):
                return ["error"]

            def validation_step(self, batch, batch_idx):
                error = (self.decoder(self.encoder(batch.x)) - batch.target).square().mean()
                self.log(f"{'test' if self.trainer.testing else 'val'}/error", error, batch_size=len(batch.x))

            @torch.inference_mode()
            def sample(self, n, seed):
                codes = torch.randn(n, self.latent.code_size, generator=torch.Generator().manual_seed(seed))
                return self.decoder(self.spread * codes.to(self.device)).cpu()

        # mine/variant/autoencoder.yaml
        _target_: mymethods.Autoencoder
        spread: 1.0

    Its losses may be averaged as they like; whatever is told of validation is logged as `val/NAME`, and that of the
    test, which takes the same steps, as `test/NAME`. Which way what is told is better is read from its name, as of
    every measure: errors, losses and distances, and what else `metrics.direction` lists, less; of all else, more.

    Attributes:
        name: of the entry in the group `variant`.
        of: the kind of signal that it is for.
        monitor: the validation quantity that chooses the best weights where no other is asked for, and whether more
            (`max`) or less (`min`) of it is better.
        course: what is drawn over the training, of what validation and training tell.
        has_latent: whether the group `latent` says what its codes are.
        whole_steps: whether each step has a gradient of every weight that learns.
    """

    name: ClassVar[str] = ""
    of: ClassVar[type[Kind]] = Kind
    monitor: ClassVar[tuple[str, str]]
    course: ClassVar[tuple[str, ...]] = ()
    has_latent: ClassVar[bool] = True
    whole_steps: ClassVar[bool] = True

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self.net_names = tuple(parts.nets)
        for name, net in parts.nets.items():
            self.add_module(name, net)
        self.latent, self.likelihood, self.codec = parts.latent, parts.likelihood, parts.codec
        self.signature, self.kind, self.shape = parts.signature, parts.kind, parts.shape
        self.optimize, self.seed = parts.optimize, parts.seed
        # Of the run: whoever plans it says so.
        self.total_steps = FOREVER
        self.recent: dict[str, list[Tensor]] = {}
        self.latest: dict[str, float] = {}
        self.gradient_norm: Tensor | None = None

    @classmethod
    def nets(
        cls, architecture: Architecture, shape: Sequence[int], latent: Latent, own_code: bool
    ) -> dict[str, Callable[[], nn.Module]]:
        """What makes each net, by its name; the code is the architecture's own if `own_code`."""
        raise NotImplementedError

    @classmethod
    def latent_for(cls, latent: Latent, signature: Signature) -> Latent:
        """The latent of data of this signature: the one that was asked for, unless the method adds to its codes.

        Raises:
            UserError: if the data lack what it adds.
        """
        return latent

    def own_nets(self) -> list[nn.Module]:
        """The nets that it was given, and that can be compiled."""
        return [self.get_submodule(name) for name in self.net_names]

    # What a method is asked for -----------------------------------------------------------------------------------

    @property
    def has_samples(self) -> bool:
        """Whether it makes new items of nothing."""
        return True

    def sample(self, n: int, seed: int) -> Tensor:
        """New items, encoded, on the CPU: `(n, *shape)`; the same for the same seed."""
        raise NotImplementedError

    def step(self, batch: Batch, batch_idx: int) -> tuple[Tensor, dict[str, Tensor]]:
        """What one step minimises, and the terms that are logged."""
        raise NotImplementedError

    def told(self) -> list[str]:
        """The names of what validation tells, without its split."""
        raise NotImplementedError

    def check_data(self, low: float, high: float) -> None:
        """Refuse encoded data that it cannot model, whose smallest and largest value these are. Raises `UserError`."""
        self.likelihood.check_support(low, high)

    def check_plan(self, total_steps: int) -> None:
        """Refuse what does not fit into a run of so many steps. Raises `UserError`."""

    def look_at(self, data: DataModule) -> None:
        """Take from the data what it and its nets must know before the first step.

        Raises:
            UserError: where they do not suit it, or nets begin at items and the likelihood takes other numbers.
        """
        for net in self.modules():
            if isinstance(net, BeginsLinear):
                check_takes_items(self.likelihood, self.shape)
                net.begin(data.linear_code(net.size))

    def logged(self, means: dict[str, float]) -> dict[str, float]:
        """What is logged of the means of a step's terms."""
        return means

    def now(self) -> dict[str, float]:
        """What more is drawn over the training, as it is at this step."""
        return {}

    # What reports add to a kind's own -----------------------------------------------------------------------------

    def own_measures(self, examined: Examined, data: DataModule) -> dict[str, float]:
        """Measures of what this method alone can do."""
        return {}

    def own_figures(self) -> dict[str, Figure]:
        """Figures of what this method alone has."""
        return {}

    def plan_figures(self, steps: int) -> dict[str, Figure]:
        """Figures of how it was trained, over so many steps."""
        return {}

    def histograms(self) -> dict[str, Tensor]:
        """What TensorBoard shows the distribution of at every validation."""
        return {}

    def listed(self) -> dict[str, float]:
        """Numbers of the test split that are too many for a table."""
        return {}

    def band(self, examined: Examined) -> Band | None:
        """Encoded lower and upper ends around reconstructions, where it is known how sure they are."""
        return None

    # Steps --------------------------------------------------------------------------------------------------------

    def monitored(self, name: str | None) -> tuple[str, str]:
        """The validation quantity of this name (None: the method's own), and whether `max` or `min` of it is best.

        Of its own the method says which; of others, the name does (`metrics.direction`).

        Raises:
            UserError: if validation tells no such thing.
        """
        if name in (None, self.monitor[0]):
            return self.monitor
        known = [f"val/{known}" for known in self.told()]
        if name not in known:
            from vaelab.config import did_you_mean

            same = f"val/{name.rpartition('/')[2]}"
            meant = did_you_mean(same if same in known else name, known)
            raise UserError(f"monitor={name} is not what validation tells{meant}")
        return name, "max" if aim(name) == math.inf else "min"

    @override
    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        # Noise is a function of where training stands, so a resumed run draws what the uncut run would have drawn.
        self._seed(self.global_step, batch_idx, self.trainer.global_rank)
        made = self.step(batch, batch_idx)
        if not _is_step(made):
            raise UserError(f"variant={self.name}: {STEP}")
        loss, terms = made
        for name, term in terms.items():
            self.recent.setdefault(name, []).append(term.detach())
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

    @override
    def on_train_epoch_end(self) -> None:
        self._log_recent()

    def _log_recent(self) -> None:
        if not self.recent:
            return
        values = torch.stack([torch.stack(terms).mean() for terms in self.recent.values()]).tolist()
        means = dict(zip(self.recent, values, strict=True))
        self.recent.clear()
        self.check_finite({f"train/{name}": value for name, value in means.items()})
        named = {f"train/{name}": value for name, value in self.logged(means).items()}
        named["train/lr"] = self.trainer.optimizers[0].param_groups[0]["lr"]
        if self.gradient_norm is not None:
            norm, self.gradient_norm = float(self.gradient_norm), None
            # With scaled losses it may be infinite, and the step is then not taken.
            named |= {"train/gradient_norm": norm} if math.isfinite(norm) else {}
        self.latest = named
        if self.logger is not None:
            self.logger.log_metrics(named, step=self.global_step)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what the next log averages over, so that a resumed run logs what the uncut run would have logged."""
        terms = {name: [value.item() for value in values] for name, values in self.recent.items()}
        checkpoint["recent"] = {"terms": terms, "latest": self.latest}

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        terms = checkpoint["recent"]["terms"]
        self.recent = {name: [torch.tensor(value, device=self.device) for value in terms[name]] for name in terms}
        latest = checkpoint["recent"]["latest"]
        if not isinstance(latest, dict) or not all(isinstance(value, float) for value in latest.values()):
            raise TypeError("what was logged last is no dict of numbers")
        self.latest = latest

    def check_finite(self, named: dict[str, float], largest: float = math.inf) -> None:
        """Raise `DivergedError`, naming the remedy, where a number is none, or not below `largest`."""
        kept = "; the checkpoints hold the last good epoch" if self.current_epoch else ""
        for name, value in named.items():
            if not abs(value) < largest:
                raise DivergedError(
                    f"{name} became {value:g} at or before step {self.global_step} (epoch {self.current_epoch}): lower "
                    f"optimizer.lr or set trainer.gradient_clip_val=1.0{kept}"
                )

    @contextmanager
    def divergence_told(self) -> Iterator[None]:
        """Where the weights have run away, what a library raises inside is only what follows from it.

        Raises:
            DivergedError: instead of it, naming the remedy.
        """
        try:
            yield
        except (ArithmeticError, ValueError, RuntimeError):
            weights = torch.stack([weight.detach().abs().max().cpu() for weight in self.parameters()])
            self.check_finite({"the largest weight": float(weights.max())}, LARGEST_WEIGHT)
            raise

    @override
    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self.validation_step(batch, batch_idx)

    def _seed(self, *position: int) -> None:
        reseed(stream_seed("latent", self.seed, *position), self.device)

    @override
    def configure_optimizers(self) -> Any:
        learnt = [weights for weights in self.parameters() if weights.requires_grad]
        optimizer, schedule = self.optimize(learnt, self.total_steps)
        # Fused optimizers would unscale gradients in their step, for which Lightning refuses to clip them; so it does.
        optimizer._step_supports_amp_scaling = False  # type: ignore[attr-defined]
        if schedule is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def check_takes_items(likelihood: Likelihood, shape: tuple[int, ...]) -> None:
    """Refuse a likelihood whose parameters are something else than the mean item. Raises `UserError`."""
    params = torch.linspace(0.3, 0.6, math.prod(shape)).view(1, *shape)
    if not likelihood.has_mean or not torch.equal(likelihood.mean(params), params):
        raise UserError(
            f"this architecture begins at a linear code of items, and likelihood={type(likelihood).__name__.lower()} "
            "is told no items but other numbers: use likelihood=learned_gaussian, or another architecture"
        )


def _is_step(made: object) -> bool:
    if not (isinstance(made, tuple) and len(made) == 2):
        return False
    loss, terms = made
    return isinstance(loss, Tensor) and isinstance(terms, dict) and all(isinstance(v, Tensor) for v in terms.values())


def in_chunks(
    make: Callable[[Tensor], Tensor], codes: Tensor, shape: tuple[int, ...], chunk: int, out: Tensor | None
) -> Tensor:
    """What `make` gives of codes `(n, code_size)`, some at a time: `(n, *shape)` on the CPU, in `out` if given."""
    out = torch.empty(len(codes), *shape) if out is None else out
    for part, place in zip(codes.split(chunk), out.split(chunk), strict=True):
        place.copy_(make(part))
    return out
