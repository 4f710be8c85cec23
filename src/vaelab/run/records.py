"""What is written down about a run."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from vaelab import __version__
from vaelab.data.items import LeftOut, as_text
from vaelab.data.module import Found
from vaelab.data.writers import whole

PACKAGES = ("torch", "torchvision", "lightning", "hydra-core", "numpy", "scipy", "librosa", "scikit-learn")


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


def write_left_out(directory: Path, left_out: Sequence[LeftOut]) -> None:
    """Write `left_out.txt`, a line for each file and row that is left out, if there is one."""
    if left_out:
        lines = [f"{name}\t{reason}\n" for name, reason in left_out]
        write_whole(directory / "left_out.txt", as_text("".join(lines)))


def write_provenance(directory: Path, config: DictConfig, found: Found, overrides: list[str] | None) -> None:
    """Write `provenance.json`."""
    write_json(directory / "provenance.json", provenance(config, found, overrides))


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
