"""Clean a recording of the user's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vaelab.data.module import fair_draw
from vaelab.dataset.arrays import is_arrays
from vaelab.dataset.axes import ROWS, SIGNALS, Axes, laid_out
from vaelab.dataset.signal_table import TableReader
from vaelab.errors import UserError
from vaelab.run.build import build_source
from vaelab.run.checkpoint import Run
from vaelab.task.base import Output, read_file
from vaelab.variant.base import Denoises

if TYPE_CHECKING:
    from vaelab.metrics.band import Calibration

DRAWN = 3  # traces of a file that its figure shows


@dataclass
class Denoise:
    """Recover the signal of every trace in `file` (csv, npy, npz or wav), of any length, by overlapping windows.

    A run with a probabilistic latent adds, with `band`, a 90 % band and the probability that the peak is in the right
    place, both calibrated on the run's validation split.
    """

    needs: ClassVar[type] = Denoises

    file: str = ""
    band: bool = True

    def __call__(self, run: Run, out: Output) -> None:
        """Write the recovered traces, and the ends of their band, in the file's format, units and axes; a picture."""
        from vaelab.figures.traces import trace_rows

        assert isinstance(run.variant, Denoises)
        if not self.file:
            raise UserError("task.file has no value: give a csv, npy, npz or wav file with the traces to clean")
        noisy, axes = read_traces(run, self.file)
        recovered = denoise(run, noisy, _calibration(run) if self.band and run.variant.latent.has_prior else None)
        self._write(out, "recovered", recovered.traces, axes)
        if recovered.band is not None:
            for name, end in zip(("lower", "upper"), recovered.band, strict=True):
                self._write(out, name, end, axes)
        if recovered.certainty is not None:
            self._write_certainty(out, recovered.certainty)
        shown = fair_draw(len(noisy), DRAWN, run.config.seed).sort().values
        band = None if recovered.band is None else (recovered.band[0][shown], recovered.band[1][shown])
        titles = [f"trace {k}" for k in (shown + 1).tolist()]
        rate = run.signature.sample_rate
        out.figure("recovered", trace_rows(noisy[shown], None, recovered.traces[shown], rate, titles=titles, band=band))

    def _write(self, out: Output, what: str, traces: Tensor, axes: Axes) -> None:
        file = Path(self.file)
        name = f"{file.stem}_{what}"
        if file.suffix.lower() == ".wav":
            import soundfile

            rate = soundfile.info(file.expanduser()).samplerate
            with out.file(f"{name}.wav") as path:
                soundfile.write(path, traces[0].T.numpy(), rate, subtype="FLOAT")
            return
        table = laid_out(traces.numpy(), axes, SIGNALS)
        if table.ndim > 2 or file.expanduser().is_dir() or is_arrays(file.expanduser()):
            out.array(name, torch.from_numpy(table))
        else:
            with out.file(f"{name}.csv") as path:
                np.savetxt(path, table, delimiter=",", fmt="%.8g")

    def _write_certainty(self, out: Output, certainty: Tensor) -> None:
        with out.table(f"{Path(self.file).stem}_certainty") as writer:
            writer.writerow(["trace", "certainty", "certain"])
            for number, sure in enumerate(certainty.tolist(), start=1):
                writer.writerow([number, f"{sure:.4f}", "yes" if sure >= 0.5 else "no"])


def read_traces(run: Run, file: str) -> tuple[Tensor, Axes]:
    """The traces `(n, channels, time)` of a file, and the axes in which it holds them, and gets them back."""
    source = build_source(run.config)
    if isinstance(source, TableReader):
        return source.read_with_axes(file, run.signature)
    noisy = read_file(run, file)
    return noisy, ROWS if noisy.shape[1] == 1 else SIGNALS


class Recovered(NamedTuple):
    """What became of some traces.

    Attributes:
        traces: `(n, channels, time)` in the units of the noisy ones.
        band: lower and upper end, shaped as `traces`; None without a calibration.
        certainty: `(n,)` probability that the largest |value| is in the right place; None without a calibration.
    """

    traces: Tensor
    band: tuple[Tensor, Tensor] | None = None
    certainty: Tensor | None = None


@torch.inference_mode()
def denoise(run: Run, noisy: Tensor, calibration: Calibration | None = None) -> Recovered:
    """Recover traces `(n, channels, time)` of any length, with a band around them if the model's doubt is calibrated.

    Windows as long as the run's traces overlap by half and are weighted by a Hann window, so that no seam shows;
    a trace of just that length is one window. The certainty is that of the window which holds the largest |value|.
    """
    length, samples = run.signature.raw_shape[-1], noisy.shape[-1]
    if noisy.shape[1] != run.signature.raw_shape[0]:
        raise UserError(f"the file has {noisy.shape[1]} channels, the run was trained on {run.signature.raw_shape[0]}")
    if samples == length:
        return _as_recovered(*_recover(run, noisy, calibration))
    hop = max(length // 2, 1)
    windows = max(-(-(samples - length) // hop), 0) + 1
    padded = torch.nn.functional.pad(noisy, (0, (windows - 1) * hop + length - samples))
    # A little above zero at its ends, so that the first and last samples have a weight.
    taper = torch.hann_window(length) + 1e-3
    total, weight = torch.zeros(1 if calibration is None else 3, *padded.shape), torch.zeros(padded.shape[-1])
    height, certainty = torch.full((len(noisy),), -1.0), None
    for k in range(windows):
        part = slice(k * hop, k * hop + length)
        layers, sure = _recover(run, padded[..., part], calibration)
        total[..., part] += taper * layers
        weight[part] += taper
        tallest = layers[0].flatten(1).abs().amax(1)
        if sure is not None:
            certainty = sure if certainty is None else sure.where(tallest > height, certainty)
        height = torch.maximum(height, tallest)
    return _as_recovered((total / weight)[..., :samples], certainty)


def _as_recovered(layers: Tensor, certainty: Tensor | None) -> Recovered:
    traces, *ends = layers
    return Recovered(traces, (ends[0], ends[1]) if ends else None, certainty)


def _recover(run: Run, noisy: Tensor, calibration: Calibration | None) -> tuple[Tensor, Tensor | None]:
    """Traces as long as the run's: recovered, with lower and upper end `(3, *noisy.shape)` or without; certainty."""
    variant, codec, device = run.variant, run.variant.codec, run.variant.device
    assert isinstance(variant, Denoises)
    x, level = codec.encode(noisy)
    posteriors = (variant.posterior(part.to(device)) for part in x.split(256))
    recovered = torch.cat([variant.reconstruct(posterior).cpu() for posterior in posteriors])
    if calibration is None:
        return codec.decode(recovered, level)[None], None
    from vaelab.metrics.band import band, certainty

    spread, score = variant.doubt(x, recovered)
    layers = (recovered, *band(recovered, spread, calibration))
    return torch.stack([codec.decode(layer, level) for layer in layers]), certainty(score, calibration)


def _calibration(run: Run) -> Calibration:
    assert isinstance(run.variant, Denoises)
    try:
        data = run.data()
    except UserError as error:
        raise UserError(f"the band needs the run's data: {error}; task.band=false goes without") from error
    return run.variant.calibrate(data)
