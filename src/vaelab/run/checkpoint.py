"""A checkpoint: what it holds beside weights, and the model that comes back out of it."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor
from torch.nn.modules.module import register_module_parameter_registration_hook

from vaelab import __version__
from vaelab.config import TrainSettings, check_settings
from vaelab.data.items import Signature, shape_from_plain
from vaelab.data.module import DataModule
from vaelab.errors import UserError
from vaelab.run.build import build_codec, build_data, build_variant
from vaelab.run.renamed import with_todays_names
from vaelab.run.trust import plain_config, refuse_foreign
from vaelab.variant.base import Method

# 2: targets are named by the groups of the configuration; 1 had other names for them.
FORMAT, READ = 2, (1, 2)


KEY = "vaelab"


# No training that ends well has weights beyond; what a net makes of them is infinite.
HUGE = 1e12


# Numbers that a model may need beside its weights, such as the window of a transform.
BESIDE = 2**22


# What a configuration has in any version of vaelab.
GROUPS = ("variant", "dataset", "architecture", "latent", "likelihood", "objective", "optimizer", "trainer")


def checkpoint_entry(config: DictConfig, variant: Method) -> dict[str, Any]:
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
    variant: Method

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
    content = read_checkpoint(checkpoint)
    entry, weights = content[KEY], content["state_dict"]
    config = whole_config(entry["config"], str(checkpoint))
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


def read_checkpoint(checkpoint: Path) -> dict[str, Any]:
    """What a checkpoint of ours holds; its entry has all its parts, and its weights are finite numbers."""
    try:
        content = read_plain(checkpoint)
    except Exception as error:  # damaged bytes make the unpickler fail in every way there is
        raise UserError(
            f"{checkpoint} cannot be read as a checkpoint ({type(error).__name__}): it is damaged, not a checkpoint, "
            "or holds more than plain data"
        ) from error
    entry = content.get(KEY) if isinstance(content, dict) else None
    if not isinstance(entry, dict) or not {"format", "version"} <= set(entry):
        raise UserError(f"{checkpoint} is not a checkpoint of vaelab: give one that vaelab-train wrote")
    if entry["format"] not in READ:
        raise UserError(
            f"{checkpoint} was written by vaelab {str(entry['version'])[:20]} in format {str(entry['format'])[:20]}; "
            f"this is {__version__} with format {FORMAT}: install the version that wrote it"
        )
    _check_content(checkpoint, content)
    return content


def read_plain(file: Path) -> Any:
    """The plain types and tensors in a file that torch wrote. Raises whatever there is where they are not that."""
    _check_archive(file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.load(file, map_location="cpu", weights_only=True)


def whole_config(text: Any, where: str) -> DictConfig:
    """A run's configuration from its text. Raises `UserError` where something lacks that every run has."""
    config = with_todays_names(plain_config(text, where))
    lacking = [name for name in GROUPS if name not in config]
    if lacking:
        raise UserError(f"{where}: its configuration has no {', '.join(lacking)}: it is damaged")
    return config


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
    if missing or not isinstance(weights, dict) or not all(map(is_weight, weights.items())):
        raise UserError(f"{checkpoint} lacks {', '.join(sorted(missing)) or 'weights'}: it is damaged")
    for name, value in weights.items():
        if not value.isfinite().all():
            raise UserError(f"{checkpoint}: its weights {name} hold NaN or infinity: take a checkpoint from before")
        if not name.startswith("codec.") and value.numel() and value.abs().max() > HUGE:
            raise UserError(f"{checkpoint}: its weights {name} are beyond {HUGE:g}: it is damaged")


def is_weight(item: tuple[Any, Any]) -> bool:
    """Whether this is a name and a tensor of plain numbers, all of which lie in the file."""
    name, value = item
    if not isinstance(name, str) or not isinstance(value, Tensor) or value.is_quantized:
        return False
    if value.is_complex() or value.dtype == torch.bool:
        return False
    plain = value.device.type == "cpu" and value.layout == torch.strided
    # A view can be of any size: as many numbers must lie in the file.
    return plain and value.untyped_storage().nbytes() >= value.numel() * value.element_size()
