"""A run: its directory, its checkpoint, and the model that comes back out of it."""

from __future__ import annotations

import json
import math
import os
import platform
import shutil
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch.nn.modules.module import register_module_parameter_registration_hook

from vaelab import __version__
from vaelab.cli import is_first_process
from vaelab.config import TrainSettings, bind, build, check_settings
from vaelab.data.codecs.base import Codec
from vaelab.data.items import Signature, shape_from_plain
from vaelab.data.module import DataModule, Found
from vaelab.data.sources.base import Source
from vaelab.data.writers import whole
from vaelab.errors import TakenError, UserError
from vaelab.folder import last_checkpoint, left_at
from vaelab.memory import LARGE, WEIGHT, check_size, count_weights
from vaelab.nets.base import Architecture
from vaelab.objectives.base import Objective
from vaelab.objectives.beta_schedules import BetaSchedule
from vaelab.objectives.latents import Latent
from vaelab.objectives.likelihoods import Likelihood
from vaelab.overrides import typed
from vaelab.trust import plain_config, refuse_foreign
from vaelab.variants.base import VAE, Parts
from vaelab.variants.optimizers import MakeOptimizer

FORMAT = 1
KEY = "vaelab"
# No training that ends well has weights beyond; what a net makes of them is infinite.
NETS, HUGE = ("encoder.", "decoder."), 1e12
# Numbers that a model may need beside its weights, such as the window of a transform.
BESIDE = 2**22
# What a continued run may have changed: how long, where and with what reports, never what is learnt from what.
CHANGEABLE = (
    "resume.",
    "threads.",
    "trust.",
    "trainer.",
    "accelerator.",
    "early_stopping.",
    "report.",
    "dataset.root.",
    "dataset.file.",
)
# What a configuration has in any version of vaelab.
GROUPS = ("variant", "dataset", "architecture", "latent", "likelihood", "objective", "optimizer", "trainer")
# What Lightning restores of a checkpoint, and passes over in silence where it is not there.
RESUMED = ("state_dict", "optimizer_states", "lr_schedulers", "loops", "callbacks", "epoch", "global_step")
PACKAGES = ("torch", "torchvision", "lightning", "hydra-core", "numpy", "scipy", "librosa", "scikit-learn")


# Threads for each core: with more they only wait for one another.
MOST_THREADS = 4

# From a configuration to objects ----------------------------------------------------------------------------------


SERVED = ("batch_size", "split", "flip", "keep")


def build_source(config: DictConfig) -> Source:
    """The source of `config.dataset`: what is left of it beside the codec and how items are served."""
    dataset = config.dataset
    return build(part(dataset, [key for key in dataset if key not in (*SERVED, "codec")]), Source)


def build_codec(config: DictConfig) -> Codec:
    """The codec of `config.dataset`, not fitted yet."""
    return build(config.dataset.codec, Codec)


def part(node: DictConfig, keys: list[Any]) -> DictConfig:
    """Some settings of a node, which keep its name in what is said of them."""
    part = OmegaConf.masked_copy(node, keys)
    part._set_key(node._key())
    part._set_parent(node._get_parent())
    return part


def build_data(config: DictConfig, fitted: Codec | None = None) -> DataModule:
    """The DataModule of `config.dataset`: its source, its codec (or a run's own) and how they are served."""
    dataset = config.dataset
    served = part(dataset, [key for key in dataset if key in (*SERVED, "codec")])
    check_settings(DataModule, served)
    settings = {str(key): value for key, value in served.items() if key in SERVED}
    codec = build_codec(config) if fitted is None else fitted
    return DataModule(build_source(config), codec, seed=config.seed, fitted=fitted is not None, **settings)


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
) -> VAE:
    """The model that a configuration describes, for encoded items of this shape.

    Raises:
        UserError: if a setting is outside its range, or there is no memory for `copies` of all weights.
    """
    architecture, latent = build(config.architecture, Architecture), build(config.latent, Latent)
    own = latent.dim is None
    if own:
        latent.dim = architecture.own_code(shape)
    encoder = partial(architecture.encoder, shape, latent.heads, None if own else latent.dim)
    decoder = partial(architecture.decoder, None if own else latent.code_size, shape)
    weights = count_weights(encoder, decoder)
    check_size(copies * WEIGHT * weights, "architecture", "latent.dim")
    if weights > LARGE:
        print(f"a net of {weights:,} weights", file=sys.stderr)
    parts = Parts(
        encoder=encoder(),
        decoder=decoder(),
        latent=latent,
        likelihood=build(config.likelihood, Likelihood),
        objective=build(config.objective, Objective),
        codec=codec,
        signature=signature,
        shape=tuple(shape),
        schedule=bind(config.beta_schedule, BetaSchedule),
        optimize=_tried(config.optimizer),
        seed=config.seed,
    )
    variant = build(config.variant, VAE, parts)
    # Convolutions of pictures with the channels innermost: half as fast again on a CPU, and what tensor cores want.
    return variant.to(memory_format=torch.channels_last)


def _tried(optimizer: DictConfig) -> Any:
    """The optimizer's settings, bound, and refused now rather than when the run directory is already taken."""
    optimize = bind(optimizer, MakeOptimizer)
    try:
        optimize([torch.nn.Parameter(torch.zeros(1, device="cpu"))], 1)
    except ValueError as error:
        raise UserError(f"optimizer: {error}: give one inside its range") from error
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


# The directory ----------------------------------------------------------------------------------------------------


def refuse_taken(directory: Path) -> None:
    """Raise `TakenError` if a run lives in this directory already."""
    left = left_at(directory)
    if left is not None:
        going_on = "begin it anew as it was configured" if left == "begun" else "continue it"
        raise TakenError(
            f"{directory} already holds a run: choose another folder (hydra.run.dir, a sweep's hydra.sweep.dir), or "
            f"{going_on} with {typed('resume', directory)}"
        )


def claim(directory: Path, *, begun: bool = False) -> None:
    """Make room for a run: of one that was `begun`, and saved nothing, the course is taken away.

    Raises:
        TakenError: if another run lives there by now, which no lock has told of; nothing is touched.
    """
    if not begun:
        refuse_taken(directory)
    directory.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(directory / "tensorboard", ignore_errors=True)
    (directory / "left_out.txt").unlink(missing_ok=True)


def write_config(directory: Path, config: DictConfig) -> None:
    """Write `config.yaml`, with which the run goes on when it is resumed."""
    write_whole(directory / "config.yaml", OmegaConf.to_yaml(config))


def stored_config(directory: Path, trust: Sequence[str] = ()) -> DictConfig:
    """The configuration of the run in this directory; of its checkpoint where `config.yaml` is missing or damaged.

    Raises:
        UserError: if there is neither, the checkpoint is damaged, too, or it names what is neither vaelab's nor in a
            module that is to be trusted.
    """
    config = _read_config(directory)
    refuse_foreign(config, str(directory), trust)
    return config


def _read_config(directory: Path) -> DictConfig:
    file, checkpoint = directory / "config.yaml", last_checkpoint(directory)
    if not file.is_file() and checkpoint is None:
        raise UserError(f"{directory} holds no run (no config.yaml): give a run directory")
    try:
        return _whole_config(file.read_text(encoding="utf-8", errors="replace"), str(file))
    except (OSError, UserError) as error:
        if checkpoint is None:
            raise UserError(f"{error}; no checkpoint has a copy: start a new run") from error
        if is_first_process():
            print(f"{error}; its copy in {checkpoint} is taken")
    config = _whole_config(_read(checkpoint)[KEY]["config"], str(checkpoint))
    config.resume = None
    return config


def _whole_config(text: Any, where: str) -> DictConfig:
    """A run's configuration from its text. Raises `UserError` where something lacks that every run has."""
    config = plain_config(text, where)
    lacking = [name for name in GROUPS if name not in config]
    if lacking:
        raise UserError(f"{where}: its configuration has no {', '.join(lacking)}: it is damaged")
    return config


def reopen(directory: Path, composed: DictConfig, overrides: list[str]) -> DictConfig:
    """The configuration of a run to be continued, with what the command line changes, as `composed` has it.

    Raises:
        UserError: if no run is there, it is damaged, or what is to be changed would make it another run.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    config = stored_config(directory, composed.trust)
    for override in OverridesParser.create().parse_overrides(overrides):
        key, value = override.key_or_group, override.value()
        group = isinstance(value, str) and isinstance(composed.get(key), DictConfig)
        node = isinstance(OmegaConf.select(config, key), DictConfig)
        if not f"{key}.".startswith(CHANGEABLE) or (node and not group):
            raise UserError(f"resume= continues a run as it was configured; {key}={value} needs a new run")
        OmegaConf.update(config, key, composed[key] if group else value, merge=not group)
    return config


def check_whole(directory: Path) -> None:
    """Raise `UserError`, with the remedy, if a checkpoint of this run's is damaged."""
    last, best = (directory / "checkpoints" / f"{name}.ckpt" for name in ("last", "best"))
    anew = "take it away, and resume= begins the run anew"
    remedies = {
        last: "take it away, and resume= goes on from best.ckpt" if best.is_file() else anew,
        best: "put a copy of last.ckpt in its place, and resume= goes on" if last.is_file() else anew,
    }
    for file, remedy in remedies.items():
        if file.is_file():
            try:
                lacking = [name for name in RESUMED if name not in _read(file)]
            except UserError as error:
                raise UserError(f"{error}; {remedy}") from error
            if lacking:
                raise UserError(f"{file} is damaged: it has no {lacking[0]}; {remedy}")


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file whole or not at all; what is no finite number in it is null."""
    write_whole(path, json.dumps(_finite(content), indent=2, allow_nan=False) + "\n")


def _finite(content: Any) -> Any:
    """The same, but null for NaN and the infinities, which JSON has not."""
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    with whole(path) as part:
        part.write_text(text, encoding="utf-8")


def provenance(config: DictConfig, found: Found, overrides: list[str] | None) -> dict[str, Any]:
    """What made this run: versions, commit, data, command, what it changed, seed, hardware."""
    return {
        "vaelab": __version__,
        "git_commit": _git_commit(),
        "packages": {name: _version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "overrides": overrides,
        "seed": config.seed,
        "data": {"fingerprint": found.fingerprint, "items": found.counts, "shape": list(found.shape)},
        "hardware": {
            "machine": platform.machine(),
            "cpus": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
    }


@cache
def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@cache
def _git_commit() -> str | None:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None


# The checkpoint ---------------------------------------------------------------------------------------------------


def checkpoint_entry(config: DictConfig, variant: VAE) -> dict[str, Any]:
    """What a checkpoint holds beside weights, in plain types, so that it needs nothing else."""
    return {
        "format": FORMAT,
        "version": __version__,
        "config": OmegaConf.to_yaml(config, resolve=True),
        "signature": asdict(variant.signature),
        "shape": list(variant.shape),
    }


@dataclass
class Run:
    """A trained model and where it came from.

    `directory` is the run directory, or the checkpoint's folder if it stands alone.
    """

    directory: Path
    checkpoint: Path
    config: DictConfig
    variant: VAE

    _data: DataModule | None = None

    @property
    def signature(self) -> Signature:
        """What the model remembers of its data."""
        return self.variant.signature

    def data(self) -> DataModule:
        """The data that the model was trained on, read again, with the codec as it was fitted then.

        Raises:
            UserError: if they are no longer there, or no longer the same shape.
        """
        if self._data is None:
            data = build_data(self.config, self.variant.codec)
            found = data.prepare()
            if tuple(found.shape) != self.variant.shape:
                raise UserError(
                    f"the data are now of shape {found.shape}, the model was trained on {self.variant.shape}: "
                    "give back the data that the run was trained on"
                )
            self._data = data
        return self._data


def load_run(path: str | Path, device: str = "cpu", trust: Sequence[str] = ()) -> Run:
    """The run in a directory (its best checkpoint) or of one checkpoint file.

    Only plain types and tensors are read, and only what vaelab's entries offer is built, or classes of the modules that
    `trust` names: a checkpoint runs no code of its own. No file that it names is opened before `Run.data`.

    Raises:
        UserError: if there is no checkpoint, it is not one of ours, names something else, or its weights are no
            numbers.
    """
    checkpoint = _find_checkpoint(Path(path).expanduser())
    content = _read(checkpoint)
    entry, weights = content[KEY], content["state_dict"]
    config = _whole_config(entry["config"], str(checkpoint))
    refuse_foreign(config, str(checkpoint), trust)
    try:
        signature, shape = Signature.from_plain(entry["signature"]), shape_from_plain(entry["shape"])
        check_settings(TrainSettings, config)
        _check_fit(config, signature, shape, weights)
        variant = build_variant(config, build_codec(config), signature, shape)
        variant.load_state_dict(weights)
    except UserError as error:
        raise UserError(f"{checkpoint}: {error}") from error
    except Exception as error:  # whatever a damaged or foreign content leads to
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise UserError(
            f"{checkpoint} was written by vaelab {entry['version']} and does not fit this one ({reason}): install that"
        ) from error
    directory = checkpoint.parent.parent if checkpoint.parent.name == "checkpoints" else checkpoint.parent
    return Run(directory, checkpoint, config, variant.to(device).eval())


def _check_fit(config: DictConfig, signature: Signature, shape: tuple[int, ...], weights: dict[str, Tensor]) -> None:
    """Build the model without memory for its numbers, and hold it against the weights that a checkpoint has.

    Raises:
        ValueError: if it would have other weights.
        UserError: if it would take much more memory than these.
    """
    # Nets are made twice: first to be counted.
    with torch.device("meta"), _at_most(2 * len(weights)):
        variant = build_variant(config, build_codec(config), signature, shape)
    asked = {name: tuple(value.shape) for name, value in variant.state_dict().items()}
    given = {name: tuple(value.shape) for name, value in weights.items()}
    for name in [*asked, *given]:
        if asked.get(name) != given.get(name):
            words = (f"{what.get(name, 'none')}" for what in (asked, given))
            raise ValueError("{} should have the shape {} and has {}".format(name, *words))
    held = sum(value.numel() for value in weights.values())
    if sum(value.numel() for value in (*variant.parameters(), *variant.buffers())) > held + BESIDE:
        raise UserError("its configuration asks for more memory than its weights take")


@contextmanager
def _at_most(count: int) -> Iterator[None]:
    """Inside, nets of more parameters than these are refused as they are made, however many they would have."""
    made = 0

    def another(*_: Any) -> None:
        nonlocal made
        made += 1
        if made > count:
            raise UserError("its configuration asks for more weights than it holds")

    hook = register_module_parameter_registration_hook(another)
    try:
        yield
    finally:
        hook.remove()


def _find_checkpoint(path: Path) -> Path:
    if path.is_file():
        return path
    if not path.exists():
        raise UserError(f"there is no run {path}: give a run directory or a checkpoint, as outputs/train/… holds")
    for name in ("best.ckpt", "last.ckpt"):
        if (path / "checkpoints" / name).is_file():
            return path / "checkpoints" / name
    raise UserError(f"{path} holds no checkpoint (checkpoints/best.ckpt): has its training finished an epoch?")


def _read(checkpoint: Path) -> dict[str, Any]:
    """What a checkpoint of ours holds; its entry has all its parts, and its weights are finite numbers."""
    try:
        _check_archive(checkpoint)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes make the unpickler fail in every way there is
        raise UserError(
            f"{checkpoint} cannot be read as a checkpoint ({type(error).__name__}): it is damaged, not a checkpoint, "
            "or holds more than plain data"
        ) from error
    entry = content.get(KEY) if isinstance(content, dict) else None
    if not isinstance(entry, dict) or not {"format", "version"} <= set(entry):
        raise UserError(f"{checkpoint} is not a checkpoint of vaelab: give one that vaelab-train wrote")
    if entry["format"] != FORMAT:
        raise UserError(
            f"{checkpoint} was written by vaelab {str(entry['version'])[:20]} in format {str(entry['format'])[:20]}; "
            f"this is {__version__} with format {FORMAT}: install the version that wrote it"
        )
    _check_content(checkpoint, content)
    return content


def _check_archive(checkpoint: Path) -> None:
    """Refuse an archive that would unpack to more than the file is long. Raises `ValueError`."""
    with zipfile.ZipFile(checkpoint) as archive:
        members = archive.infolist()
    packed = any(member.compress_type != zipfile.ZIP_STORED for member in members)
    if packed or sum(member.file_size for member in members) > checkpoint.stat().st_size:
        raise ValueError("packed")


def _check_content(checkpoint: Path, content: dict[str, Any]) -> None:
    missing = {"config", "signature", "shape"} - set(content[KEY])
    weights = content.get("state_dict")
    if missing or not isinstance(weights, dict) or not all(map(_is_weight, weights.items())):
        raise UserError(f"{checkpoint} lacks {', '.join(sorted(missing)) or 'weights'}: it is damaged")
    for name, value in weights.items():
        if not value.isfinite().all():
            raise UserError(f"{checkpoint}: its weights {name} hold NaN or infinity: take a checkpoint from before")
        if name.startswith(NETS) and value.numel() and value.abs().max() > HUGE:
            raise UserError(f"{checkpoint}: its weights {name} are beyond {HUGE:g}: it is damaged")


def _is_weight(item: tuple[Any, Any]) -> bool:
    name, value = item
    if not isinstance(name, str) or not isinstance(value, Tensor) or value.is_complex() or value.is_quantized:
        return False
    plain = value.device.type == "cpu" and value.layout == torch.strided
    # A view can be of any size: as many numbers must lie in the file.
    return plain and value.untyped_storage().nbytes() >= value.numel() * value.element_size()
