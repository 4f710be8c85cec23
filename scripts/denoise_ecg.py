"""Denoise an ECG with a trained net and with filters: `python scripts/denoise_ecg.py FILE [--steps N] [--out DIR]`.

FILE is an npz with `signal` `(samples, leads)`, such as record 100 of the MIT-BIH Arrhythmia Database (Moody & Mark,
2001), and optionally `fs`, `gain_per_mv` and `baseline`. The first lead is cut into windows: the first four fifths of
the record are what the net and the filters learn from, noise is added to the last fifth, and each says how much of it
they take away. What the recording holds of noise of its own counts as signal, alike for all of them.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from vaelab.dataset.noisy_table import add_noise
from vaelab.metrics.denoising import best_width, local_wiener
from vaelab.metrics.radio import mean_power, output_snr_db, wiener
from vaelab.run.checkpoint import load_run
from vaelab.task.denoise import denoise

WINDOW = 512  # samples


def cut(file: Path) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Windows `(n, 1, 512)` of the first four fifths and of the last, in mV less their means; the rate in Hz."""
    record = np.load(file)
    lead = record["signal"][:, 0].astype(np.float64)
    if "gain_per_mv" in record:
        lead = (lead - record["baseline"][0]) / record["gain_per_mv"][0]
    windows = torch.from_numpy(lead[: len(lead) // WINDOW * WINDOW].reshape(-1, 1, WINDOW)).float()
    windows -= windows.mean(-1, keepdim=True)
    end = len(windows) * 4 // 5
    return windows[:end], windows[end:], float(record.get("fs", 360.0))


def trained(table: Path, run: Path, rate: float, steps: int) -> None:
    """Train the denoiser on the table of clean windows, with noise of 0 to 12 dB."""
    train = Path(__file__).with_name("train.py")
    words = ["experiment=denoise", f"dataset.file={table}", "dataset.copies=8", f"dataset.sample_rate={rate}"]
    words += ["threads=1", f"trainer.max_steps={steps}", "trainer.max_epochs=-1", f"hydra.run.dir={run}"]
    subprocess.run([sys.executable, str(train), *words], check=True)


def low_pass(noisy: torch.Tensor, rate: float, edge: float = 40.0) -> torch.Tensor:
    """The usual filter of an ECG: Butterworth below 40 Hz, run both ways."""
    from scipy.signal import butter, sosfiltfilt

    sections = butter(4, edge, fs=rate, output="sos")
    return torch.from_numpy(sosfiltfilt(sections, noisy.double().numpy()).copy()).float()


def wavelets(noisy: torch.Tensor, wavelet: str = "sym4") -> torch.Tensor:
    """Soft thresholds of wavelet coefficients, one a scale: BayesShrink (Chang, Yu & Vetterli, 2000)."""
    try:
        import pywt
    except ImportError:
        raise SystemExit("the wavelet filter needs PyWavelets: pip install PyWavelets") from None
    coarse, *details = pywt.wavedec(noisy.double().numpy(), wavelet, level=5, axis=-1)
    noise = (np.median(np.abs(details[-1]), axis=-1, keepdims=True) / 0.6745) ** 2
    shrunk = []
    for part in details:
        signal = np.sqrt(np.maximum(np.mean(part**2, axis=-1, keepdims=True) - noise, 1e-12))
        # pywt.threshold takes one threshold for all; this is its mode "soft" with one for each signal.
        shrunk.append(np.sign(part) * np.maximum(np.abs(part) - noise / signal, 0))
    return torch.from_numpy(pywt.waverec([coarse, *shrunk], wavelet, axis=-1)[..., : noisy.shape[-1]]).float()


def main() -> None:
    """Cut, train, denoise, and print the table."""
    parser = argparse.ArgumentParser(description="Denoise an ECG with a trained net and with filters.")
    parser.add_argument("file", type=Path, help="npz with signal (samples, leads)")
    parser.add_argument("--snr-db", type=float, nargs="+", default=[0.0, 6.0, 12.0], help="of the noise that is added")
    parser.add_argument("--steps", type=int, default=1500, help="of training")
    parser.add_argument("--out", type=Path, default=Path("outputs/denoise_ecg"), help="where table and run go")
    parser.add_argument("--seed", type=int, default=0, help="of the noise that is added")
    asked = parser.parse_args()
    known, clean, rate = cut(asked.file)
    asked.out.mkdir(parents=True, exist_ok=True)
    run = asked.out / "run"
    if not (run / "metrics.json").is_file():
        np.save(asked.out / "clean.npy", known.numpy())
        trained(asked.out / "clean.npy", run, rate, asked.steps)
    model = load_run(run)
    print(f"\noutput SNR in dB, mean over {len(clean)} windows of {WINDOW} samples that nothing was fitted on")
    for snr_db in asked.snr_db:
        rng = torch.Generator().manual_seed(asked.seed)
        noisy = add_noise(clean, torch.full((len(clean),), snr_db), rng)
        heard = add_noise(known, torch.full((len(known),), snr_db), rng)
        found = {
            "noisy": noisy,
            "net": denoise(model, noisy).traces,
            "Wiener (spectra of the training windows)": wiener(noisy, mean_power(known), mean_power(heard - known)),
            "Wiener (local, width fitted)": local_wiener(noisy, best_width(heard, known)),
            "Butterworth below 40 Hz": low_pass(noisy, rate),
            "wavelets, soft threshold": wavelets(noisy),
        }
        for name, signals in found.items():
            print(f"  {snr_db:5.1f} dB  {name:42s} {output_snr_db(signals, clean):6.2f}")


if __name__ == "__main__":
    main()
