"""Which axis of an array is which: said by the user, or read from the shape, and refused where it could be either."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vaelab.errors import UserError

Axes = tuple[str, ...]
SIGNALS = ("items", "channels", "time")
ROWS = ("items", "time")
COLUMNS = ("time", "items")
SHORT = 12  # samples: fewer than those of any usual signal, as many as an ECG has leads
FAR = 32  # times as many items as samples are suspicious where the signals are short
WIDE = 8  # times as many channels as samples, likewise


def wished_axes(axes: str | Sequence[str] | None, names: Axes) -> Axes | None:
    """The setting `dataset.axes` as a tuple of `names`; None for null. Raises `UserError` for anything else."""
    if axes is None:
        return None
    words = tuple(word.strip() for word in (axes.split(",") if isinstance(axes, str) else axes))
    if len(set(words)) != len(words) or not set(words) <= set(names):
        raise UserError(f"dataset.axes={as_setting(words)}: name each axis once, out of {', '.join(names)}")
    return words


def require_dimensions(path: Path, shape: Sequence[int], axes: Axes) -> None:
    """Raise `UserError` where an array has not as many dimensions as the user named axes."""
    if len(axes) != len(shape):
        raise UserError(f"{path} is of shape {tuple(shape)}: dataset.axes={as_setting(axes)} names {len(axes)} axes")


def arranged(values: np.ndarray, axes: Axes, order: Axes) -> np.ndarray:
    """The array with its axes in `order`, those that it lacks of size 1.

    >>> arranged(np.zeros((7, 2)), ("time", "items"), ("items", "channels", "time")).shape
    (2, 1, 7)
    """
    values = values.transpose([axes.index(name) for name in order if name in axes])
    missing = [k for k, name in enumerate(order) if name not in axes]
    return np.expand_dims(values, missing)


def laid_out(values: np.ndarray, axes: Axes, order: Axes) -> np.ndarray:
    """The way back from `arranged`: axes as they were, those that are not named taken away."""
    kept = [name for name in order if name in axes]
    values = values[tuple(slice(None) if name in axes else 0 for name in order)]
    return values.transpose([kept.index(name) for name in axes])


def signal_axes(path: Path, values: np.ndarray) -> Axes:
    """How an array of signals in two or three dimensions is read where the user does not say it.

    Raises `UserError`, naming both readings, where its shape or its numbers speak for another one.
    """
    if values.ndim == 2:
        if is_far_shorter(*values.shape) or runs_down(values):
            raise either(path, values.shape, ROWS, COLUMNS)
        return ROWS
    items, channels, time = values.shape
    if is_picture_like(values):
        raise UserError(
            f"{path} is of shape {values.shape}: if these are pictures, use experiment=images dataset=image_table; "
            f"if they are signals, say which axis is which with dataset.axes={as_setting(SIGNALS)}"
        )
    if channels >= WIDE * time:
        raise either(path, values.shape, SIGNALS, ("items", "time", "channels"))
    if is_far_shorter(items, time):
        raise either(path, values.shape, SIGNALS, ("time", "channels", "items"))
    return SIGNALS


def is_far_shorter(items: int, time: int) -> bool:
    """Whether so many items of so few samples are more likely few signals of many."""
    return 1 < time <= SHORT and items >= FAR * time


def runs_down(values: np.ndarray) -> bool:
    """Whether the numbers of `(rows, columns)` follow one another smoothly down the rows, and not along them."""
    part = values[:4096, :4096]
    if min(part.shape) < 4 or len(part) < 16:
        return False
    part = part.astype(np.float64)
    part = part / (np.abs(part).max() or 1)
    spread = part.var()
    if not np.isfinite(spread) or spread < 1e-12:
        return False
    # The mean squared step over twice the variance: 1 where neighbours have nothing to do with each other.
    down, along = (np.square(np.diff(part, axis=axis)).mean() / (2 * spread) for axis in (0, 1))
    return down < 0.05 and along > 0.5


def is_picture_like(values: np.ndarray) -> bool:
    """Whether `(items, height, width)` are pictures: bytes nearly as high as wide, or any numbers just as high."""
    height, width = values.shape[1:]
    if min(height, width) < 8:
        return False
    return height == width or (values.dtype == np.uint8 and max(height, width) <= 4 * min(height, width))


def either(path: Path, shape: Sequence[int], first: Axes, second: Axes) -> UserError:
    """What is said where an array could be read in two ways."""
    return UserError(
        f"{path} is of shape {tuple(shape)}: {_counted(shape, first)}, or {_counted(shape, second)}? "
        f"Say it with dataset.axes={as_setting(first)} or dataset.axes={as_setting(second)}"
    )


def told(shape: Sequence[int], axes: Axes) -> str:
    """How the axes were read, in one line."""
    return f"axes of {tuple(shape)} read as {', '.join(axes)} (dataset.axes)"


def as_setting(axes: Sequence[str]) -> str:
    """Axes as the command line takes them."""
    return f"[{','.join(axes)}]"


def _counted(shape: Sequence[int], axes: Axes) -> str:
    units = {"items": "items", "channels": "channels", "time": "samples"}
    size = dict(zip(axes, shape, strict=True))
    order = [name for name in ("items", "channels", "time", "height", "width") if name in size]
    return " of ".join(f"{size[name]:,} {units.get(name, name)}" for name in order)
