"""What a configuration that comes from a file may hold, and which classes it may name.

The configuration of a checkpoint, or of a run directory, may be a stranger's. It is plain data: no references, nothing
that is looked up elsewhere. What it names is what vaelab's own entries offer in that place, or lies in a module that
the user trusts by name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from vaelab.config import config_dir, nodes_of
from vaelab.errors import UserError

# A configuration has some 3,000 characters; one that names a thousand classes of a dataset has more.
LONGEST, DEEPEST = 2**18, 16
KEYS = ("_target_", "_partial_")


def plain_config(text: Any, where: str) -> DictConfig:
    """The configuration in a YAML text from the file `where`.

    Raises:
        UserError: if it is no mapping, too long or too deep, refers to itself, or asks for what lies outside of it.
    """
    if not isinstance(text, str) or len(text) > LONGEST:
        raise UserError(f"{where} holds no configuration (a text of at most {LONGEST:,} characters): it is damaged")
    try:
        for reason in _not_plain(text):
            raise UserError(f"{where}: its configuration {reason}, which vaelab never writes: it is not used")
        config = OmegaConf.create(text)
    except (yaml.YAMLError, ValueError, RecursionError, AssertionError) as error:
        raise UserError(f"{where}: its configuration is damaged ({_first_line(error)})") from error
    if not isinstance(config, DictConfig):
        raise UserError(f"{where} holds no configuration (a mapping of settings): it is damaged")
    return config


def _not_plain(text: str) -> Iterator[str]:
    """What makes a YAML text more than plain data. Looked for before anything is built of it."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            yield "refers to itself"
        if getattr(event, "tag", None) not in (None, "!"):
            yield f"holds an object ({event.tag})"
        if isinstance(event, yaml.ScalarEvent) and "${" in event.value:
            yield f"asks for what lies outside of it ({event.value[:60]})"
        if depth > DEEPEST:
            yield "is nested too deeply"


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def refuse_foreign(config: DictConfig, where: str, trust: Sequence[str] = ()) -> None:
    """Refuse a configuration that names anything but what vaelab's entries offer in that place.

    `trust` names modules whose classes are allowed as well.

    Raises:
        UserError: naming the place, and how to allow it.
    """
    for place, node in nodes_of(OmegaConf.to_container(config, resolve=False), ""):
        for key in node:
            if str(key).startswith("_") and key not in KEYS:
                raise UserError(f"{where}: {place}.{key} is no setting, and is not used")
        target = node.get("_target_")
        if target is None or target in offered().get(place, ()):
            continue
        module = str(target).rpartition(".")[0]
        own = f"{module}.".startswith("vaelab.")
        if own or not any(f"{module}.".startswith(f"{name}.") for name in trust):
            remedy = "it is damaged, or made by hand" if own else f"if you trust who wrote it, add trust=[{module}]"
            raise UserError(f"{where} names {place}._target_={target}, which vaelab does not offer there: {remedy}")


@cache
def offered() -> Mapping[str, frozenset[str]]:
    """The targets of vaelab's own entries by their place in the configuration, such as `dataset.codec`."""
    targets: dict[str, set[str]] = defaultdict(set)
    for file in config_dir().glob("*/*.yaml"):
        try:
            content = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (yaml.YAMLError, ValueError) as error:
            raise UserError(f"{file} is no YAML: {' '.join(str(error).split())}") from error
        for place, node in nodes_of(content, file.parent.name):
            if "_target_" in node:
                targets[place].add(node["_target_"])
    return {place: frozenset(named) for place, named in targets.items()}
