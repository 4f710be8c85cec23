"""Clean a recording of the user's own."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vaelab.errors import UserError
from vaelab.run import Run
from vaelab.tasks.base import Output, read_file
from vaelab.variants.denoiser import Denoiser


@dataclass
class Denoise:
    """Recover the signal of every trace in `file` (csv, npy, npz or wav), of any length, by overlapping windows."""

    file: str = ""

    def __call__(self, run: Run, out: Output) -> None:
        """Write the recovered traces in the file's own format and units, with a picture."""
        from vaelab.figures.traces import trace_rows

        if not isinstance(run.variant, Denoiser):
            raise UserError("task=denoise needs a run of variant=denoiser, such as experiment=radio")
        if not self.file:
            raise UserError("task.file has no value: give a csv, npy, npz or wav file with the traces to clean")
        noisy = read_file(run, self.file)
        recovered = denoise(run, noisy)
        self._write(run, out, recovered)
        out.figure("recovered", trace_rows(noisy, None, recovered, run.signature.sample_rate))

    def _write(self, run: Run, out: Output, recovered: Tensor) -> None:
        file = Path(self.file)
        rows, name = recovered.flatten(1).numpy(), f"{file.stem}_recovered"
        if file.suffix.lower() == ".wav":
            import soundfile

            rate = soundfile.info(file.expanduser()).samplerate
            soundfile.write(out.path(f"{name}.wav"), recovered[0].T.numpy(), rate, subtype="FLOAT")
        elif file.suffix.lower() in (".npy", ".npz"):
            out.array(name, recovered)
        else:
            np.savetxt(out.path(f"{name}.csv"), rows, delimiter=",", fmt="%.8g")


@torch.inference_mode()
def denoise(run: Run, noisy: Tensor) -> Tensor:
    """Recovered traces `(n, channels, time)`, shaped as `noisy`, in its units.

    Windows as long as the run's traces overlap by half and are weighted by a Hann window, so that no seam shows;
    a trace of just that length is one window.
    """
    length = run.signature.raw_shape[-1]
    samples = noisy.shape[-1]
    if noisy.shape[1] != run.signature.raw_shape[0]:
        raise UserError(f"the file has {noisy.shape[1]} channels, the run was trained on {run.signature.raw_shape[0]}")
    if samples == length:
        return _recover(run, noisy)
    hop = max(length // 2, 1)
    windows = max(-(-(samples - length) // hop), 0) + 1
    padded = torch.nn.functional.pad(noisy, (0, (windows - 1) * hop + length - samples))
    # A little above zero at its ends, so that the first and last samples have a weight.
    taper = torch.hann_window(length) + 1e-3
    total, weight = torch.zeros_like(padded), torch.zeros(padded.shape[-1])
    for k in range(windows):
        part = slice(k * hop, k * hop + length)
        total[..., part] += taper * _recover(run, padded[..., part])
        weight[part] += taper
    return (total / weight)[..., :samples]


def _recover(run: Run, noisy: Tensor) -> Tensor:
    variant = run.variant
    x, level = variant.codec.encode(noisy)
    codes = torch.cat([variant.posterior(part.to(variant.device)).mean.cpu() for part in x.split(256)])
    return variant.codec.decode(variant.decode(codes), level)
