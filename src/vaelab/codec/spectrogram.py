"""Sound: log-magnitude spectrograms relative to their peak, and the wave back from them."""

import math
import warnings

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from vaelab.codec.base import Codec, Encoded
from vaelab.codec.checks import require_finite
from vaelab.errors import UserError
from vaelab.memory import NUMBER, check_size

LONGEST = 2**20  # samples in a frame
CHUNK = 2  # items: larger ones leave the processor's cache and are slower
SILENCE = 1e-14  # power that counts as nothing
DB = 10 / math.log(10)


class SpectrogramCodec(Codec):
    """Short-time magnitudes in dB under the peak of the item, floored and scaled to [0, 1]; the peak is 1.

    The level is that peak in dB re 1 (`peak_db`). The topmost row, at half the sample rate, is dropped so
    that the number of bins is even, and put back at the floor. Phases come from Griffin and Lim's iteration
    in its fast form (Perraudin, Balazs and Søndergaard, 2013).
    """

    window: Tensor
    samples: Tensor

    def __init__(self, n_fft: int = 512, hop_length: int = 128, floor_db: float = 80.0, iterations: int = 60) -> None:
        """Raise `UserError` if frames are odd or overlap by less than half, or the floor is no depth."""
        super().__init__()
        if not 2 <= n_fft <= LONGEST or n_fft % 2 or not 0 < hop_length <= n_fft // 2 or floor_db <= 0:
            raise UserError(
                f"n_fft={n_fft} hop_length={hop_length} floor_db={floor_db}: "
                f"give an even n_fft up to {LONGEST:,}, a hop_length of at most its half, and a floor above 0"
            )
        self.n_fft, self.hop_length = n_fft, hop_length
        self.floor_db, self.iterations = floor_db, iterations
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        self.register_buffer("samples", torch.zeros((), dtype=torch.int64))

    def fit(self, raw: Tensor) -> None:
        """Learn the length and the typical peak of `(items, 1, time)`."""
        self.samples.fill_(raw.shape[-1])
        peaks = [_peak_db(self._power(wave)) for wave in raw[:, 0].split(CHUNK)]
        self.typical_level.copy_(torch.cat(peaks).median())

    def encode(self, raw: Tensor, level: Tensor | None = None, generator: torch.Generator | None = None) -> Encoded:
        """Waves `(batch, 1, time)` to `(batch, 1, n_fft / 2, frames)` in [0, 1]. Silence is 0 everywhere.

        Raises `UserError` on more than one channel.
        """
        require_finite(raw)
        if raw.shape[1] != 1:
            raise UserError(f"{raw.shape[1]} channels of sound: mix them to one")
        shape = (len(raw), 1, self.n_fft // 2, 1 + raw.shape[-1] // self.hop_length)
        check_size(NUMBER * math.prod(shape), "dataset.codec.n_fft over dataset.codec.hop_length")
        # numpy asks for memory in large pages, torch in small ones, which take as long to get as the transform.
        x = torch.from_numpy(np.empty(shape, np.float32)).to(raw)
        levels = raw.new_empty(len(raw)) if level is None else level.to(raw)
        parts = [tensor.split(CHUNK) for tensor in (raw[:, 0], levels, x[:, 0])]
        for wave, peak, out in zip(*parts, strict=True):
            power = self._power(wave)
            if level is None:
                peak.copy_(_peak_db(power))
            # The logarithm of what counts as nothing is −∞, so it ends at the floor, however low the peak.
            log = torch.threshold_(power, SILENCE, 0.0).log_()
            torch.add((1 - peak / self.floor_db)[:, None, None], log, alpha=DB / self.floor_db, out=out).clamp_(0, 1)
        return Encoded(x, levels)

    def _power(self, wave: Tensor) -> Tensor:
        """Squared magnitudes `(batch, n_fft / 2, frames)` of `(batch, time)`, less the topmost row."""
        frames = torch.stft(
            wave,
            self.n_fft,
            self.hop_length,
            window=self.window,
            pad_mode="constant",  # works on waves shorter than a frame, and is what the inverse assumes
            return_complex=True,
        )
        # In the order in which they lie in memory, a frame after the other.
        real, imaginary = torch.view_as_real(frames.mT).square_().unbind(-1)
        return (real + imaginary).mT[:, :-1]

    def magnitude(self, x: Tensor, level: Tensor | None = None) -> Tensor:
        """Linear magnitudes `(batch, n_fft / 2 + 1, frames)` of `(batch, 1, n_fft / 2, frames)`."""
        under_peak = self.floor_db * (pad(x[:, 0].clamp(0, 1), (0, 0, 0, 1)) - 1)
        return 10 ** ((self.levels(x, level)[:, None, None] + under_peak) / 20)

    def decode(self, x: Tensor, level: Tensor | None = None) -> Tensor:
        """Waves `(batch, 1, time)`, as long as those it was fitted on; the same x gives the same wave."""
        require_finite(x)
        magnitude = self.magnitude(x.detach().float(), level).cpu()
        waves = [torch.from_numpy(self._griffin_lim(item.numpy())) for item in magnitude]
        return torch.stack(waves)[:, None].to(x.device)

    def _griffin_lim(self, magnitude: np.ndarray) -> np.ndarray:
        import librosa

        frames, samples = magnitude.shape[-1], int(self.samples)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "n_fft=")  # of waves shorter than a frame, which come out right
            return librosa.griffinlim(
                magnitude,
                n_iter=self.iterations,
                hop_length=self.hop_length,
                n_fft=self.n_fft,
                length=samples if frames == 1 + samples // self.hop_length else (frames - 1) * self.hop_length,
                momentum=0.99,
                random_state=0,
            )


def _peak_db(power: Tensor) -> Tensor:
    """The largest of each `(batch, bins, frames)` in dB, `(batch,)`."""
    return DB * power.amax(dim=(1, 2)).clamp(min=SILENCE).log()
