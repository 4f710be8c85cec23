"""Two windows in the terminal that change while a stream is made."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.text import Text

WIDEST = 100  # characters
CODE_ROWS, ITEM_ROWS = 4, 10
DIMENSIONS = ("cyan", "magenta")  # of the first two
CHANNELS = ("red", "green", "blue", "yellow", "magenta", "cyan")
# The bit of each dot of a braille character, by row and column.
DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])


class Screen:
    """Draws on standard error, which stays the user's when standard output is a pipe, a few times a second."""

    def __init__(self, period_seconds: float = 0.12) -> None:
        from rich.live import Live

        from vaelab.report.console import Terminal

        self.period, self.shown = period_seconds, -np.inf
        self.live = Live(console=Terminal(file=sys.stderr), auto_refresh=False)

    @property
    def columns(self) -> int:
        """Characters that fit into a window, beside its frame."""
        return min(WIDEST, self.live.console.width - 4)

    def show(self, draw: Callable[[], RenderableType], last: bool = False) -> None:
        """Draw, if it is time again; the `last` is drawn in any case."""
        now = time.monotonic()
        if last or now - self.shown >= self.period:
            self.shown = now
            self.live.start()
            self.live.update(draw(), refresh=True)

    def close(self) -> None:
        """Leave the last drawing where it is."""
        self.live.stop()


def stream_windows(
    rings: Sequence[np.ndarray],
    items: np.ndarray | None,
    reference: np.ndarray | None = None,
    smoothed: np.ndarray | None = None,
    *,
    told: str,
    columns: int,
    limit: float,
    span: tuple[float, float] | None = None,
) -> Group:
    """The windows of `figures.stream.stream_frame`, with the same arguments, as characters.

    Of the codes, the first two dimensions are dots by their place in the ring: cyan and magenta. Of a wave's channels
    as many are drawn as there are colours, and the colours are named.
    """
    from rich.console import Group
    from rich.panel import Panel
    from rich.text import Text

    titles = ("codes being filled", "codes being decoded")
    above = [
        Panel(_codes(ring, columns, limit), title=name, width=columns + 4)
        for ring, name in zip(rings, titles, strict=True)
    ]
    subtitle = None
    if items is None:
        below = Text("\n" * (ITEM_ROWS - 1))
    elif items.ndim == 4:
        from vaelab.figures.pictures import tile

        below = half_blocks(tile(items, columns=len(items), gap=1), columns, ITEM_ROWS)
    else:
        channels = list(zip(items[-1], CHANNELS, strict=False))
        if len(channels) > 1:
            named = ", ".join(f"{k} {colour}" for k, (_, colour) in enumerate(channels, start=1))
            subtitle = f"channels: {named}"
        else:
            layers = [(reference, "green"), (items[-1], "red"), (smoothed, "blue")]
            channels = [(wave[0], colour) for wave, colour in layers if wave is not None]
        below = braille(channels, columns, ITEM_ROWS, span)
    return Group(*above, Panel(below, title=told, subtitle=subtitle, width=columns + 4))


def _codes(ring: np.ndarray, columns: int, limit: float) -> Text:
    places = np.linspace(0, len(ring) - 1, min(2 * columns, len(ring))).astype(int)
    dots = [(ring[places, k], colour) for k, colour in enumerate(DIMENSIONS[: ring.shape[1]])]
    return braille(dots, columns, CODE_ROWS, (-limit, limit), joined=False)


def braille(
    lines: Sequence[tuple[np.ndarray, str]],
    columns: int,
    rows: int,
    span: tuple[float, float] | None = None,
    joined: bool = True,
) -> Text:
    """Lines `(samples,)`, each with its colour, the last on top, in `rows × columns` characters of 4 × 2 dots.

    Args:
        lines: values and the name of a colour; NaN leaves a gap.
        columns: characters in a row.
        rows: of characters.
        span: the lowest and the highest value; None takes those of the lines.
        joined: whether samples are joined, or stand as dots.
    """
    low, high = span or (min(line.min() for line, _ in lines), max(line.max() for line, _ in lines))
    bits, colour = np.zeros((rows, columns), int), np.full((rows, columns), len(lines))
    for number, (line, _) in enumerate(lines):
        place = np.linspace(0, 1, max(len(line), 8 * columns) if joined else len(line))
        level = np.interp(place * (len(line) - 1), np.arange(len(line)), line)
        there = np.isfinite(level)
        up = np.clip((level[there] - low) / max(high - low, 1e-12), 0, 1)
        x = np.round(place[there] * (2 * columns - 1)).astype(int)
        y = np.round((1 - up) * (4 * rows - 1)).astype(int)
        np.bitwise_or.at(bits, (y // 4, x // 2), DOTS[y % 4, x % 2])
        colour[y // 4, x // 2] = number
    return _coloured(bits, colour, [*(name for _, name in lines), ""])


def _coloured(bits: np.ndarray, colour: np.ndarray, names: list[str]) -> Text:
    from rich.text import Text

    rows = [
        Text.assemble(*((chr(0x2800 + dots), names[which]) for dots, which in zip(*row, strict=True)))
        for row in zip(bits.tolist(), colour.tolist(), strict=True)
    ]
    return Text("\n").join(rows)


def half_blocks(picture: np.ndarray, columns: int, rows: int) -> Text:
    """A picture `(channels, height, width)` in [0, 1], as large as fits, two pixels to a character."""
    from PIL import Image
    from rich.color import Color
    from rich.style import Style
    from rich.text import Text

    height, width = picture.shape[1:]
    scale = min(columns / width, 2 * rows / height)
    size = max(1, round(width * scale)), 2 * max(1, round(height * scale / 2))
    rgb = np.broadcast_to(np.clip(picture, 0, 1) * 255, (3, height, width)).transpose(1, 2, 0).astype(np.uint8)
    pixels = np.asarray(Image.fromarray(np.ascontiguousarray(rgb)).resize(size, Image.Resampling.BOX)).tolist()
    rows_of_text = [
        Text.assemble(
            *(
                ("▀", Style(color=Color.from_rgb(*above), bgcolor=Color.from_rgb(*below)))
                for above, below in zip(upper, lower, strict=True)
            )
        )
        for upper, lower in zip(pixels[::2], pixels[1::2], strict=True)
    ]
    return Text("\n").join(rows_of_text)
