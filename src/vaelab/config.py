"""Configurations: where they lie, how they become objects, and how a mistake in one is told."""

from __future__ import annotations

import functools
import inspect
import types
import typing
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Union

from omegaconf import DictConfig, ListConfig, OmegaConf

from vaelab.errors import UserError

# The square of every number is one in 32 bits, and a whole one in 64; and what numpy takes for a seed.
LARGEST, SEEDS = 10**18, 2**32
# Where objects that a checkpoint names may come from: a checkpoint must not be able to run anything else.
ROOMS = ("vaelab.data.", "vaelab.nets.", "vaelab.objectives.", "vaelab.variants.", "vaelab.tasks.")


@dataclass
class TrainSettings:
    """What `configs/train.yaml` holds beside what Hydra builds: names and types of the plain settings."""

    variant: dict[str, Any]
    dataset: dict[str, Any]
    architecture: dict[str, Any]
    latent: dict[str, Any]
    likelihood: dict[str, Any]
    objective: dict[str, Any]
    beta_schedule: dict[str, Any]
    optimizer: dict[str, Any]
    accelerator: dict[str, Any]
    trainer: dict[str, Any]
    early_stopping: dict[str, Any]
    report: dict[str, Any]
    seed: int
    threads: int | None
    resume: str | None


@dataclass
class Report:
    """`report` in `configs/train.yaml`."""

    every_epochs: int | None
    test_items: int
    figures: bool | None


@dataclass
class EarlyStop:
    """`early_stopping` in `configs/train.yaml`."""

    patience: int | None


@dataclass
class SampleSettings:
    """What `configs/sample.yaml` holds."""

    task: dict[str, Any]
    run: str
    out: str | None
    device: str
    threads: int | None


def config_dir() -> Path:
    """The folder of configurations: inside the installed package, else beside `src/` in a checkout."""
    package = Path(__file__).parent
    shipped = package / "configs"
    return shipped if shipped.is_dir() else package.parents[1] / "configs"


def build(config: DictConfig, *args: Any, **kwargs: Any) -> Any:
    """The object that a configuration node names, made by Hydra after its settings were checked.

    Raises:
        UserError: for a node without a target, or one outside of vaelab's rooms, an unknown setting, one of the wrong
            type, or one that the object itself refuses.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    check_targets(config)
    if "_target_" not in config:
        raise UserError(f"{config._get_full_key(None)} has no _target_: choose an entry of the group")
    if config.get("_partial_"):
        # Hydra's own partial asks its policy anew at every call, which takes longer than a schedule.
        settings = {key: value for key, value in _plain(config).items() if not key.startswith("_")}
        return functools.partial(_target(config._target_, ""), *args, **settings, **kwargs)
    try:
        return instantiate(config, *args, _convert_="all", **kwargs)
    except InstantiationException as error:
        # Hydra wraps what a constructor refuses, once for each node on the way to it.
        cause: BaseException | None = error
        while isinstance(cause, InstantiationException):
            cause = cause.__cause__
        if isinstance(cause, UserError):
            raise cause from None
        raise


def _plain(config: DictConfig) -> dict[str, Any]:
    return typing.cast("dict[str, Any]", OmegaConf.to_object(config))


def check_targets(node: Any, path: str = "") -> None:
    """Check every `_target_` below a node, and the types of the settings beside it.

    Raises:
        UserError: naming the setting by its path.
    """
    if isinstance(node, ListConfig):
        for item in node:
            check_targets(item, path)
    elif isinstance(node, DictConfig):
        for key in node:
            check_targets(node[key], f"{path}.{key!s}" if path else str(key))
        if "_target_" in node:
            check_settings(_target(node._target_, path), node)


def _target(name: str, path: str) -> Any:
    from hydra.utils import get_object

    outside = UserError(f"_target_={name} lies outside of vaelab's rooms and is not run")
    # Looking for an object imports its module, and an import runs code.
    if not str(name).startswith(ROOMS):
        raise outside
    try:
        found = get_object(name)
    except Exception as error:
        raise UserError(f"{path}._target_={name} cannot be found: {str(error).splitlines()[0]}") from error
    # The object's own home counts, not only the way to it: vaelab.data.loader.torch.load must not pass.
    if not (getattr(found, "__module__", None) or "").startswith(ROOMS):
        raise outside
    return found


def check_settings(target: Any, node: DictConfig) -> None:
    """Check the names and types of a node's settings against what a class or function takes.

    Raises:
        UserError: naming the setting.
    """
    function = target.__init__ if inspect.isclass(target) else target
    hints = typing.get_type_hints(function)
    known = list(inspect.signature(target).parameters)
    for key, value in node.items():
        full = node._get_full_key(key)
        if str(key).startswith("_"):
            if key == "_partial_" and (inspect.isclass(target) or value is not True):
                raise UserError(f"{full}={value} is not for a command line: leave it as its entry has it")
            continue
        if key not in known:
            raise UserError(f"there is no setting {full}{did_you_mean(str(key), known)}")
        plain = OmegaConf.to_object(value) if OmegaConf.is_config(value) else value
        if any(isinstance(number, int | float) and abs(number) >= LARGEST for number in _flat(plain)):
            raise UserError(f"{full}={plain} is too large: give a number below 10^18")
        if key == "seed" and isinstance(plain, int) and not 0 <= plain < SEEDS:
            raise UserError(f"{full} must lie between 0 and {SEEDS - 1}, not {plain}")
        if key in hints and not _fits(plain, hints[key]):
            raise UserError(f"{full}={'null' if plain is None else plain} is not {_words(hints[key])}")


def _flat(value: Any) -> list[Any]:
    return [number for item in value for number in _flat(item)] if isinstance(value, list) else [value]


def _fits(value: Any, hint: Any) -> bool:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, option) for option in arguments)
    if origin is typing.Literal:
        return value in arguments
    if origin is dict:
        return isinstance(value, dict)
    if origin is tuple and isinstance(value, list):
        return len(value) == len(arguments) and all(map(_fits, value, arguments))
    if isinstance(origin, type) and isinstance(value, list) and issubclass(list, origin):
        return not arguments or all(_fits(item, arguments[0]) for item in value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and value == value
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint in (str, bool, type(None)):
        return isinstance(value, hint)
    # An object of vaelab's is described by the settings that it is built from.
    if getattr(hint, "__module__", "").startswith(ROOMS):
        return isinstance(value, dict)
    return origin is None and hint not in (list, tuple)


def _words(hint: Any) -> str:
    names = {
        int: "a whole number",
        float: "a number",
        str: "a text",
        bool: "true or false",
        type(None): "null",
    }
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(_words(option) for option in arguments)
    if origin is typing.Literal:
        return "one of " + ", ".join(map(str, arguments))
    if origin is dict or getattr(hint, "__module__", "").startswith(ROOMS):
        return "a group of settings: change one of them"
    if origin is tuple:
        return f"a list of {len(arguments)}, each {_words(arguments[0])}"
    if arguments and isinstance(origin, type) and issubclass(list, origin):
        return f"a list, each {_words(arguments[0])}"
    return names.get(hint, "of a type that it can take")


def did_you_mean(word: str, known: list[str]) -> str:
    """«: did you mean X?», or the choices where none is near."""
    near = get_close_matches(word, known, n=1, cutoff=0.5)
    if near:
        return f": did you mean {near[0]}?"
    return f": there are {', '.join(sorted(known))}" if known else ""
