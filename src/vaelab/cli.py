"""The front desk of both doors: Hydra behind it, one line for every mistake of the user's."""

from __future__ import annotations

import atexit
import contextlib
import errno
import functools
import logging
import os
import re
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir, main
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from vaelab.config import config_dir, did_you_mean
from vaelab.errors import Interrupted, UserError
from vaelab.overrides import readable

DISK = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS),
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG),
)
# What torch says when there is no memory left, on a processor and on a GPU, and numpy of what no memory could hold.
NO_MEMORY = (
    *("can't allocate memory", "out of memory", "Maximum allowed dimension exceeded"),
    *("Storage size calculation overflowed", "array is too big", "Maximum allowed size exceeded"),
)
# Where processes that Lightning starts for other devices read when the first one began.
BEGAN = "VAELAB_BEGAN"
# How many folders named after this second other processes have, read there, too.
TAKEN = "VAELAB_TAKEN"
# Where it is set, an error in a module of the user's own ends with the whole traceback.
TRACEBACK = "VAELAB_TRACEBACK"
# Options of Hydra's that are followed by a word of their own.
WITH_VALUE = (
    *("--cfg", "-c", "--package", "-p", "--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd"),
    "--experimental-rerun",
)
UNREAD = 141  # exit status when whoever reads our output went away, as a shell gives it for SIGPIPE


def program(job: Callable[[DictConfig], Any], config_name: str) -> None:
    """`compose_and_do` as all that a process does: once everything is closed, it ends at once.

    Python would first take apart what torch and Lightning are made of, piece by piece, for more than a second.
    """
    status = 1

    def leave() -> None:
        logging.shutdown()
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            os._exit(status or UNREAD)
        except OSError as error:
            if status == 0:
                print(f"vaelab: {as_mistake(error, config_name) or error}", file=sys.stderr)
            os._exit(status or 1)
        os._exit(status)

    open_outputs()
    # Handlers run in the reverse order: those of the libraries, which are imported later, come before this one.
    atexit.register(leave)
    try:
        compose_and_do(job, config_name)
        status = 0
    except SystemExit as leaving:
        # As Python has it: nothing is 0, and words, which it prints, are 1.
        status = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
        raise


def open_outputs() -> None:
    """Standard outputs that take every text; started without one, a process has one that goes nowhere."""
    sys.stdout, sys.stderr = (out or Path(os.devnull).open("w") for out in (sys.stdout, sys.stderr))  # noqa: SIM115
    # A log that cannot be written (its reader left) is no reason for a traceback.
    logging.raiseExceptions = False
    for out in (sys.stdout, sys.stderr):
        if isinstance(out, TextIOWrapper):
            # Names of files are bytes, and need not be text in any encoding.
            out.reconfigure(errors="backslashreplace")


def compose_and_do(job: Callable[[DictConfig], Any], config_name: str) -> None:
    """Compose `configs/<config_name>.yaml` with the command line's overrides and do the job with it.

    Exit status: 0 done, 1 a mistake that the user can mend (one line says which), 130 and 143 interrupted, 141 the
    output has no reader any more.
    """
    # Hydra then hands every exception on instead of printing it in its own way.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    sys.argv[1:] = in_order(sys.argv[1:])
    register_resolvers()
    try:
        sys.argv[1:] = readable(sys.argv[1:])
        # Of the end of a sweep whose output nobody reads.
        warnings.filterwarnings("ignore", "Callback .* raised BrokenPipeError")
        main(version_base="1.3", config_path=str(config_dir()), config_name=config_name)(_reporting(job, config_name))()
    except BrokenPipeError:
        sys.exit(UNREAD)
    except Exception as error:
        mistake = as_mistake(error, config_name)
        if mistake is None:
            raise
        fail(str(mistake), mistake.status)
    except KeyboardInterrupt:
        fail("interrupted", status=130)


def in_order(words: list[str]) -> list[str]:
    """The command line's words with the overrides last, which argparse wants to stand together."""
    last = [_is_override(word, option) for word, option in zip(words, ["", *words], strict=False)]
    return [word for _, word in sorted(zip(last, words, strict=True), key=lambda pair: pair[0])]


def _is_override(word: str, option: str) -> bool:
    """Whether a word, behind this other one, is neither an option nor its value."""
    is_value = option in WITH_VALUE or (option in ("--info", "-i") and "=" not in word)
    return not word.startswith("-") and not is_value


def _reporting(job: Callable[[DictConfig], Any], config_name: str) -> Callable[[DictConfig], Any]:
    """The job, telling a mistake at once, before Hydra does; in a sweep the other jobs are then carried on."""

    @functools.wraps(job)
    def told(config: DictConfig) -> Any:
        try:
            return job(config)
        except KeyboardInterrupt:
            fail("interrupted", status=130)
        except BrokenPipeError:
            # In a sweep, too: nobody reads what the other jobs would say.
            sys.exit(UNREAD)
        except Exception as error:
            mistake = as_mistake(error, config_name) or of_own_module(error, config)
            if HydraConfig.get().mode == RunMode.MULTIRUN and not isinstance(mistake, Interrupted):
                if mistake is None:
                    traceback.print_exception(error)
                print(f"vaelab: job {HydraConfig.get().job.num} failed: {mistake or repr(error)}", file=sys.stderr)
                raise
            if mistake is None:
                raise
            discard_empty(Path(HydraConfig.get().runtime.output_dir))
            fail(str(mistake), mistake.status)

    return told


def as_mistake(error: Exception, config_name: str) -> UserError | None:
    """What the user can mend about an exception, or None: then it is ours."""
    if isinstance(error, UserError):
        return error
    if isinstance(error, HydraException | OmegaConfBaseException):
        return UserError(explain(error, config_name))
    where = _raised_in(error)
    if where == "hydra._internal.defaults_list" or (isinstance(error, TypeError) and where.startswith("hydra.")):
        return UserError("a group takes the name of one of its entries, no number and no list: --help lists them")
    if isinstance(error, ValueError) and where.startswith("omegaconf.") and "for int()" in str(error):
        return UserError("a list has no settings of its own: give it whole, as in architecture.widths=[64,64]")
    if isinstance(error, ValueError) and where.startswith("hydra."):
        return UserError(f"{' '.join(str(error).split())}: --hydra-help says how the options are used")
    full = isinstance(error, RuntimeError | ValueError) and any(words in str(error) for words in NO_MEMORY)
    if full or isinstance(error, MemoryError):
        much = re.search(r"allocate (\d[\d.]* \w+)", str(error))
        asked = f" ({much[1]} more were asked for)" if much else ""
        return UserError(f"out of memory{asked}: take a smaller dataset.batch_size, fewer items or a smaller net")
    if isinstance(error, OSError) and error.errno in DISK:
        where = error.filename or "while writing"
        return UserError(f"{error.strerror}: {where}; free some space or choose another folder")
    return None


def of_own_module(error: Exception, config: DictConfig) -> UserError | None:
    """What to tell of an exception in a module of the user's own, or of a method that a class leaves open; else None.

    Nothing where the whole traceback is asked for.
    """
    if os.environ.get(TRACEBACK):
        return None
    frames = list(traceback.walk_tb(error.__traceback__))
    said = next(iter(str(error).strip().splitlines()), "")
    own = [
        (frame, line) for frame, line in frames if _lies_in(frame.f_globals.get("__name__", ""), own_modules(config))
    ]
    if own:
        frame, line = own[-1]
        place = f"{frame.f_globals['__name__']}.{frame.f_code.co_qualname}, line {line}"
        told = ": ".join(filter(None, (type(error).__name__, said)))
        return UserError(f"{place}: {told} ({TRACEBACK}=1 shows the whole traceback)")
    if isinstance(error, NotImplementedError) and frames:
        frame = frames[-1][0]
        base, code = str(frame.f_globals.get("__name__")), frame.f_code
        owner = frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None
        found = owner if isinstance(owner, type) else type(owner)
        if re.fullmatch(r"vaelab\.\w+\.base", base):
            return UserError(f"{found.__module__}.{found.__qualname__} has no {code.co_name}: {base} says what it does")
    return None


def own_modules(config: DictConfig) -> list[str]:
    """The modules outside of vaelab whose classes a configuration names, or trusts a run to name."""
    from vaelab.config import foreign_modules

    return [*foreign_modules(config), *map(str, config.get("trust") or ())]


def _lies_in(module: str, modules: list[str]) -> bool:
    return any(f"{module}.".startswith(f"{name}.") for name in modules)


def _raised_in(error: Exception) -> str:
    """The name of the module whose code raised an exception."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return str(frames[-1].f_globals.get("__name__")) if frames else ""


def discard_empty(directory: Path) -> None:
    """Take away the folders that Hydra made for a job that then did not start, up to the current one."""
    for folder in (directory, *directory.parents):
        if folder == Path.cwd() or not folder.is_dir() or any(folder.iterdir()):
            return
        folder.rmdir()
        if Path.cwd() not in folder.parents:
            return


def fail(line: str, status: int = 1) -> None:
    """Print one line to stderr and leave."""
    with contextlib.suppress(BrokenPipeError):
        print(f"vaelab: {line}", file=sys.stderr)
    sys.exit(status)


def register_resolvers() -> None:
    """`${either:a,b}`: a if it is given, else b. `${began:FORMAT}`: when the command began, in all its processes.

    Of names that other processes took in the same second it is the next free one: `…_2`, `…_3`.
    """
    OmegaConf.register_new_resolver("either", lambda first, second: first or second, replace=True)
    if is_first_process() or BEGAN not in os.environ:
        os.environ |= {BEGAN: str(time.time()), TAKEN: "0"}
    began = time.localtime(float(os.environ[BEGAN]))

    def name(form: str) -> str:
        taken = int(os.environ[TAKEN])
        return time.strftime(form, began) + (f"_{taken + 1}" if taken else "")

    OmegaConf.register_new_resolver("began", name, replace=True)


def count_names(by: int) -> None:
    """Let `${began:…}` give names that many further on."""
    os.environ[TAKEN] = str(int(os.environ[TAKEN]) + by)


def is_first_process() -> bool:
    """With ddp every further process runs the same command again; files and words are the first one's."""
    return int(os.environ.get("LOCAL_RANK", "0")) == 0


def explain(error: Exception, config_name: str) -> str:
    """One line that says what is wrong, with the nearest right name where a name is wrong."""
    text = str(error)
    if option := re.search(r"Could not find '([^']+)'\n\nAvailable options in '([^']+)':\n(.*)", text, re.DOTALL):
        group, choices = option[2], option[3].split("Config search path")[0].split()
        word = option[1].removeprefix(f"{group}/")
        return f"there is no {group}={word}{did_you_mean(word, choices)}"
    if key := re.search(r"Could not override '([^']+)'|Key '([^']+)' is not in struct", text):
        return _unknown_key(key[1] or key[2], config_name)
    if group_match := re.search(r"Could not override '(\w+)'\.\nNo match in the defaults list", text):
        return _unknown_key(group_match[1], config_name)
    if isinstance(error, OverrideParseException):
        return f"{error.override} cannot be read: write KEY=VALUE, or 'KEY=\"VALUE\"' of a value with odd characters"
    if many := re.search(r"Ambiguous value for argument '(.*)'\n", text):
        return f"{many[1]} are several values: a list stands in [ ], a sweep over them needs --multirun"
    if missing := re.search(r"Missing mandatory value: (\S+)", text):
        return f"{missing[1]} has no value: give {missing[1]}=…"
    return " ".join(text.split("\n    full_key")[0].split())


def _unknown_key(key: str, config_name: str) -> str:
    if key.startswith("dataset.") and any(word.startswith("resume=") for word in sys.argv[1:]):
        return f"resume= takes the dataset of its run: write +{key}=… to change where it lies"
    known = _all_keys(config_name)
    if key in known:
        return f"{key} is a group: give the name of one of its entries, or one of its settings with {key}.NAME="
    return f"there is no setting {key}{did_you_mean(key, known) if known else ''}"


def _all_keys(config_name: str) -> list[str]:
    """Every key of the configuration with its groups as chosen on the command line, if these compose."""
    groups = [word for word in sys.argv[1:] if re.fullmatch(r"\w+=\w+", word)]
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        for chosen in (groups, []):
            try:
                config = compose(config_name, overrides=chosen)
            except Exception:
                continue
            return _keys(config)
    return []


def _keys(node: DictConfig, prefix: str = "") -> list[str]:
    keys = []
    for key in node:
        if not str(key).startswith("_"):
            keys.append(prefix + str(key))
            value = node._get_node(key)
            if isinstance(value, DictConfig) and not value._is_none():
                keys += _keys(value, f"{prefix}{key!s}.")
    return keys
