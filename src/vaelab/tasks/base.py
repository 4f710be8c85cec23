"""What every task is given, and where it puts what it makes."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor

from vaelab.data.sources.base import Reader
from vaelab.data.writers import whole
from vaelab.errors import UserError
from vaelab.figures.style import png
from vaelab.run import Run, build_source, write_json
from vaelab.variants.base import VAE

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Task(Protocol):
    """One thing that a trained run can be asked for; its fields are the settings `task.…`."""

    def __call__(self, run: Run, out: Output) -> None:
        """Do it, and write what comes out."""
        ...


class Output:
    """A folder that tells what was put into it, in the user's units.

    `fresh`: one that was not there before, which gets a number behind its name if need be.
    """

    def __init__(self, folder: Path, *, fresh: bool = False) -> None:
        self.folder, self.fresh = folder, fresh

    def array(self, name: str, values: Tensor) -> None:
        """Write `name.npy`."""
        with self.file(f"{name}.npy") as path:
            np.save(path, values.detach().cpu().numpy())

    def figure(self, name: str, figure: Figure | None) -> None:
        """Write `name.png`, if there is a figure."""
        if figure is not None:
            with self.file(f"{name}.png") as path:
                path.write_bytes(png(figure))

    def sounds(self, name: str, variant: VAE, x: Tensor, level: Tensor | None = None) -> None:
        """Write `name_000.wav`, … where the data are sound."""
        for k, sound in enumerate(variant.sounds(x, level)):
            import soundfile

            with self.file(f"{name}_{k:03d}.wav") as path:
                soundfile.write(path, sound.wave.numpy(), sound.sample_rate)

    def numbers(self, values: dict[str, Any]) -> None:
        """Write `metrics.json`."""
        write_json(self._place("metrics.json"), values)
        print(self.folder / "metrics.json")

    @contextmanager
    def table(self, name: str) -> Iterator[Any]:
        """A csv writer whose rows become `name.csv`."""
        # Names that are no text in UTF-8 are written as they are told.
        with (
            self.file(f"{name}.csv") as path,
            path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
        ):
            yield csv.writer(file)

    @contextmanager
    def file(self, name: str) -> Iterator[Path]:
        """Where to write what becomes the file of this name, whole or not at all; it is told when it is there."""
        with whole(place := self._place(name)) as path:
            yield path
        print(place)

    def path(self, name: str) -> Path:
        """Where a file of this name grows, told before there is anything in it."""
        place = self._place(name)
        print(place)
        return place

    def _place(self, name: str) -> Path:
        """In the folder, which is made if need be."""
        if self.fresh:
            self.folder, self.fresh = _made(self.folder), False
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def _made(folder: Path) -> Path:
    """A new folder of this name, or of this name and the first number that is free."""
    made, count = folder, 1
    while True:
        try:
            made.mkdir(parents=True)
        except FileExistsError:
            count += 1
            made = folder.with_name(f"{folder.name}_{count}")
        else:
            return made


def read_file(run: Run, file: str | Path) -> Tensor:
    """Raw items `(items, *raw_shape)` of one of the user's own files, read as the run's data were.

    A run whose own data came from no files reads by the kind of its signals.

    Raises:
        UserError: if the file is missing or cannot be read.
    """
    from vaelab.data.sources.audio_folder import read_recording
    from vaelab.data.sources.image_folder import read_picture
    from vaelab.data.sources.signal_table import read_signals

    source = build_source(run.config)
    if isinstance(source, Reader):
        return source.read(file, run.signature)
    readers = {"picture": read_picture, "sound": read_recording}
    return readers.get(run.signature.kind, read_signals)(file, run.signature)


def encode(run: Run, raw: Tensor) -> tuple[Tensor, Tensor]:
    """Raw items as the net sees them, and their levels.

    Raises:
        UserError: if they have not the shape of the run's data.
    """
    if tuple(raw.shape[1:]) != tuple(run.signature.raw_shape):
        raise UserError(
            f"the file's items are of shape {tuple(raw.shape[1:])}; this run was trained on "
            f"{tuple(run.signature.raw_shape)}: give a file of that shape"
        )
    encoded = run.variant.codec.encode(raw)
    return encoded.x, encoded.level


@torch.inference_mode()
def code_means(run: Run, x: Tensor) -> Tensor:
    """Posterior means `(items, code_size)` of encoded items, on the CPU."""
    parts = [run.variant.posterior(part.to(run.variant.device)).mean.cpu() for part in x.split(256)]
    return torch.cat(parts)
