"""From a configuration to objects."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Sequence
from dataclasses import fields
from functools import partial
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from threadpoolctl import threadpool_limits

from vaelab.accelerator.base import Acceleration
from vaelab.architecture.base import Architecture
from vaelab.beta_schedule.base import BetaSchedule, pressure_of
from vaelab.codec.base import Codec
from vaelab.config import bind, build, check_settings, checked_class
from vaelab.data.items import Signature
from vaelab.data.module import DataModule
from vaelab.dataset.base import Source
from vaelab.errors import UserError
from vaelab.kind.base import Kind
from vaelab.latent.base import Latent
from vaelab.likelihood.base import Likelihood
from vaelab.memory import LARGE, WEIGHT, check_size, count_weights
from vaelab.objective.base import Objective
from vaelab.optimizer.base import MakeOptimizer
from vaelab.run.checks import check_architecture, check_begun, check_likelihood, check_method, check_nets
from vaelab.run.trust import offered
from vaelab.variant.base import Method, Parts

# Of a dataset without one.
CODEC = "codec: {_target_: vaelab.codec.signal.SignalCodec}"
# Threads for each core: with more they only wait for one another.
MOST_THREADS = 4
# Of the settings of `dataset` those that say how items are served.
SERVED = [name for name, one in inspect.signature(DataModule).parameters.items() if one.kind is one.KEYWORD_ONLY]
# Of the settings of `accelerator` those that are not Lightning's.
ACCELERATION = [field.name for field in fields(Acceleration)]


def build_source(config: DictConfig) -> Source:
    """The source of `config.dataset`: what is left of it beside the codec and how items are served."""
    return build(without(config.dataset, [*SERVED, "codec"]), Source)


def build_codec(config: DictConfig) -> Codec:
    """The codec of `config.dataset`, not fitted yet. Raises `UserError` where it names none."""
    if "codec" not in config.dataset:
        raise UserError(f"dataset has no codec: its entry must name one, such as {CODEC}; codec.base lists them")
    codec = build(config.dataset.codec, Codec)
    check_begun(codec)
    return codec


def part(node: DictConfig, keys: Sequence[Any]) -> DictConfig:
    """The settings of a node that are among these, which keep its name in what is said of them."""
    part = OmegaConf.masked_copy(node, list(keys))
    part._set_key(node._key())
    part._set_parent(node._get_parent())
    return part


def without(node: DictConfig, keys: Sequence[Any]) -> DictConfig:
    """As `part`, those that are not among these."""
    return part(node, [key for key in node if key not in keys])


def build_data(config: DictConfig, fitted: Codec | None = None) -> DataModule:
    """The DataModule of `config.dataset`: its source, its codec (or a run's own) and how they are served."""
    check_settings(DataModule, part(config.dataset, [*SERVED, "codec"]))
    settings = _by_name(part(config.dataset, SERVED))
    codec = build_codec(config) if fitted is None else fitted
    return DataModule(build_source(config), codec, seed=config.seed, fitted=fitted is not None, **settings)


def build_acceleration(config: DictConfig) -> Acceleration:
    """What `accelerator` says beside Lightning's settings. Raises `UserError` for a setting of the wrong type."""
    own = part(config.accelerator, ACCELERATION)
    check_settings(Acceleration, own)
    return Acceleration(**_by_name(own))


def _by_name(node: DictConfig) -> dict[str, Any]:
    return {str(key): value for key, value in node.items()}


def shared_data(config: DictConfig) -> DataModule:
    """As `build_data`, but what the last call gave if seed and dataset are the same: a sweep reads its data once."""
    settings = OmegaConf.to_yaml(OmegaConf.masked_copy(config, ["seed", "dataset"]))
    if settings not in _SHARED:
        # Before the next is there: two sets in memory may be one too many.
        _SHARED.clear()
        _SHARED[settings] = build_data(config)
    return _SHARED[settings]


_SHARED: dict[str, DataModule] = {}


def build_variant(
    config: DictConfig, codec: Codec, signature: Signature, shape: tuple[int, ...], copies: int = 1
) -> Method:
    """The model that a configuration describes, for encoded items of this shape; of one copy it is not to be trained.

    Raises:
        UserError: if a setting is outside its range, the data are of another kind than it is for, or there is no memory
            for `copies` of all weights.
    """
    method = checked_class(config.variant, Method)
    kind = build_kind(config, method, codec, signature)
    architecture, latent = build(config.architecture, Architecture), build(config.latent, Latent)
    own = latent.dim is None and method.has_latent
    if own:
        latent.dim = architecture.own_code(shape)
        if latent.code_size != latent.dim:
            name = type(latent).__name__.removesuffix("Latent").lower()
            raise UserError(
                f"latent={name} gives {latent.code_size} numbers for its {latent.dim} dimensions, which are not the "
                "architecture's own code: give latent.dim=NUMBER and an architecture that takes it, or use "
                "latent=gaussian"
            )
    # What a checkpoint holds was made once already, and may make no more nets than it has.
    trained = copies > 1
    if trained and not str(config.architecture._target_).startswith("vaelab."):
        check_architecture(architecture, shape, latent, own)
    latent = method.latent_for(latent, signature)
    nets = method.nets(architecture, shape, latent, own)
    check_nets(nets, f"variant._target_={config.variant._target_}")
    weights = count_weights(*nets.values())
    check_size(copies * WEIGHT * weights, "architecture", "latent.dim")
    if weights > LARGE:
        print(f"a net of {weights:,} weights", file=sys.stderr)
    parts = Parts(
        nets={name: make() for name, make in nets.items()},
        latent=latent,
        likelihood=build(config.likelihood, Likelihood),
        objective=build(config.objective, Objective),
        codec=codec,
        signature=signature,
        kind=kind,
        shape=tuple(shape),
        schedule=partial(pressure_of, bind(config.beta_schedule, BetaSchedule)),
        optimize=_tried(config.optimizer),
        seed=config.seed,
    )
    variant = build(config.variant, Method, parts)
    check_begun(variant, parts.likelihood)
    if trained:
        check_method(variant)
    if trained and not str(config.likelihood._target_).startswith("vaelab."):
        check_likelihood(parts.likelihood, shape)
    # Convolutions of pictures with the channels innermost: half as fast again on a CPU, and what tensor cores want.
    return variant.to(memory_format=torch.channels_last)


def build_kind(config: DictConfig, method: type[Method], codec: Codec, signature: Signature) -> Kind:
    """The kind that `config.kind` names; else the method's own; else the most particular of ours that the data fit.

    Raises:
        UserError: if the data are of another kind, or the method is for another.
    """
    if "_target_" in config.get("kind", {}):
        named = checked_class(config.kind, Kind)
        if not (named.name and named.what and named.prefix):
            raise UserError(f"kind._target_={config.kind._target_} needs a name, what it is for, and a prefix")
        kind = build(config.kind, Kind, codec, signature, config.seed)
        if not isinstance(kind, method.of):
            raise UserError(
                f"variant={method.name} is for {method.of.what}, and kind={kind.name} is not: use kind=auto"
            )
        return kind
    if method.of is Kind:
        return most_particular(signature)(codec, signature, config.seed)
    if not method.of.fits(signature):
        raise UserError(
            f"variant={method.name} is for {method.of.what}; these are {signature.kind}s: use variant=vae, which takes "
            "any"
        )
    return method.of(codec, signature, config.seed)


def most_particular(signature: Signature) -> type[Kind]:
    """Of all kinds that the group offers and that such data fit, the one that is derived from the others.

    Raises:
        UserError: if there is none, or none of several is.
    """
    entries = [OmegaConf.create({"kind": {"_target_": name}}).kind for name in sorted(offered()["kind"])]
    fitting = [kind for kind in (checked_class(entry, Kind) for entry in entries) if kind.fits(signature)]
    for kind in fitting:
        if all(issubclass(kind, other) for other in fitting):
            return kind
    names = ", ".join(f"kind={kind.name}" for kind in fitting)
    raise UserError(f"these {signature.kind}s are of {names or 'no kind that there is'}: choose one with kind=…")


def _tried(optimizer: DictConfig) -> Any:
    """The optimizer's settings, bound, and refused now rather than when the run directory is already taken."""
    optimize = bind(optimizer, MakeOptimizer)
    try:
        made = optimize([torch.nn.Parameter(torch.zeros(1, device="cpu"))], 1)
    except ValueError as error:
        raise UserError(f"optimizer: {error}: give one inside its range") from error
    if not isinstance(made, tuple) or len(made) != 2 or not isinstance(made[0], torch.optim.Optimizer):
        raise UserError(
            f"optimizer._target_={optimizer._target_} gives {type(made).__name__}: "
            "return a vaelab.optimizer.base.Optimization of an optimizer and a schedule or None"
        )
    return optimize


def set_threads(threads: int | None) -> None:
    """Let torch and the linear algebra of numpy, scipy and scikit-learn use so many threads; None leaves it to them.

    Raises:
        UserError: below one, or many more than there are cores.
    """
    if threads is None:
        return
    most = MOST_THREADS * (os.cpu_count() or 1)
    if not 1 <= threads <= most:
        raise UserError(f"threads must be at least 1 and at most {most} on this machine, not {threads}")
    torch.set_num_threads(threads)
    threadpool_limits(threads)
    # That was for what is loaded; what is yet to be imported reads these.
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
