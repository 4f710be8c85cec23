"""The one look of every figure: a palette safe for the colour-blind, small type, no chart junk.

Figures are plain `matplotlib.figure.Figure` objects. No pyplot state and no rcParams are touched, so
nothing leaks, nothing needs closing, and threads do not meet.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

GREEN, RED, BLUE = "#009E73", "#CC3311", "#0072B2"
INK, GREY, PALE = "#222222", "#8A8A8A", "#C9C9C9"
# Petroff (2021), "Accessible color sequences for data visualization", ten colours.
PALETTE = (
    *("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6"),
    *("#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"),
)
PAGE_WIDTH = 7.2  # inches: the text width of a two-column paper
TEXT, SMALL = 8, 7  # points
CHANNELS = 8  # of an item that have panels of their own: more would leave none of them room
DPI = 150
LONGEST = 40  # characters of a name


def figure(
    rows: int = 1,
    columns: int = 1,
    width: float = PAGE_WIDTH,
    height: float = 2.6,
    layout: Literal["constrained", "compressed"] | None = "constrained",
    **subplots: Any,
) -> tuple[Figure, np.ndarray]:
    """An empty figure of `width × height` inches and its `(rows, columns)` axes, in the house style.

    `subplots` goes to `Figure.subplots` (`sharex`, `sharey`, `gridspec_kw`, …).
    """
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(width, height), dpi=DPI, layout=layout)
    axes = drawn.subplots(rows, columns, squeeze=False, **subplots)
    for panel in axes.flat:
        _plain(panel)
    return drawn, axes


def small_multiples(
    count: int, columns: int, panel_height: float, width: float = PAGE_WIDTH, shared: bool = True
) -> tuple[Figure, list[Axes]]:
    """A figure of exactly `count` panels, filled row by row; on `shared` axes, so that they compare.

    Shared axes have their ticks on the left and below alone. What is not there need not be laid out.
    """
    from matplotlib.axis import Ticker
    from matplotlib.ticker import NullFormatter, NullLocator

    rows = math.ceil(count / columns)
    drawn, axes = figure(rows, columns, width, 0.5 + rows * panel_height, sharex=shared, sharey=shared)
    panels = list(axes.flat)
    for k, panel in enumerate(panels[:count]):
        inner = (panel.xaxis, k + columns < count), (panel.yaxis, k % columns > 0)
        for axis in [axis for axis, hidden in inner if shared and hidden]:
            # Its own, since shared axes have one for all.
            axis.major = Ticker()
            axis.set_major_locator(NullLocator())
            axis.set_major_formatter(NullFormatter())
        if shared and k + columns >= count:
            panel.tick_params(labelbottom=True)
    for panel in panels[count:]:
        panel.remove()
    return drawn, panels[:count]


def channel_panels(items: int, channels: int, columns: int, panel_height: float) -> tuple[Figure, list[list[Axes]]]:
    """Panels of items filled row by row; one a channel of each item, under one another, named, and each on one scale.

    Of more than `CHANNELS` channels the first so many have a panel, and their names say it. Items come without axes
    of their own unit: the panels of one channel share theirs.

    Returns:
        The figure, and for each item the panels of its channels.
    """
    if channels == 1:
        drawn, panels = small_multiples(items, columns, panel_height)
        return drawn, [[panel] for panel in panels]
    shown, blocks = min(channels, CHANNELS), math.ceil(items / columns)
    rows = blocks * shown
    drawn, axes = figure(rows, columns, height=0.5 + rows * panel_height, sharex=True)
    by_item = [[axes[k // columns * shown + c, k % columns] for c in range(shown)] for k in range(items)]
    for k, panels in enumerate(by_item):
        for c, panel in enumerate(panels):
            if k:
                panel.sharey(by_item[0][c])
            panel.tick_params(labelleft=k % columns == 0, labelbottom=c == shown - 1 and k + columns >= items)
            if k % columns == 0:
                panel.set_ylabel(channel_name(c, channels), fontsize=SMALL)
    for panel in set(axes.flat).difference(*by_item):
        panel.remove()
    return drawn, by_item


def channel_name(number: int, channels: int) -> str:
    """What a figure calls the channel `number`, counted from 0, of so many."""
    return f"channel {number + 1}" + (f" of {channels}" if channels > CHANNELS else "")


def render(drawn: Figure) -> np.ndarray:
    """A figure's pixels, `(height, width, 3)` uint8."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(drawn)
    with warnings.catch_warnings():
        # Names may be in any script, and what no font has is drawn as a box.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def png(drawn: Figure) -> bytes:
    """A figure as a PNG file.

    It is laid out and drawn once, which is most of the work; matplotlib's own `savefig` does both twice.
    """
    from io import BytesIO

    from PIL import Image

    file, resolution = BytesIO(), (drawn.get_dpi(), drawn.get_dpi())
    # A twentieth larger than at the default compression, in half the time.
    Image.fromarray(render(drawn)).save(file, format="PNG", compress_level=2, dpi=resolution)
    return file.getvalue()


def as_array(x: ArrayLike) -> np.ndarray:
    """A numpy array, or a torch tensor on the CPU, as numpy, without a copy."""
    return np.asarray(x)


def column_count(count: int) -> int:
    """Columns of the grid of `count` panels that is nearest to a square, and never taller than wide."""
    return math.ceil(math.sqrt(count))


def literal(text: str) -> str:
    """A name of the user's as matplotlib draws it letter by letter: no formulas, one line, not too long."""
    one_line = " ".join(text.encode(errors="backslashreplace").decode().split())
    short = one_line if len(one_line) <= LONGEST else f"{one_line[: LONGEST - 1]}…"
    return short.replace("$", r"\$")


def title(axes: Axes, text: str, align: str = "left") -> None:
    """A small title over a panel."""
    axes.set_title(text, fontsize=TEXT, color=INK, loc=align, pad=3)  # type: ignore[arg-type]


def axis_labels(drawn: Figure, x: str, y: str = "") -> None:
    """One label for the x axes, and one for the y axes, of all panels together."""
    drawn.supxlabel(x, fontsize=TEXT, color=INK)
    if y:
        drawn.supylabel(y, fontsize=TEXT, color=INK)


def legend_above(drawn: Figure, axes: Axes) -> None:
    """One legend for all panels, in a row above them, from the labels of one."""
    handles, labels = axes.get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False, fontsize=TEXT)


def legend_beside(axes: Axes, **settings: Any) -> None:
    """A legend on the right of the panel, outside, where it hides no data; `settings` go to `Axes.legend`."""
    axes.legend(
        loc="center left",
        bbox_to_anchor=(1.01, 0.5),
        frameon=False,
        fontsize=SMALL,
        handletextpad=0.4,
        **settings,
    )


def class_colours(count: int) -> list[Any]:
    """`count` distinct colours: Petroff's ten, and beyond ten an even walk through matplotlib's turbo."""
    if count <= len(PALETTE):
        return list(PALETTE[:count])
    import matplotlib

    return list(matplotlib.colormaps["turbo"](np.linspace(0.04, 0.96, count)))


def time_axis(samples: int, sample_rate: float | None) -> tuple[np.ndarray, str]:
    """Times `(samples,)` in the unit (s, ms, µs, ns) that suits their length, and the axis label.

    Without a `sample_rate` (Hz) time is counted in samples.
    """
    if sample_rate is None:
        return np.arange(samples), "sample"
    scale, unit = _unit(samples / sample_rate, {1.0: "s", 1e-3: "ms", 1e-6: "µs", 1e-9: "ns"})
    return np.arange(samples) / sample_rate / scale, f"time ({unit})"


def frequency_axis(samples: int, sample_rate: float | None) -> tuple[np.ndarray, str]:
    """Frequencies `(samples // 2 + 1,)` of a real FFT in GHz, MHz, kHz or Hz by the rate, and the axis label.

    Without a `sample_rate` (Hz) frequency is counted in cycles per sample.
    """
    if sample_rate is None:
        return np.fft.rfftfreq(samples), "frequency (cycles per sample)"
    scale, unit = _unit(sample_rate / 2, {1e9: "GHz", 1e6: "MHz", 1e3: "kHz", 1.0: "Hz"})
    return np.fft.rfftfreq(samples, 1 / sample_rate) / scale, f"frequency ({unit})"


def _unit(largest: float, units: dict[float, str]) -> tuple[float, str]:
    """The largest unit that is not larger than the largest value, else the smallest."""
    scale = next((scale for scale in units if largest >= scale), min(units))
    return scale, units[scale]


def _plain(axes: Axes) -> None:
    """Thin axes on the left and below, small type: set on the panel, since ticks are made when drawn."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set(linewidth=0.6, color=GREY)
    axes.tick_params(labelsize=SMALL, labelcolor=INK, color=GREY, width=0.6, length=2.5, pad=2)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(fontsize=TEXT, color=INK)
