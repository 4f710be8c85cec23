"""An endless stream of new items: codes through circular buffers into files, a live view or a pipe."""

from __future__ import annotations

import itertools
import math
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol

import numpy as np
import torch

from vaelab.data.ring import Factory, Overflow
from vaelab.data.writers import (
    WAV_BYTES,
    ByteWriter,
    GifWriter,
    Mp4Writer,
    NpyWriter,
    WavWriter,
    Writer,
    bare_stdout,
    find_ffmpeg,
)
from vaelab.errors import Interrupted, UserError
from vaelab.latent.densities import Density
from vaelab.run.checkpoint import Run
from vaelab.task.base import Output
from vaelab.task.prior import sampler_of
from vaelab.variant.base import Decodes, Method

if TYPE_CHECKING:
    from rich.console import RenderableType

Consumer = Literal["npy", "wav", "gif", "mp4", "live", "stdout"]

CHUNK, CHUNK_NUMBERS = 256, 2**18  # items decoded at once: fewer where they are large, for the cache
DRAWN, DRAWN_NUMBERS = 2**16, 2**20  # codes drawn at once: fewer where they are long
LEARNT = 2**11  # as many from a flow, which takes its time
FRAMES, DPI = 100, 100  # turns that a gif or mp4 shows, and how finely
PROBES, PROBE_EVERY, KEPT = 16, 32, 1000  # so many first turns have a plain decode beside them, then one in so many
SHOWN = 8  # items kept to be drawn
SAMPLE_RATE = 44_100  # Hz, in a wav of waves that have no rate of their own
SLOWEST, FASTEST = 0.01, 100.0
LINE_SECONDS = 10.0


@dataclass
class Stream:
    """Make `n` items, or items without an end, in memory of a fixed size, and hand them on as they come.

    A producer draws codes from `density` into a ring of `size`. When it is full, the decoder empties it into a ring of
    decoded items, while the producer fills another; from there the consumers of `to` are served. `overflow=block` loses
    nothing; `overflow=overwrite` loses, and counts, what comes too fast by the paces `produce` and `consume`, each for
    one item decoded. The same seed gives the same codes, whatever the sizes and paces.

    npy and stdout get the same numbers: float32 waves, uint8 pictures. A wav has the waves one after the other. A gif
    or mp4 shows the first 100 turns.
    """

    needs: ClassVar[type] = Decodes

    n: int | None = 10_000
    to: Consumer | list[Consumer] = field(default_factory=lambda: ["npy", "gif"])
    density: Density = "prior"
    seed: int = 0
    size: int = 2048
    overflow: Overflow = "block"
    produce: float = 1.0
    consume: float = 1.0

    def __call__(self, run: Run, out: Output) -> None:
        """Write `stream.npy`, `.wav`, `.gif` and `.mp4`, those asked for, and `metrics.json`.

        Raises:
            Interrupted: when Ctrl-C or SIGTERM ended a stream that was to have an end; what was made is written.
        """
        wanted = [self.to] if isinstance(self.to, str) else list(dict.fromkeys(self.to))
        self._check(run, wanted)
        line = self._line(run)
        with ExitStack() as stack:
            pipe = stack.enter_context(bare_stdout()) if "stdout" in wanted else -1
            with ExitStack() as files, stop_asked() as asked:
                ends = [files.enter_context(closing(open_end(name, line, out, pipe))) for name in wanted]
                # A reader that leaves has had enough.
                with suppress(BrokenPipeError):
                    line.serve(ends, asked, quiet="live" in wanted)
            out.numbers(line.numbers())
            print(line.told())
        if asked and self.n is not None:
            raise Interrupted(f"stopped by {asked[0].name}, what was taken is written: {line.told()}", 128 + asked[0])

    def _line(self, run: Run) -> Line:
        blocks = code_blocks(run, self.density, self.seed)
        first = next(blocks)
        chunk = max(1, min(CHUNK, CHUNK_NUMBERS // math.prod(run.variant.shape), self.size // 8))
        decode = partial(decode_codes, run.variant)
        factory = Factory(
            take_from(itertools.chain([first], blocks)),
            decode,
            code_shape=first.shape[1:],
            shape=run.variant.shape,
            n=self.n,
            size=self.size,
            chunk=chunk,
            overflow=self.overflow,
            produce=self.produce,
            consume=self.consume,
        )
        return Line(run, factory, partial(decode, first[:chunk]))

    def _check(self, run: Run, wanted: list[Consumer]) -> None:
        for name in ("n", "size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"task.{name} must be at least 1, not {value}")
        for name in ("produce", "consume"):
            if not SLOWEST <= getattr(self, name) <= FASTEST:
                raise UserError(f"task.{name} must lie in [{SLOWEST:g}, {FASTEST:g}], not {getattr(self, name)}")
        if not wanted:
            raise UserError("task.to is empty: name one or several of npy, wav, gif, mp4, live, stdout")
        if "wav" in wanted:
            self._check_wav(run)
        if "mp4" in wanted:
            find_ffmpeg()
        if "live" in wanted and not sys.stderr.isatty():
            raise UserError("task.to=live draws in a terminal, and standard error is none: leave live out")
        if "stdout" in wanted and os.isatty(1):
            raise UserError(
                "task.to=stdout gives bare numbers: send them into a program or a file, or use task.to=live"
            )

    def _check_wav(self, run: Run) -> None:
        if len(run.signature.raw_shape) != 2:
            raise UserError("task.to=wav needs waves, and this run makes pictures: use npy, gif or mp4")
        if (self.n or 0) * math.prod(run.signature.raw_shape) * 4 > WAV_BYTES:
            raise UserError(f"task.n={self.n} is more than the 4 GiB that a wav holds: use task.to=npy or stdout")


# Codes ------------------------------------------------------------------------------------------------------------


def code_blocks(run: Run, density: Density, seed: int) -> Iterator[np.ndarray]:
    """Codes `(block, code_size)` without an end, each block from a seed of its own."""
    assert isinstance(run.variant, Decodes)
    draw = sampler_of(run, density, seed)
    most = LEARNT if density == "flow" else DRAWN
    n = max(1, min(most, DRAWN_NUMBERS // run.variant.latent.code_size))
    for block in itertools.count():
        yield draw(n, block).numpy()


def take_from(blocks: Iterator[np.ndarray]) -> Callable[[int], np.ndarray]:
    """A function that gives the next `n` rows of the blocks."""
    left = next(blocks)

    def take(n: int) -> np.ndarray:
        nonlocal left
        while len(left) < n:
            left = np.concatenate([left, next(blocks)])
        taken, left = left[:n], left[n:]
        return taken

    return take


# The factory of a run ---------------------------------------------------------------------------------------------


class Line:
    """A run's factory at work, with what came off it last: timed and told.

    `plain` decodes one chunk of codes and does nothing else.
    """

    def __init__(self, run: Run, factory: Factory, plain: Callable[[], np.ndarray]) -> None:
        self.run, self.factory, self.plain = run, factory, plain
        self.taken = self.newest = plain()[:0]  # also the first pass through the net, which is the slowest
        self.turns = self.decodes = 0
        self.decoding = False
        self.paces: deque[tuple[float, float]] = deque(maxlen=KEPT)
        self.began = time.perf_counter()

    def serve(self, ends: list[End], asked: list[signal.Signals], quiet: bool) -> None:
        """Turn and hand over until all is made, or a signal asks to stop."""
        told = self.began
        while not self.factory.done and not asked:
            self.turn()
            for end in ends:
                end.take(self)
            if not quiet and time.perf_counter() - told > LINE_SECONDS:
                told = time.perf_counter()
                print(self.told(), file=sys.stderr)

    def turn(self) -> None:
        """One turn of the factory; at times, after it, a plain decode."""
        compared = self.decodes < PROBES or self.decodes % PROBE_EVERY == 0
        if compared and self.decoding:
            self.plain()  # what takes the items has emptied the cache, which is not the factory's doing
        before, began = self.factory.decoded, time.perf_counter()
        self.taken = self.factory.turn()
        seconds, decoded = time.perf_counter() - began, self.factory.decoded - before
        self.turns, self.decoding = self.turns + 1, decoded > 0
        self.decodes += self.decoding
        if compared and decoded:
            self.paces.append((decoded / seconds, self._plain_pace()))
        self.__dict__.pop("raw", None)
        if len(self.taken):
            self.newest = np.concatenate([self.newest, self.taken[-SHOWN:]])[-SHOWN:]

    def _plain_pace(self) -> float:
        began = time.perf_counter()
        decoded = len(self.plain())
        return decoded / (time.perf_counter() - began)

    @cached_property
    def raw(self) -> np.ndarray:
        """What was taken last, in the user's units: `(k, *raw_shape)`."""
        with torch.inference_mode():
            return self.run.variant.kind.streamed(torch.from_numpy(self.taken)).numpy()

    def pace(self) -> tuple[float, float]:
        """Items a second of the factory, without its consumers, and of a plain decode; medians, turn beside turn."""
        if not self.paces:
            return 0.0, 0.0
        own, plain = np.median(self.paces, axis=0)
        return float(own), float(plain)

    def numbers(self) -> dict[str, float]:
        """What `metrics.json` holds: counts, rates in items a second, and the seconds with all files and pictures."""
        own, plain = self.pace()
        numbers = {
            "made": self.factory.made,
            "waves": self.factory.taken,
            "overwritten": self.factory.overwritten,
            "waves_per_second": own,
            "plain_waves_per_second": plain,
            "ratio": own / plain if plain else 0.0,
            "seconds": time.perf_counter() - self.began,
        }
        return {f"stream/{name}": value for name, value in numbers.items()}

    def counted(self) -> str:
        """The counters in words."""
        made = self.factory
        return f"{made.made:,} made, {made.decoded:,} decoded, {made.overwritten:,} overwritten"

    def told(self) -> str:
        """Counters and rate in words."""
        return f"{self.factory.taken:,} {self.run.signature.kind}s: {self.counted()}, {self.pace()[0]:,.0f} a second"


def decode_codes(variant: Method, codes: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Codes `(k, code_size)` to encoded items `(k, *shape)`, all at once; into `out` where it is given."""
    assert isinstance(variant, Decodes)
    into = None if out is None else torch.from_numpy(out)
    return variant.decode(torch.from_numpy(codes), len(codes), into).numpy()


# Where it goes ----------------------------------------------------------------------------------------------------


class End(Protocol):
    """A consumer at the end of the line."""

    def take(self, line: Line) -> None:
        """Take what came off the line in this turn."""

    def close(self) -> None:
        """Finish."""


def open_end(name: Consumer, line: Line, out: Output, pipe: int) -> End:
    """The consumer of this name; `pipe` is the descriptor that stdout writes to."""
    if name == "live":
        return Live(line)
    if name == "stdout":
        return Numbers(ByteWriter(pipe))
    path = out.path(f"stream.{name}")
    if name == "npy":
        return Numbers(NpyWriter(path))
    if name == "wav":
        return Numbers(WavWriter(path, round(line.run.signature.sample_rate or SAMPLE_RATE)))
    return Frames(GifWriter(path) if name == "gif" else Mp4Writer(path))


class Numbers:
    """Writes every item in the user's units."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.close = writer.close

    def take(self, line: Line) -> None:
        """Write what was taken."""
        if len(line.taken):
            self.writer.write(line.raw)


class Frames:
    """Writes a picture of the two windows after each of the first turns."""

    def __init__(self, writer: Writer) -> None:
        self.writer, self.windows = writer, Windows()
        self.close = writer.close

    def take(self, line: Line) -> None:
        """Draw, as long as the film goes on."""
        if line.turns <= FRAMES:
            self.writer.write(self.windows.frame(line))


class Live:
    """Draws the two windows in the terminal."""

    def __init__(self, line: Line) -> None:
        from vaelab.report.live import Screen

        self.screen, self.windows, self.line = Screen(), Windows(), line

    def take(self, line: Line) -> None:
        """Draw, if it is time again."""
        self.screen.show(self._text)

    def close(self) -> None:
        """Leave the last state on the screen."""
        self.screen.show(self._text, last=True)
        self.screen.close()

    def _text(self) -> RenderableType:
        return self.windows.text(self.line, self.screen.columns)


class Layers(NamedTuple):
    """What the lower window shows, newest last: items as they are drawn, and what the newest is compared with."""

    items: np.ndarray
    reference: np.ndarray | None = None
    smoothed: np.ndarray | None = None


def layers(line: Line) -> Layers:
    """The newest items, the last of them with what its kind draws beside it."""
    kind = line.run.variant.kind
    items = kind.drawable(torch.from_numpy(line.newest), None)
    overlay = kind.overlay(items)
    if overlay is None:
        return Layers(items.numpy())
    return Layers(items.numpy(), overlay.reference.numpy(), overlay.smoothed.numpy())


class Windows:
    """Draws a line's two windows: codes filling their rings, and the newest of what is decoded from them.

    The scales are those of what is seen first.
    """

    def __init__(self) -> None:
        self.limit = 0.0
        self.span: tuple[float, float] | None = None

    def _look(self, line: Line) -> tuple[list[np.ndarray], np.ndarray | None, np.ndarray | None, np.ndarray | None]:
        """The rings of codes, and the lower window's layers, once there are some."""
        rings = [line.factory.filling.slots(), line.factory.emptying.slots()]
        known = np.abs(rings)[np.isfinite(rings)]
        if not self.limit and known.size:
            self.limit = float(np.quantile(known, 0.99))
        if not len(line.newest):
            return rings, None, None, None
        shown = layers(line)
        if self.span is None:
            low, high = float(shown.items.min()), float(shown.items.max())
            margin = 0.1 * (high - low) or 1.0
            self.span = low - margin, high + margin
        return rings, *shown

    def frame(self, line: Line) -> np.ndarray:
        """As a picture `(height, width, 3)` uint8."""
        from vaelab.figures.stream import stream_frame
        from vaelab.figures.style import render

        drawn = stream_frame(*self._look(line), told=line.counted(), limit=self.limit, span=self.span)
        drawn.set_dpi(DPI)
        return render(drawn)

    def text(self, line: Line, columns: int) -> RenderableType:
        """As characters, `columns` wide."""
        from vaelab.report.live import stream_windows

        return stream_windows(*self._look(line), told=line.told(), columns=columns, limit=self.limit, span=self.span)


# Stopping ---------------------------------------------------------------------------------------------------------


@contextmanager
def stop_asked() -> Iterator[list[signal.Signals]]:
    """A list that a Ctrl-C or SIGTERM is put into instead of ending the program; the second one ends it."""
    asked: list[signal.Signals] = []

    def note(number: int, _: Any) -> None:
        asked.append(signal.Signals(number))
        signal.signal(number, before[asked[-1]])

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
