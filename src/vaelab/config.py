"""Configurations: where they lie, how they become objects, and how a mistake in one is told."""

from __future__ import annotations

import functools
import inspect
import pkgutil
import sys
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, Union, cast

from omegaconf import DictConfig, ListConfig, OmegaConf

from vaelab.errors import UserError

# The square of every number is one in 32 bits, and a whole one in 64; and what numpy takes for a seed.
LARGEST, SEEDS = 10**18, 2**32
CHOOSE = "choose an entry of the group, or name a class of your own that does what is asked"
# Modules whose classes a plain value may stand for: a path is a text.
PLAIN_CLASSES = ("builtins", "pathlib", "typing")
# What every protocol has of itself.
OF_PROTOCOLS = ("__init__", "__subclasshook__")
# What a class must bring itself, by the interface that it is derived from; all the rest may be left as it is there.
BROUGHT = {
    "vaelab.architecture.base.Architecture": ("encoder", "decoder"),
    "vaelab.codec.base.Codec": ("encode", "decode"),
    "vaelab.kind.base.Kind": ("fits",),
    "vaelab.latent.base.Latent": ("posterior", "prior_sample"),
    "vaelab.likelihood.base.Likelihood": ("log_prob", "sample"),
    "vaelab.objective.base.Objective": ("__call__",),
    "vaelab.variant.base.Method": ("nets", "step", "told", "validation_step"),
}

T = TypeVar("T")


@dataclass
class TrainSettings:
    """What `configs/train.yaml` holds beside what Hydra builds: names and types of the plain settings."""

    variant: dict[str, Any]
    kind: dict[str, Any]
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
    trust: list[str]
    monitor: str | None


@dataclass
class Report:
    """`report` in `configs/train.yaml`."""

    every_epochs: int | None
    test_items: int
    figures: bool | None
    rank: str | None


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
    trust: list[str]


def config_dir() -> Path:
    """The folder of configurations: inside the installed package, else beside `src/` in a checkout."""
    package = Path(__file__).parent
    shipped = package / "configs"
    return shipped if shipped.is_dir() else package.parents[1] / "configs"


def build(config: DictConfig, interface: type[T], *args: Any, **kwargs: Any) -> T:
    """The object that a configuration node names, made by Hydra after its target and settings were checked.

    Raises:
        UserError: for a node without a target, or one that does not implement `interface`, an unknown setting, one of
            the wrong type, or one that the object itself refuses.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    _check_object(config, interface)
    try:
        return cast("T", instantiate(config, *args, _convert_="all", **kwargs))
    except InstantiationException as error:
        # Hydra wraps what a constructor refuses, once for each node on the way to it.
        cause: BaseException | None = error
        while isinstance(cause, InstantiationException):
            cause = cause.__cause__
        if isinstance(cause, UserError):
            raise cause from None
        raise


def bind(config: DictConfig, interface: type[T]) -> T:
    """The function that a configuration node names, with its settings bound.

    `interface` is a protocol of a call, whose parameters are the function's first ones.

    Raises:
        UserError: as `build`, and for a node that does not say `_partial_: true`.
    """
    place = _place(config)
    function, asked = find_target(config), _parameters(interface.__call__)[1:]
    if not _takes(function, asked):
        raise UserError(f"{place}._target_={config._target_} is no function of ({', '.join(asked)}): {CHOOSE}")
    if config.get("_partial_") is not True:
        raise UserError(f"{place} names a function, whose settings are bound: give {place}._partial_=true")
    check_settings(function, config)
    settings = {key: value for key, value in _plain(config).items() if not key.startswith("_")}
    # Hydra's own partial asks its policy anew at every call, which takes longer than a schedule.
    return cast("T", functools.partial(function, **settings))


def checked_class(node: DictConfig, interface: type[T]) -> type[T]:
    """The class that a node names. Raises `UserError` if it does not implement the interface."""
    target: Any = find_target(node)
    where = f"{_place(node)}._target_={node._target_}"
    if not implements(target, interface):
        raise UserError(f"{where} is no class of the interface {_name(interface)}: {CHOOSE}")
    check_methods(target, interface, where)
    return cast("type[T]", target)


def check_methods(found: type, interface: type, where: str) -> None:
    """Check that a class brings the methods that its interface leaves open, and that all of them take what is given.

    Raises:
        UserError: naming the method and what it takes.
    """
    for name in BROUGHT.get(_name(interface), ()):
        if _inherited(found, interface, name):
            asked = inspect.getattr_static(interface, name)
            words = f"{name}{_words_of(asked, name)}"
            raise UserError(f"{where} has no {words}: {interface.__module__} says what it does")
    for name, asked in vars(interface).items():
        if (name.startswith("_") and name != "__call__") or _inherited(found, interface, name):
            continue
        own = inspect.getattr_static(found, name)
        if isinstance(asked, classmethod) and not isinstance(own, classmethod | staticmethod):
            raise UserError(f"{where}: {name} is asked of the class: write @classmethod above it")
        if isinstance(asked, classmethod) or inspect.isfunction(asked):
            _check_call(getattr(own, "__func__", own), getattr(asked, "__func__", asked), f"{where}: {name}")


def _inherited(found: type, interface: type, name: str) -> bool:
    """Whether a class has of this name just what the interface has."""
    return inspect.getattr_static(found, name) is inspect.getattr_static(interface, name)


def _check_call(own: Any, asked: Any, where: str) -> None:
    """Check that a function can be called as another one is. Raises `UserError`."""
    given = list(inspect.signature(asked).parameters.values())
    if not inspect.isfunction(own) or any(one.kind is one.VAR_POSITIONAL for one in given):
        return
    try:
        inspect.signature(own).bind(
            *(one.name for one in given if one.default is one.empty and one.kind is not one.KEYWORD_ONLY),
            **{one.name: None for one in given if one.default is not one.empty or one.kind is one.KEYWORD_ONLY},
        )
    except TypeError:
        raise UserError(f"{where} must take {_words_of(asked, '')}, and takes {_words_of(own, '')}") from None


def _words_of(function: Any, name: str) -> str:
    """What a method takes, in words: its parameters without `self` and their types."""
    if name == "validation_step":
        return "(batch, batch_idx)"
    return f"({', '.join(_parameters(getattr(function, '__func__', function))[1:])})"


def _plain(config: DictConfig) -> dict[str, Any]:
    return cast("dict[str, Any]", OmegaConf.to_object(config))


def _place(node: DictConfig) -> str:
    return str(node._get_full_key(None)) or "this node"


def _check_object(node: DictConfig, interface: type) -> None:
    """Check what a node, and those below it that are objects, name, and their settings. Raises `UserError`."""
    place = _place(node)
    target: Any = checked_class(node, interface)
    for key in map(str, node):
        if key.startswith("_") and key != "_target_":
            raise UserError(f"there is no setting {place}.{key}: {place} is an object, with its settings by name")
    check_settings(target, node)
    hints = _hints(target.__init__)
    for key, value in ((str(key), value) for key, value in node.items()):
        hint = hints.get(key)
        if isinstance(value, DictConfig) and "_target_" in value and _is_interface(hint):
            _check_object(value, cast("type", hint))
        elif _holds_target(value):
            raise UserError(f"{node._get_full_key(key)} takes plain values, no object")


def foreign_modules(config: DictConfig) -> list[str]:
    """The modules outside of vaelab that a configuration names classes of: what `trust` must name to use it again."""
    targets = {str(node.get("_target_", "vaelab")) for _, node in nodes_of(OmegaConf.to_container(config), "")}
    return sorted({target.rpartition(".")[0] for target in targets if not f"{target}.".startswith("vaelab.")})


def nodes_of(node: Any, place: str) -> Iterator[tuple[str, dict[Any, Any]]]:
    """Every mapping below a plain node, with its place; those in a list stand under their number."""
    if isinstance(node, dict):
        yield place, node
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in children:
        yield from nodes_of(value, f"{place}.{key}" if place else str(key))


def find_target(node: DictConfig) -> Any:
    """The class or function that a node names, which imports its module; own modules may lie in the current folder.

    Raises:
        UserError: if there is no name, or nothing of that name.
    """
    place = _place(node)
    name = node.get("_target_")
    if not isinstance(name, str):
        raise UserError(f"{place} has no _target_: choose an entry of the group")
    here = str(Path.cwd())
    if not name.startswith("vaelab.") and here not in sys.path:
        sys.path.append(here)
    try:
        return pkgutil.resolve_name(name)
    except Exception as error:  # the user's own module may fail in every way there is
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise UserError(f"{place}._target_={name} cannot be found: {reason}") from error


def implements(target: Any, interface: type) -> bool:
    """Whether an object is a class of the interface: derived from it, or of a protocol, with its methods."""
    if not inspect.isclass(target) or inspect.isabstract(target) or target is interface:
        return False
    if not getattr(interface, "_is_protocol", False):
        return issubclass(target, interface)
    methods = {name: m for name, m in vars(interface).items() if inspect.isfunction(m) and name not in OF_PROTOCOLS}
    return all(_takes(getattr(target, name, None), _parameters(method)[1:], 1) for name, method in methods.items())


def _takes(function: Any, asked: list[str], skipped: int = 0) -> bool:
    """Whether it is a function that begins, after the skipped ones, with these parameters."""
    return inspect.isfunction(function) and _parameters(function)[skipped : skipped + len(asked)] == asked


def _parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


def _holds_target(value: Any) -> bool:
    """Whether a setting holds a target at any depth."""
    if isinstance(value, DictConfig):
        return "_target_" in value or any(_holds_target(value._get_node(key)) for key in value)
    return isinstance(value, ListConfig) and any(_holds_target(item) for item in value)


def _hints(function: Any) -> dict[str, Any]:
    """The types of a function's parameters; none of a user's own whose types cannot be looked up."""
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError):
        return {}


def _is_foreign(hint: Any) -> bool:
    """Whether a hint is a class of another library, which no plain value is of."""
    return inspect.isclass(hint) and hint.__module__ not in PLAIN_CLASSES and not _is_interface(hint)


def _is_interface(hint: Any) -> bool:
    return inspect.isclass(hint) and hint.__module__.startswith("vaelab.")


def _name(interface: type) -> str:
    return f"{interface.__module__}.{interface.__qualname__}"


def check_settings(target: Any, node: DictConfig) -> None:
    """Check the names and types of a node's settings against what a class or function takes.

    Raises:
        UserError: naming the setting.
    """
    function = target.__init__ if inspect.isclass(target) else target
    hints = _hints(function)
    known = list(inspect.signature(target).parameters)
    for key, value in node.items():
        full = node._get_full_key(key)
        if str(key).startswith("_"):
            continue
        if key not in known:
            none = "" if known else f": {target.__name__} takes none; is @dataclass missing above it?"
            raise UserError(f"there is no setting {full}{did_you_mean(str(key), known)}{none}")
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
    # An object is described by the settings that it is built from.
    if _is_interface(hint):
        return isinstance(value, dict)
    if _is_foreign(hint):
        return isinstance(value, hint)
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
        # Objects of other libraries cannot be given on a command line.
        given = [option for option in arguments if not _is_foreign(option)]
        return " or ".join(_words(option) for option in given)
    if origin is typing.Literal:
        return "one of " + ", ".join(map(str, arguments))
    if origin is dict or _is_interface(hint):
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
