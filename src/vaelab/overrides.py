"""The words of a command line as the user typed them, made such that Hydra reads them as they were meant."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException

from vaelab.errors import UserError

# The last parts of the keys whose values are files and folders.
PATHS = ("root", "file", "files", "templates", "run", "resume", "out", "dir")


def readable(words: list[str]) -> list[str]:
    """The words of a command line, overrides first, each as Hydra's grammar reads it.

    A value that the grammar does not know (an umlaut, a `~`, a bracket in the name of a file) is quoted, and so is one
    that names a file or folder, whatever else it could mean.

    Raises:
        UserError: for an option that there is not.
    """
    parser = get_args_parser()
    # argparse itself would tell how the program is used, and of overrides behind an option that they are unknown.
    parser.error = _refuse  # type: ignore[assignment]
    options, unknown = parser.parse_known_intermixed_args(words)
    if unknown:
        _refuse(f"there is no option {unknown[0]}")
    if options.experimental_rerun is not None:
        raise UserError("--experimental-rerun is not offered: a run's words stand in its provenance.json")
    others = list(words)
    for word in options.overrides:
        others.remove(word)
    return [*(as_meant(word, swept=options.multirun) for word in options.overrides), *others]


def _refuse(message: str) -> None:
    raise UserError(f"{message}: --hydra-help lists the options")


def as_meant(word: str, *, swept: bool = False) -> str:
    """An override as Hydra's grammar reads it; `swept`: commas part the values of a sweep."""
    key, equals, value = word.partition("=")
    if not equals:
        return word
    # Hydra's own settings are the same in all jobs.
    swept = swept and not key.startswith("hydra.")
    if key.rpartition(".")[2] in PATHS:
        value = os.path.expanduser(value)  # noqa: PTH111 - else `a//b/` would not be what was typed
        word = f"{key}={value}"
        if _is_path(_read(word), value, swept):
            return f"{key}={quoted(value)}"
    if _read(word) is not None:
        return word
    tries = [f"{key}={_each(value)}"] if swept else []
    if re.fullmatch(r"\[[^\[{]*\]", value):
        tries.append(f"{key}=[{_each(value[1:-1])}]")
    tries.append(f"{key}={quoted(value)}")
    return next((tried for tried in tries if _read(tried) is not None), word)


def _is_path(read: Override | None, value: str, swept: bool) -> bool:
    """Whether a value that Hydra reads so, and not as this text, is the name of a file or folder all the same."""
    if read is None or read.is_sweep_override():
        # A file that is yet to be made may have a comma, too.
        is_choice = read is not None and not re.match(r"\w+\(|\[|['\"]", value)
        return not swept and (is_choice or _is_there(value))
    # Numbers may be years, and a text may be in quotation marks already.
    meant = read.value()
    is_number = isinstance(meant, int | float) and not isinstance(meant, bool)
    return is_number or (meant != value and _is_there(value))


def quoted(value: str) -> str:
    """A value in the quotation marks that Hydra takes off again."""
    return QuotedString(value, Quote.single).with_quotes()


def _each(values: str) -> str:
    """Values between commas, those quoted that need it."""
    parts = (part.strip() for part in values.split(","))
    return ",".join(part if _read(f"key={part}") is not None else quoted(part) for part in parts)


def _read(word: str) -> Override | None:
    try:
        return OverridesParser.create().parse_override(word)
    except HydraException:
        return None


def _is_there(value: str) -> bool:
    try:
        return bool(value) and Path(value).expanduser().exists()
    except (OSError, ValueError, RuntimeError):
        return False


def typed(key: str, value: object) -> str:
    """`key=value` as it can be pasted into a shell, whatever stands in the name of a folder."""
    return shlex.quote(f"{key}={value}")
