"""Radio traces: a short pulse, of a known family of shapes or of the user's own, under the noise of an antenna."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vaelab.data.items import Items, LeftOut, Signature
from vaelab.dataset.axes import Axes
from vaelab.dataset.files import attempt, existing_file, files_under, name_in
from vaelab.dataset.signal_table import read_table, read_with_axes
from vaelab.errors import UserError
from vaelab.memory import NUMBER, check_size
from vaelab.simulators.radio import HIGH, LOW, Noise, antenna_response, simulate_traces

COREAS = frozenset({".dat"})
LONGEST = 2**24  # samples


@dataclass
class Radio:
    """Pulses of 30 to 80 MHz in noise, with their noise-free partners.

    Attributes:
        traces: how many.
        noise: `radio` (galactic, thermal and narrow lines), `uniform` or `cosine`.
        snr: peak of the pulse's envelope over the RMS of the noise: one number, or the two ends of a
            log-uniform law.
        noise_only: share of traces that hold no pulse.
        samples: length of each.
        sample_rate: in Hz.
        templates: pulses of one's own in place of the built-in law, as `read_templates` takes them; each is used
            many times, with random polarity, position and noise.
        templates_rate: sample rate in Hz of a table of templates; None: that of the traces.
        key: which array of an npz of templates.
        axes: which axis of a table of templates is which, out of items, channels and time; None: read from the shape.
        seed: decides everything drawn.
    """

    traces: int = 20_000
    noise: Noise = "radio"
    snr: float | tuple[float, float] = (1.0, 10.0)
    noise_only: float = 0.0
    samples: int = 500
    sample_rate: float = 180e6
    templates: str | None = None
    templates_rate: float | None = None
    key: str | None = None
    axes: str | list[str] | None = None
    seed: int = 0

    def load(self) -> Items:
        """Traces `(items, 1, time)` float32 in mV and their `clean` partners.

        Factors: `snr`, `position` in samples (-1 without a pulse), `is_pulse`; facts: the band, `low_hz`, `high_hz`.
        Traces of one row or file of templates are one group. Raises `UserError` if a setting is outside its range, or
        the templates cannot be used.
        """
        # Clean and noisy.
        check_size(NUMBER * 2 * self.traces * self.samples, "dataset.traces", "dataset.samples")
        law = (float(self.snr[0]), float(self.snr[1])) if isinstance(self.snr, Sequence) else self.snr
        own = None
        if self.templates is not None:
            rate = self.templates_rate or self.sample_rate
            own = read_templates(self.templates, rate, self.samples, self.sample_rate, self.key, self.axes)
        simulated = simulate_traces(
            self.traces,
            noise=self.noise,
            snr=law,
            noise_only=self.noise_only,
            samples=self.samples,
            sample_rate=self.sample_rate,
            seed=self.seed,
            templates=None if own is None else own.pulses,
        )
        return Items(
            "trace",
            simulated.noisy,
            simulated.clean,
            group=None if own is None else own.group[simulated.template],
            facts={"low_hz": LOW, "high_hz": HIGH},
            factors={"snr": simulated.snr, "position": simulated.position, "is_pulse": simulated.is_pulse},
            sample_rate=self.sample_rate,
            left_out=[] if own is None else own.left_out,
        )

    def read(self, path: str | Path, signature: Signature) -> Tensor:
        """Traces `(items, 1, time)` float32 of the user's own file, of any length, sample by sample."""
        return self.read_with_axes(path, signature)[0]

    def read_with_axes(self, path: str | Path, signature: Signature) -> tuple[Tensor, Axes]:
        """The same, and how the file lays them out."""
        return read_with_axes(path, signature)


@dataclass
class Templates:
    """Pulses as the antenna records them.

    Attributes:
        pulses: `(pulses, samples)` float32, in the unit of the file.
        group: `(pulses,)` int64, which row or file each comes from.
        left_out: rows and files that hold no pulse, and why.
    """

    pulses: Tensor
    group: Tensor
    left_out: list[LeftOut]


def read_templates(
    path: str | Path,
    rate: float,
    samples: int,
    sample_rate: float,
    key: str | None = None,
    axes: str | list[str] | None = None,
) -> Templates:
    """Pulses of the user's own, resampled and band-limited to 30 to 80 MHz.

    Args:
        path: a table (csv, npy, npz) with one pulse a row, or `(pulses, polarisations, time)`; or a CoREAS `.dat` file
            or a folder of them, with the columns time in s and three components of the electric field (Huege, Ludwig &
            James, 2013), each of which becomes a template.
        rate: sample rate of a table in Hz; CoREAS files tell their own.
        samples: length of a trace.
        sample_rate: of a trace, in Hz.
        key: which array of an npz; None for the only one with two or three dimensions.
        axes: which axis of a table is which, out of items, channels and time; None: read from the shape.

    Raises:
        UserError: if the file or folder cannot be read, a pulse is longer than a trace or too finely sampled, or none
            is left.
    """
    where = Path(path).expanduser()
    is_coreas = where.is_dir() or where.suffix.lower() in COREAS
    fields, left_out = _coreas(where) if is_coreas else _table(where, rate, key, axes)
    pulses, group = [], []
    for number, (name, values, own_rate) in enumerate(fields):
        length, longest = values.shape[-1] / own_rate, samples / sample_rate
        if length > longest * 1.001:
            raise UserError(
                f"{where}: {name} lasts {length * 1e6:.3g} µs, a trace {longest * 1e6:.3g}: raise dataset.samples, or "
                "check dataset.templates_rate"
            )
        if longest * own_rate > LONGEST:
            raise UserError(
                f"{where}: {name} has {own_rate:.3g} samples a second, which makes {longest * own_rate:.3g} in the "
                f"length of a trace, more than {LONGEST:,}: check dataset.templates_rate, or the times in the file"
            )
        recorded = as_recorded(values, own_rate, samples, sample_rate)
        kept = recorded[recorded.any(1)]
        pulses.append(kept)
        group += [number] * len(kept)
        left_out += [] if len(kept) else [LeftOut(name, "holds nothing between 30 and 80 MHz")]
    if not group:
        raise UserError(f"{where} holds no pulse: give a table with one a row, or a folder of CoREAS .dat files")
    return Templates(torch.cat(pulses), torch.tensor(group), left_out)


def as_recorded(field: np.ndarray, rate: float, samples: int, sample_rate: float) -> Tensor:
    """Fields `(n, time)` at `rate` Hz as the antenna records them: `(n, samples)` float32 at `sample_rate`.

    The envelope's peak lies in the middle. A field that has nothing in the band becomes zeros.
    """
    from scipy.signal import hilbert, resample

    # Zeros to the length of a trace: the record is then the same time, whatever the rate.
    padded = np.zeros((len(field), round(samples / sample_rate * rate)))
    padded[:, : field.shape[1]] = field[:, : padded.shape[1]]
    response = lambda f: antenna_response(torch.from_numpy(np.abs(f) * rate)).numpy()  # noqa: E731
    recorded = resample(padded, samples, axis=1, window=response)
    # What is left of a field without a part in the band are rounding errors.
    recorded[np.abs(recorded).max(1) <= 1e-6 * np.abs(field).max(1)] = 0
    peak = np.abs(hilbert(recorded)).argmax(1)
    centred = [np.roll(row, samples // 2 - k) for row, k in zip(recorded, peak, strict=True)]
    return torch.from_numpy(np.array(centred)).float()


Field = tuple[str, np.ndarray, float]


def _table(path: Path, rate: float, key: str | None, axes: str | list[str] | None) -> tuple[list[Field], list[LeftOut]]:
    """Name, polarisations `(n, time)` and sample rate of each row."""
    table = read_table(existing_file(path), key, axes=axes)
    return [(f"row {k + 1}", row, rate) for k, row in enumerate(table.values)], list(table.left_out)


def _coreas(path: Path) -> tuple[list[Field], list[LeftOut]]:
    """Name, polarisations `(3, time)` and sample rate of each file."""
    files, left_out = files_under(path, COREAS, "CoREAS pulses") if path.is_dir() else ([existing_file(path)], [])
    fields = []
    for file in files:
        name = name_in(path, file) if path.is_dir() else file.name
        values = attempt(_read_coreas, file)
        if isinstance(values, str):
            left_out.append(LeftOut(name, values))
        else:
            fields.append((name, *values))
    return fields, left_out


def _read_coreas(path: Path) -> tuple[np.ndarray, float]:
    values = np.loadtxt(path, ndmin=2)
    if values.shape[1] != 4 or len(values) < 2 or not np.isfinite(values).all():
        raise ValueError("has not the columns time and three components of the field")
    step = np.diff(values[:, 0])
    if not (step > 0).all() or np.ptp(step) > 1e-3 * step.mean():
        raise ValueError("time does not rise in even steps")
    return values[:, 1:].T, 1 / step.mean()
