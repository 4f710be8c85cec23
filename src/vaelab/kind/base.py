"""What a kind of signal knows: the interface of the group `kind`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

from torch import Tensor

from vaelab.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vaelab.codec.base import Codec
    from vaelab.data.items import Signature
    from vaelab.data.module import DataModule
    from vaelab.metrics.features import Features

# Training items that the baselines are fitted on: enough for them, and not the gigabytes of a large set.
BASELINE_ITEMS = 5000


class Examined(NamedTuple):
    """What a model with a code made of some items, on the CPU.

    Attributes:
        x: what it saw, encoded, `(items, channels, *size)`.
        target: what was to come out, shaped as `x`: `x` itself, or its clean partner.
        reconstruction: what came out, shaped as `x`.
        code: `(items, code_size)` posterior means.
        label: `(items,)` as a batch has it.
        level: `(items,)` as a batch has it.
        item: `(items,)` rows of the data.
    """

    x: Tensor
    target: Tensor
    reconstruction: Tensor
    code: Tensor
    label: Tensor
    level: Tensor
    item: Tensor

    def rows(self, which: Tensor | slice) -> Examined:
        """Those in some rows."""
        return Examined(*(values[which] for values in self))

    def head(self, n: int) -> Examined:
        """The first `n`."""
        return self.rows(slice(n))


class Codes(NamedTuple):
    """Posterior means `(items, code_size)` of the items in some rows `(items,)` of the data."""

    code: Tensor
    item: Tensor


class Sound(NamedTuple):
    """A `(samples,)` wave in [−1, 1] and its rate in Hz."""

    wave: Tensor
    sample_rate: int


class Overlay(NamedTuple):
    """What the newest item of a stream is drawn over: both `(channels, time)`."""

    reference: Tensor
    smoothed: Tensor


Band = tuple[Tensor, Tensor]


class Model(Protocol):
    """What figures may ask of whatever made the reconstructions."""

    def band(self, examined: Examined) -> Band | None:
        """Encoded lower and upper ends around reconstructions; None where the model does not know how sure it is."""

    def realisations(self, code: Tensor) -> Tensor:
        """`(draws, n, *shape)` draws of what codes `(n, code_size)` stand for."""


def _numbers(given: Any) -> dict[str, float]:
    """Measures as plain numbers: a tensor of one number is one. Raises `TypeError` and the like where they are none."""
    return {_text(name): float(value) for name, value in given.items()}


def _figures(given: Any) -> dict[str, Figure]:
    return {_text(name): _figure(figure) for name, figure in given.items()}


def _figure(given: Any) -> Any:
    if not hasattr(given, "savefig"):
        raise TypeError
    return given


def _figure_or_none(given: Any) -> Any:
    return None if given is None else _figure(given)


def _text(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError
    return name


# What a kind's methods return, in words, and what takes it or raises an error.
MEASURED = ("a dict, each name with one number", _numbers)
DRAWN = ("a dict, each name with a figure of matplotlib", _figures)
ONE_DRAWN = ("a figure of matplotlib, or None", _figure_or_none)
CHECKS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(("measures", "quick_measures", "code_measures", "band_measures", "path_measures"), MEASURED),
    **dict.fromkeys(("sample_measures", "quick_sample_measures", "sample_baselines", "distances"), MEASURED),
    "fill_measures": MEASURED,
    **dict.fromkeys(("figures", "sample_figures"), DRAWN),
    **dict.fromkeys(("sample_figure", "path_figure", "fill_figure"), ONE_DRAWN),
}


def _checked(method: Callable[..., Any], name: str, check: tuple[str, Callable[[Any], Any]]) -> Callable[..., Any]:
    """A method whose result is held against what it must be; it raises `UserError` where it is anything else."""
    words, taken = check

    @functools.wraps(method)
    def checked(self: Kind, *args: Any, **kwargs: Any) -> Any:
        given = method(self, *args, **kwargs)
        try:
            return taken(given)
        except (TypeError, ValueError, RuntimeError, AttributeError) as error:
            raise UserError(f"kind={self.name}: {name} gives {type(given).__name__}: it must be {words}") from error

    return checked


class Kind:
    """What is good, what is drawn and what is heard of one kind of signal. It sees arrays and data, and never a net.

    Arrays of items are encoded, `(n, *shape)`, unless it says otherwise; `codec` gives back the user's units. Measures
    are flat, name → number; a baseline's name begins with `baseline/`, a ceiling's with `ceiling/`. Tables and sweeps
    read from a measure's name which way it is better: with a word such as `error` or `distance` in it, less, with
    `bias` near 0, with `ratio` near 1 (`metrics.direction` lists the words); of all else, more. A new kind says which
    data it `fits`, and overrides what it knows; whatever it leaves out is not measured or drawn::

        # mykinds.py
        from matplotlib.figure import Figure

        from vaelab.kind.signals import Signals


        class Heartbeats(Signals):
            name, what, prefix = "heartbeats", "heartbeats", "heart"
            samples = 100

            @classmethod
            def fits(cls, signature):
                return super().fits(signature) and "beats_per_minute" in signature.facts

            def sample_measures(self, x, item, data):
                return {"energy": float(self.codec.decode(x).square().mean())}

            def sample_baselines(self, item, data):
                return {"ceiling/energy": float(self.codec.decode(data.rows(item).x).square().mean())}

            def sample_figure(self, x):
                figure = Figure()
                figure.subplots().plot(self.codec.decode(x)[:8, 0].T)
                return figure

        # mine/kind/heartbeats.yaml
        _target_: mykinds.Heartbeats

    With an entry `configs/kind/heartbeats.yaml`, `_target_: vaelab.kind.heartbeats.Heartbeats`, it is chosen for such
    data by itself: of all kinds that fit, the one that is derived from the others. One in a folder of your own
    (`mine/kind/heartbeats.yaml`) is chosen by `kind=heartbeats`. Figures are made by `matplotlib.figure.Figure`.
    `data.rows(item)` are encoded items, `data.factors(item)` what is known of them, `data.batch("train", n)` others.

    Attributes:
        name: of the entry in the group `kind`.
        what: the data that it is for, in words.
        prefix: what its measures are named under.
        samples: how many new items `sample_measures` wants; 0: it has none.
        quick_samples: likewise for `quick_sample_measures`.
        items_are_draws: whether chance is part of an item, so that the mean of several is none.
        has_clean: whether what is to come out is another signal than what goes in.
        part: what one item of a file with several is called.
        gap: pixels between the items on a sheet of them.
    """

    name: ClassVar[str] = ""
    what: ClassVar[str] = ""
    prefix: str = ""
    samples: ClassVar[int] = 0
    quick_samples: ClassVar[int] = 0
    items_are_draws: ClassVar[bool] = False
    has_clean: ClassVar[bool] = False
    part: ClassVar[str] = "row"
    gap: ClassVar[int] = 0

    def __init_subclass__(cls) -> None:
        """Have what the class itself measures and draws checked when it is returned."""
        super().__init_subclass__()
        for name, check in CHECKS.items():
            if name in vars(cls):
                setattr(cls, name, _checked(vars(cls)[name], name, check))

    def __init__(self, codec: Codec, signature: Signature, seed: int = 0) -> None:
        if not self.fits(signature):
            raise UserError(f"kind={self.name} is for {self.what}; these are {signature.kind}s: use kind=auto")
        self.codec, self.signature, self.seed = codec, signature, seed

    @classmethod
    def fits(cls, signature: Signature) -> bool:
        """Whether data of this signature are of this kind."""
        raise NotImplementedError

    # Measures -----------------------------------------------------------------------------------------------------

    def measures(self, examined: Examined, data: DataModule) -> dict[str, float]:
        """How good reconstructions are, beside their baselines."""
        return {}

    def quick_measures(self, examined: Examined, data: DataModule) -> dict[str, float]:
        """Those of `measures` that take no time: shown over the training, under `val`."""
        return {}

    def code_measures(self, test: Codes, train: Callable[[], Codes], data: DataModule) -> dict[str, float]:
        """What codes tell of the truth that is known of the items; `train` gives those of training items."""
        return {}

    def sample_measures(self, x: Tensor, item: Tensor, data: DataModule) -> dict[str, float]:
        """How good new items are, where need be held against those in the rows `item` of the data."""
        return {}

    def sample_baselines(self, item: Tensor, data: DataModule) -> dict[str, float]:
        """What `sample_measures` stand beside."""
        return {}

    def distances(self, x: Tensor, true: Tensor) -> dict[str, float]:
        """How far new items are from as many true ones, beside what is measured of every kind."""
        return {}

    def features(self, data: DataModule) -> Features:
        """What new items of any method are compared in: fitted on training items alone, once for the same data."""
        return data.once(("features", self.name, self.seed), lambda: self._fitted_features(data))

    def _fitted_features(self, data: DataModule) -> Features:
        from vaelab.metrics.features import fitted_features
        from vaelab.metrics.samples import affordable

        n = min(BASELINE_ITEMS, affordable(data.batch("train", 1).target.shape[1:]))
        train, test = data.batch("train", n), data.batch("test", n)
        return fitted_features(train.target, train.label, test.target, test.label, self.seed)

    def quick_sample_measures(self, x: Tensor, item: Tensor, data: DataModule) -> dict[str, float]:
        """As `quick_measures`, of new items."""
        return {}

    def fill_measures(self, filled: Tensor, true: Tensor, hidden: Tensor) -> dict[str, float]:
        """How near what was `hidden` `(n, 1, *size)` of items has come back; what was not does not count."""
        from vaelab.metrics.inpainting import hidden_errors

        return {"masked_error": float(hidden_errors(filled, true, hidden).mean())}

    def path_ends(self, item: Tensor, data: DataModule) -> tuple[Tensor, Tensor] | None:
        """Where paths that are measured begin and end: two lists of places in `item`; None: no path is measured."""
        return None

    def path_measures(self, x: Tensor, start: Tensor, end: Tensor, data: DataModule) -> dict[str, float]:
        """How good paths `(paths, steps, *shape)` are, between items in the rows `start` and `end` of the data."""
        return {}

    def band_measures(self, examined: Examined, bands: Mapping[str, Band], agreement: Tensor) -> dict[str, float]:
        """How well bands, by the prefix of their measures, hold what was to come out.

        Args:
            examined: the items.
            bands: encoded lower and upper ends.
            agreement: `(items,)`, the surer a reconstruction is of itself, the greater.
        """
        from vaelab.metrics.band import band_measures

        encoded = (examined.target, examined.reconstruction)
        clean, recovered = (self.codec.decode(x, examined.level) for x in encoded)
        measures: dict[str, float] = {}
        for prefix, ends in bands.items():
            lower, upper = (self.codec.decode(end, examined.level) for end in ends)
            held = band_measures(clean, recovered, lower, upper)
            measures |= {f"{prefix}{name}": value for name, value in held.items()}
        return measures

    # Figures ------------------------------------------------------------------------------------------------------

    def figures(self, examined: Examined, model: Model) -> dict[str, Figure]:
        """Pictures of what the model made of some items."""
        return {}

    def sample_figures(self, x: Tensor, true: Tensor) -> dict[str, Figure]:
        """Pictures of `samples` new items as a whole, beside true ones."""
        return {}

    def sample_figure(self, x: Tensor) -> Figure | None:
        """One picture of new items."""
        return None

    def path_figure(self, x: Tensor) -> Figure | None:
        """One picture of an interpolation `(steps, *shape)`."""
        return self.sample_figure(x)

    def fill_figure(self, x: Tensor, hidden: Tensor, filled: Tensor, level: Tensor | None) -> Figure | None:
        """One picture of items, what was `hidden` `(n, 1, *size)` of them, and what it was filled with."""
        return None

    def path_shown(self, x: Tensor) -> tuple[int, int] | None:
        """Which two of some items have their path in a run's figures; None: none have."""
        return None

    def drawable(self, x: Tensor, level: Tensor | None) -> Tensor:
        """Items as a sheet of many shows them: `(n, channels, time)`, or pictures `(n, channels, height, width)`."""
        return self.codec.decode(x, level)

    def sprites(self, x: Tensor) -> Tensor | None:
        """Items as small pictures `(n, channels, height, width)` in [0, 1]; None where they are none."""
        return None

    def overlay(self, items: Tensor) -> Overlay | None:
        """What the last of some `drawable` items is drawn over; None: nothing."""
        return None

    # What leaves, and comes in ------------------------------------------------------------------------------------

    def sounds(self, x: Tensor, level: Tensor | None) -> list[Sound]:
        """Items as sound, where they are sound."""
        return []

    def streamed(self, x: Tensor) -> Tensor:
        """Items as files of many have them: `(n, *raw_shape)` in the user's units."""
        return self.codec.decode(x)

    def read(self, file: str | Path) -> Tensor:
        """Raw items `(n, *raw_shape)` of one of the user's own files. Raises `UserError` where it cannot be read."""
        raise NotImplementedError

    @classmethod
    def files(cls) -> tuple[frozenset[str], str]:
        """How the files end that hold such items, and what such files are called."""
        raise NotImplementedError
