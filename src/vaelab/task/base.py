"""What every task is given, and where it puts what it makes."""

from __future__ import annotations

import csv
import math
import pkgutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from typing_extensions import get_protocol_members

from vaelab.data.items import LeftOut, as_text
from vaelab.data.writers import whole
from vaelab.dataset.base import Reader
from vaelab.errors import UserError
from vaelab.figures.style import png
from vaelab.kind.base import Kind
from vaelab.run.build import build_source
from vaelab.run.checkpoint import Run
from vaelab.run.records import write_json
from vaelab.run.trust import offered
from vaelab.variant.base import ABLE, HasCode, Method

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vaelab.data.batch import Batch

NUMBERS = 2**26  # in an array that is written whole: 256 MiB
MOST_DRAWS = 10**7  # of each item: more would take days


class Task(Protocol):
    """One thing that a trained run can be asked for; its fields are the settings `task.…`.

    One of your own, and its entry of the group::

        # mytasks.py
        from dataclasses import dataclass

        import torch


        @dataclass
        class Nearest:
            n: int = 16
            seed: int = 0

            def __call__(self, run, out):
                x = run.variant.sample(self.n, self.seed)
                known = run.data().batch("train").x
                nearest = known[torch.cdist(x.flatten(1), known.flatten(1)).argmin(1)]
                out.array("nearest", run.variant.codec.decode(nearest))
                out.figure("nearest", run.variant.kind.sample_figure(nearest))

        # mine/task/nearest.yaml
        _target_: mytasks.Nearest
        n: 16
        seed: 0

    `python scripts/sample.py --config-dir mine task=nearest run=RUN_DIR`. Items are encoded; `codec.decode` gives the
    user's units. `run.data()` reads the data again, with `batch(split)`, `rows(item)` and `factors(item)`.

    A class attribute `needs` names the protocol of `variant.base` that the model must have, such as `HasCode`; without
    one any model will do.
    """

    def __call__(self, run: Run, out: Output) -> None:
        """Do it, and write what comes out."""
        ...


def check_able(task: Task, name: str, variant: Method) -> None:
    """Refuse a task that a model cannot do.

    Raises:
        UserError: naming the tasks that it can do.
    """
    needs = needed(type(task))
    if needs not in (Method, *ABLE):
        raise UserError(
            f"task={name}: needs must be one of vaelab.variant.base's {', '.join(n.__name__ for n in ABLE)}"
        )
    if isinstance(variant, needs):
        return
    classes = {name.split(".")[2]: pkgutil.resolve_name(name) for name in sorted(offered()["task"])}
    able = ", ".join(other for other, cls in classes.items() if isinstance(variant, needed(cls)))
    raise UserError(
        f"task={name} needs {ABLE[needs]}, and variant={variant.name} has none{_lacking(variant, needs)}: "
        f"there are task={able}"
    )


def _lacking(variant: Method, needs: type) -> str:
    """What is still to be written of a method of the user's own that was perhaps meant to be able."""
    if type(variant).__module__.startswith("vaelab."):
        return ""
    lacking = [member for member in sorted(get_protocol_members(needs)) if not hasattr(variant, member)]
    return f" ({needs.__name__} wants {', '.join(lacking)} of it)"


def check_numbers(setting: str, n: int, run: Run, power: int = 1) -> None:
    """Refuse `n` (or, with `power`, n × n …) items that would not fit into an array of `NUMBERS` numbers.

    Raises:
        UserError: naming the setting and the most that fit.
    """
    most = max(int((NUMBERS // math.prod(run.signature.raw_shape)) ** (1 / power)), 2)
    if n > most:
        raise UserError(f"{setting}={n} asks for {n**power:,} {run.signature.kind}s: give at most {most}")


def evenly(n: int, most: int) -> Tensor:
    """At most so many of the numbers below `n`, from the first to the last."""
    return torch.linspace(0, n - 1, min(n, most)).round().long()


def needed(task: type) -> type:
    """What a task needs of a model."""
    return getattr(task, "needs", Method)


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

    def sounds(self, name: str, kind: Kind, x: Tensor, level: Tensor | None = None) -> None:
        """Write `name_000.wav`, … where the data are sound."""
        for k, sound in enumerate(kind.sounds(x, level)):
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

    def left_out(self, files: list[LeftOut]) -> None:
        """Write `left_out.txt`, with the reason why each was not used."""
        lines = [f"{name}\t{reason}\n" for name, reason in files]
        with self.file("left_out.txt") as path:
            path.write_text(as_text("".join(lines)), encoding="utf-8")
        print(f"left out {len(files)}, the first: {files[0].name}: {files[0].reason}")

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
    return _reader(run)(file)


def _reader(run: Run) -> Callable[[str | Path], Tensor]:
    source = build_source(run.config)
    if isinstance(source, Reader):
        return lambda file: source.read(file, run.signature)
    return run.variant.kind.read


class Own(NamedTuple):
    """Items of the user's own: raw `(items, *raw_shape)`, what each is called, and the files that were not used."""

    raw: Tensor
    names: list[str]
    left_out: list[LeftOut]


def read_own(run: Run, place: str | Path) -> Own:
    """The items of a file, or of every file below a folder, as `read_file` has them.

    Raises:
        UserError: if nothing is there, or nothing of it can be used.
    """
    from vaelab.dataset.files import numbered, printable

    path, part = Path(place).expanduser(), run.variant.kind.part
    if path.is_dir():
        own = _read_folder(run, path)
        return own._replace(names=numbered(own.names, part))
    raw = read_file(run, place)
    return Own(raw, numbered([printable(path.name)] * len(raw), part), [])


def _read_folder(run: Run, folder: Path) -> Own:
    """The items of every file below a folder, each with its file's name."""
    from vaelab.dataset.files import attempt, files_under, in_threads, name_in

    if (own := _read_arrays(run, folder)) is not None:
        return own
    suffixes, what = run.variant.kind.files()
    paths, left_out = files_under(folder, suffixes, what)
    read = _reader(run)
    parts: list[Tensor] = []
    names: list[str] = []

    def fitting(path: Path) -> Tensor:
        return as_trained(run, read(path))

    for path, raw in zip(paths, in_threads(lambda path: attempt(fitting, path), paths), strict=True):
        name = name_in(folder, path)
        if isinstance(raw, str):
            left_out.append(LeftOut(name, raw.removeprefix(f"{path} ")))
        else:
            parts.append(raw)
            names += [name] * len(raw)
    if not parts:
        raise UserError(f"{folder} holds no usable {what}, the last: {left_out[-1].name}: {left_out[-1].reason}")
    return Own(torch.cat(parts), names, left_out)


def _read_arrays(run: Run, folder: Path) -> Own | None:
    """The pictures that lie one in each array below a folder, if the run's own lay in arrays and some are there."""
    from vaelab.dataset.arrays import ARRAYS
    from vaelab.dataset.files import name_in
    from vaelab.dataset.image_table import ImageTable
    from vaelab.dataset.signal_table import folder_arrays

    source = build_source(run.config)
    if not isinstance(source, ImageTable) or not any(path.suffix.lower() in ARRAYS for path in folder.rglob("*")):
        return None
    raw = as_trained(run, source.read(folder, run.signature))
    return Own(raw, [name_in(folder, path) for path in folder_arrays(folder, source.key, (2, 3))[0]], [])


def chosen_items(run: Run, setting: str, numbers: list[int] | None, n: int) -> Batch:
    """The test items with the numbers that `setting` gives, or `n` that are drawn, whose numbers are told.

    Raises:
        UserError: if there are not so many.
    """
    data = run.data()
    total = len(data.index["test"])
    if (largest := max(numbers or [n - 1])) >= total:
        raise UserError(f"there are {total} test items: choose {setting} below that, not {largest}")
    if numbers is None:
        numbers = data.numbers("test", data.drawn("test", n)).tolist()
        print(f"drawn: {setting}={str(numbers).replace(' ', '') if n > 1 else numbers[0]}")
    return data.numbered("test", numbers)


def encode(run: Run, raw: Tensor) -> tuple[Tensor, Tensor]:
    """Raw items as the net sees them, and their levels.

    Raises:
        UserError: if they have not the shape of the run's data.
    """
    encoded = run.variant.codec.encode(as_trained(run, raw))
    return encoded.x, encoded.level


def as_trained(run: Run, raw: Tensor) -> Tensor:
    """Raw items as they are. Raises `UserError` if they have not the shape of the run's data."""
    if tuple(raw.shape[1:]) != tuple(run.signature.raw_shape):
        raise UserError(
            f"the file's items are of shape {tuple(raw.shape[1:])}; this run was trained on "
            f"{tuple(run.signature.raw_shape)}: give a file of that shape"
        )
    return raw


@torch.inference_mode()
def code_means(run: Run, x: Tensor) -> Tensor:
    """Posterior means `(items, code_size)` of encoded items, on the CPU."""
    variant = run.variant
    assert isinstance(variant, HasCode)
    parts = [variant.posterior(part.to(variant.device)).mean.cpu() for part in x.split(256)]
    return torch.cat(parts)
