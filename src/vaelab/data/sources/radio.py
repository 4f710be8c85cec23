"""Radio traces: a short pulse of a known shape family, under the noise of an antenna."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from vaelab.data.items import Items, Signature
from vaelab.data.sources.signal_table import read_signals
from vaelab.simulators.radio import Noise, simulate_traces


@dataclass
class Radio:
    """Simulated pulses of 30 to 80 MHz with their noise-free partners.

    Attributes:
        traces: how many.
        noise: `radio` (galactic, thermal and narrow lines), `uniform` or `cosine`.
        snr: peak of the pulse's envelope over the RMS of the noise: one number, or the two ends of a
            log-uniform law.
        noise_only: share of traces that hold no pulse.
        samples: length of each.
        sample_rate: in Hz.
        seed: decides everything drawn.
    """

    traces: int = 20_000
    noise: Noise = "radio"
    snr: float | list[float] = field(default_factory=lambda: [1.0, 10.0])
    noise_only: float = 0.0
    samples: int = 500
    sample_rate: float = 180e6
    seed: int = 0

    def load(self) -> Items:
        """Traces `(items, 1, time)` float32 in mV and their `clean` partners.

        Factors: `snr`, `position` in samples (-1 without a pulse), `is_pulse`. Raises `UserError` if a
        setting is outside its range.
        """
        law = (float(self.snr[0]), float(self.snr[1])) if isinstance(self.snr, Sequence) else self.snr
        found = simulate_traces(
            self.traces,
            noise=self.noise,
            snr=law,
            noise_only=self.noise_only,
            samples=self.samples,
            sample_rate=self.sample_rate,
            seed=self.seed,
        )
        factors = {"snr": found.snr, "position": found.position, "is_pulse": found.is_pulse}
        return Items("trace", found.noisy, found.clean, factors=factors, sample_rate=self.sample_rate)

    def read(self, path: str | Path, signature: Signature) -> Tensor:
        """Traces `(items, 1, time)` float32 of the user's own file, of any length, sample by sample."""
        return read_signals(path, signature)
