"""What a method must be, beyond the names of its methods: told before it is trained, and after its first epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import lightning as L
import torch
from torch import Tensor, nn
from typing_extensions import override

from vaelab.errors import UserError
from vaelab.variant.base import STEP, Method

if TYPE_CHECKING:
    from vaelab.architecture.base import Architecture
    from vaelab.latent.base import Latent
    from vaelab.likelihood.base import Likelihood


def check_nets(nets: Any, where: str) -> None:
    """Refuse what does not make nets by their names.

    Raises:
        UserError: naming the method.
    """
    if not isinstance(nets, Mapping) or not all(map(_makes, nets.values())):
        raise UserError(
            f"{where}: nets must return a dict, each name with a function that makes its net, such as "
            "{'decoder': partial(architecture.decoder, shape, latent.code_size)}"
        )


def _makes(net: Callable[[], nn.Module]) -> bool:
    return callable(net) and not isinstance(net, nn.Module)


def check_begun(*modules: nn.Module) -> None:
    """Refuse a module whose class forgot to begin it. Raises `UserError`."""
    for module in modules:
        if "_parameters" not in vars(module):
            given = "parts" if isinstance(module, Method) else ""
            found = type(module)
            raise UserError(
                f"{found.__module__}.{found.__qualname__}: begin its __init__ with super().__init__({given})"
            )


@torch.no_grad()
def check_architecture(architecture: Architecture, shape: Sequence[int], latent: Latent, own_code: bool) -> None:
    """Refuse nets of a user's own that give other shapes than they should; those of the package have their tests.

    Raises:
        UserError: naming the net and the shapes.
    """
    dim, size = (None, None) if own_code else (latent.dims, latent.code_size)
    # Without memory for their numbers, and without a draw.
    with torch.device("meta"):
        cases = (
            ("encoder", architecture.encoder(shape, latent.heads, dim), tuple(shape), (latent.heads * latent.dims,)),
            ("decoder", architecture.decoder(shape, size), (latent.code_size,), tuple(shape)),
        )
        for name, net, given, want in cases:
            found = f"{type(architecture).__module__}.{type(architecture).__qualname__}.{name}"
            if not isinstance(net, nn.Module):
                raise UserError(f"{found} gives {type(net).__name__}: it must give a torch.nn.Module")
            made = tuple(net.eval()(torch.zeros(2, *given)).shape)
            if made != (2, *want):
                raise UserError(f"{found} makes {made} of {(2, *given)}: it must be {(2, *want)}")


@torch.no_grad()
def check_likelihood(likelihood: Likelihood, shape: Sequence[int]) -> None:
    """Refuse a likelihood of a user's own that gives other shapes than it should.

    Raises:
        UserError: naming the method and the shapes.
    """
    params = torch.zeros(2, *shape)
    x = likelihood.mean(params)
    cases = (("mean", x, (2, *shape)), ("log_prob", likelihood.log_prob(params + 0.5, params), (2,)))
    for name, made, want in cases:
        if tuple(made.shape) != want:
            raise UserError(
                f"{type(likelihood).__module__}.{type(likelihood).__qualname__}.{name} makes {tuple(made.shape)} of "
                f"{tuple(params.shape)}: it must be {want}"
            )


def check_method(method: Method) -> None:
    """Refuse a method that has nothing to train, or does not say what chooses its best weights, or has no samples.

    Raises:
        UserError: naming the method and what it lacks.
    """
    where = f"variant._target_={type(method).__module__}.{type(method).__qualname__}"
    if not method.name:
        raise UserError(f"{where} needs a name, that of its entry")
    told = method.told()
    if not isinstance(told, list | tuple) or not all(isinstance(name, str) for name in told):
        raise UserError(f"{where}: told must return a list of names, such as ['error'], not {type(told).__name__}")
    monitor = getattr(method, "monitor", None)
    if not isinstance(monitor, tuple) or len(monitor) != 2 or monitor[1] not in ("min", "max"):
        raise UserError(f"{where} needs monitor = (NAME, 'min' or 'max'), such as ('val/error', 'min')")
    known = [f"val/{name}" for name in told]
    if monitor[0] not in known:
        raise UserError(f"{where}: monitor {monitor[0]} is not what told tells: {', '.join(known) or 'nothing'}")
    if type(method).sample is Method.sample and method.has_samples:
        raise UserError(f"{where} has no sample(n, seed): write it, or let has_samples be False")
    if not any(weights.requires_grad for weights in method.parameters()):
        raise UserError(f"{where} has nothing to train: give it a net, or an nn.Parameter")


def check_samples(method: Method) -> None:
    """Refuse new items that are not as `Method.sample` says.

    Raises:
        UserError: naming what they must be.
    """
    if not method.has_samples:
        return
    # As they are asked for outside of a validation.
    with torch.inference_mode(False), torch.enable_grad():
        x: Any = method.sample(2, method.seed)
    want = (2, *method.shape)
    if not isinstance(x, Tensor) or tuple(x.shape) != want or x.dtype != torch.float32 or x.device.type != "cpu":
        given = f"{tuple(x.shape)}, {x.dtype}, {x.device}" if isinstance(x, Tensor) else type(x).__name__
        raise UserError(f"variant={method.name}: sample(2, seed) gives {given}: it must be {want}, torch.float32, cpu")
    if not x.isfinite().all():
        raise UserError(f"variant={method.name}: sample(2, seed) gives what are no numbers (NaN or infinity)")
    if x.requires_grad:
        raise UserError(f"variant={method.name}: sample has a gradient: write @torch.inference_mode() above it")


def _name(module: L.LightningModule) -> str:
    return str(getattr(module, "name", type(module).__name__))


class Checked(L.Callback):
    """Holds what a method gives against what it should be: each loss, and after the first validation all the rest."""

    def __init__(self, monitor: str) -> None:
        self.monitor = monitor
        self.begun = self.validated = False

    @override
    def on_before_backward(self, trainer: L.Trainer, module: L.LightningModule, loss: Tensor) -> None:
        """A loss, and the terms of the first step."""
        if loss.ndim or not loss.requires_grad:
            given = f"of shape {tuple(loss.shape)}" if loss.ndim else "without a gradient"
            raise UserError(f"variant={_name(module)}: a loss {given}: {STEP}")
        if not self.begun:
            self.begun = True
            assert isinstance(module, Method)
            for name, terms in module.recent.items():
                if terms[-1].ndim:
                    raise UserError(f"variant={_name(module)}: {name} of shape {tuple(terms[-1].shape)}: {STEP}")

    @override
    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """What validation tells, and new items."""
        if self.validated:
            return
        self.validated = True
        assert isinstance(module, Method)
        if self.monitor not in trainer.callback_metrics:
            raise UserError(
                f"variant={module.name}: validation tells no {self.monitor}, which chooses the best weights: "
                f"self.log('{self.monitor}', …) in validation_step, or at the end of the epoch"
            )
        check_samples(module)
