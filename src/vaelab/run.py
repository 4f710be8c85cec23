"""A run: its directory, its checkpoint, and the model that comes back out of it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import warnings
from dataclasses import asdict, dataclass
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from threadpoolctl import threadpool_limits

from vaelab import __version__
from vaelab.config import build, check_settings
from vaelab.data.codecs.base import Codec
from vaelab.data.items import Signature
from vaelab.data.module import DataModule, Found
from vaelab.data.sources.base import Source
from vaelab.data.writers import whole
from vaelab.errors import TakenError, UserError
from vaelab.memory import LARGE, WEIGHT, check_size, count_weights
from vaelab.overrides import typed
from vaelab.variants.base import VAE, Parts

FORMAT = 1
KEY = "vaelab"
# What a continued run may have changed: how long, where and with what reports, never what is learnt from what.
CHANGEABLE = (
    "resume.",
    "threads.",
    "trainer.",
    "accelerator.",
    "early_stopping.",
    "report.",
    "dataset.root.",
    "dataset.file.",
)
PACKAGES = ("torch", "torchvision", "lightning", "hydra-core", "numpy", "scipy", "librosa", "scikit-learn")


MOST_THREADS = 4096

# From a configuration to objects ----------------------------------------------------------------------------------


SERVED = ("batch_size", "split", "flip", "keep")


def build_source(config: DictConfig) -> Source:
    """The source of `config.dataset`: what is left of it beside the codec and how items are served."""
    dataset = config.dataset
    return build(part(dataset, [key for key in dataset if key not in (*SERVED, "codec")]))


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
    codec = build(dataset.codec) if fitted is None else fitted
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
    architecture, latent = build(config.architecture), build(config.latent)
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
        likelihood=build(config.likelihood),
        objective=build(config.objective),
        codec=codec,
        signature=signature,
        shape=tuple(shape),
        schedule=build(config.beta_schedule),
        optimize=_tried(config.optimizer),
        seed=config.seed,
    )
    variant: VAE = build(config.variant, parts)
    # Convolutions of pictures with the channels innermost: half as fast again on a CPU, and what tensor cores want.
    return variant.to(memory_format=torch.channels_last)


def _tried(optimizer: DictConfig) -> Any:
    """The optimizer's settings, bound, and refused now rather than when the run directory is already taken."""
    optimize = build(optimizer)
    try:
        optimize([torch.nn.Parameter(torch.zeros(1))], 1)
    except ValueError as error:
        raise UserError(f"optimizer: {error}: give one inside its range") from error
    return optimize


def set_threads(threads: int | None) -> None:
    """Let torch and the linear algebra of numpy, scipy and scikit-learn use so many threads; None leaves it to them.

    Raises:
        UserError: below one, or more than any processor has.
    """
    if threads is None:
        return
    if not 1 <= threads <= MOST_THREADS:
        raise UserError(f"threads must be at least 1 and at most {MOST_THREADS}, not {threads}")
    torch.set_num_threads(threads)
    threadpool_limits(threads)
    # That was for what is loaded; what is yet to be imported reads these.
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))


# The directory ----------------------------------------------------------------------------------------------------


def refuse_taken(directory: Path) -> None:
    """Raise `TakenError` if a run lives in this directory already."""
    if (directory / "config.yaml").exists():
        raise TakenError(
            f"{directory} already holds a run: choose another folder (hydra.run.dir, a sweep's hydra.sweep.dir), or "
            f"continue it with {typed('resume', directory)}"
        )


def claim(directory: Path, config: DictConfig) -> None:
    """Make the run directory its own by `config.yaml`.

    Raises:
        TakenError: if a run lives there already; nothing is touched.
    """
    refuse_taken(directory)
    directory.mkdir(parents=True, exist_ok=True)
    write_config(directory, config)


def write_config(directory: Path, config: DictConfig) -> None:
    """Write `config.yaml`, with which the run goes on when it is resumed."""
    write_whole(directory / "config.yaml", OmegaConf.to_yaml(config))


def stored_config(directory: Path) -> DictConfig:
    """The configuration of the run in this directory.

    Raises:
        UserError: if there is none.
    """
    file = directory / "config.yaml"
    if not file.is_file():
        raise UserError(f"{directory} holds no run (no config.yaml): give a run directory")
    config = OmegaConf.load(file)
    assert isinstance(config, DictConfig)
    return config


def reopen(directory: Path, overrides: list[str]) -> DictConfig:
    """The configuration of a run to be continued, with the values that the command line changes.

    Raises:
        UserError: if no run is there, or what is to be changed would make it another run.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    config = stored_config(directory)
    for override in OverridesParser.create().parse_overrides(overrides):
        key = override.key_or_group
        if not f"{key}.".startswith(CHANGEABLE) or isinstance(OmegaConf.select(config, key), DictConfig):
            raise UserError(f"resume= continues a run as it was configured; {key}={override.value()} needs a new run")
        OmegaConf.update(config, key, override.value())
    return config


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file whole or not at all."""
    write_whole(path, json.dumps(content, indent=2) + "\n")


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    with whole(path) as part:
        part.write_text(text, encoding="utf-8")


def provenance(config: DictConfig, found: Found, overrides: list[str]) -> dict[str, Any]:
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


def load_run(path: str | Path, device: str = "cpu") -> Run:
    """The run in a directory (its best checkpoint) or of one checkpoint file.

    Only plain types and tensors are read, and only vaelab's own classes are built: a checkpoint runs no code.

    Raises:
        UserError: if there is no checkpoint, or it is not one of ours.
    """
    checkpoint = _find_checkpoint(Path(path).expanduser())
    content = _read(checkpoint)
    entry = content[KEY]
    config = OmegaConf.create(entry["config"])
    assert isinstance(config, DictConfig)
    signature = Signature(**{**entry["signature"], "label_names": tuple(entry["signature"]["label_names"])})
    try:
        variant = build_variant(config, build(config.dataset.codec), signature, tuple(entry["shape"]))
        variant.load_state_dict(content["state_dict"])
    except (RuntimeError, LookupError, TypeError, AttributeError, OmegaConfBaseException) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{checkpoint} was written by vaelab {entry['version']} and does not fit this one ({reason}): install that"
        ) from error
    directory = checkpoint.parent.parent if checkpoint.parent.name == "checkpoints" else checkpoint.parent
    return Run(directory, checkpoint, config, variant.to(device).eval())


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
    try:
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
            f"{checkpoint} was written by vaelab {entry['version']} in format {entry['format']}; this "
            f"is {__version__} with format {FORMAT}: install the version that wrote it"
        )
    return content
