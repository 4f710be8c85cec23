"""How far a run came, as its directory tells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

Left = Literal["done", "cut", "begun", None]


def left_at(directory: Path) -> Left:
    """How far the run in a directory came: measured, to a checkpoint (`cut`), or not as far (`begun`); None: no run."""
    if read_record(directory / "metrics.json"):
        return "done"
    if last_checkpoint(directory) is not None:
        return "cut"
    return "begun" if (directory / "config.yaml").exists() else None


def last_checkpoint(directory: Path) -> Path | None:
    """The checkpoint that a run goes on from. A kill may have left the best, which is written first, alone."""
    files = (directory / "checkpoints" / f"{name}.ckpt" for name in ("last", "best"))
    return next((file for file in files if file.is_file()), None)


def has_same_words(directory: Path, config: DictConfig) -> bool:
    """Whether the run in a directory was begun by the words of this command, or, where they are lost, with `config`."""
    words = overrides_of(directory)
    if words is not None:
        return sorted(words) == sorted(HydraConfig.get().overrides.task)
    file = directory / "config.yaml"
    return file.is_file() and file.read_bytes() == OmegaConf.to_yaml(config, resolve=True).encode()


def overrides_of(directory: Path) -> list[str] | None:
    """What a run changed, as its command line said it; None where that is not written down, or cannot be read."""
    words = read_record(directory / "provenance.json").get("overrides")
    return words if isinstance(words, list) and all(isinstance(word, str) for word in words) else None


def words_of(directory: Path) -> list[str] | None:
    """What this command changes: of a run that is resumed the words it was begun with, too; None if they are lost."""
    words = list(HydraConfig.get().overrides.task)
    own = [word for word in words if not word.startswith("resume=")]
    if own == words:
        return own
    before = overrides_of(directory)
    if before is None:
        print(f"{directory / 'provenance.json'} is damaged: what the run changed is no longer known, and it goes on")
        return None
    return list(dict.fromkeys([*before, *own]))


def read_record(path: Path) -> dict[str, Any]:
    """The content of a JSON file; nothing of it where it is missing or damaged."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
