"""Real commands, run as a user runs them, in folders of their own."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

ROOT = Path(__file__).parents[2]
# Read by every process that the tests start.
QUIET = {"OMP_NUM_THREADS": "1", "MPLBACKEND": "agg", "COLUMNS": "160"}


@dataclass
class Result:
    """What became of one command."""

    status: int
    out: str
    err: str

    @property
    def complaint(self):
        """The one line that a mistake gets; that it is one, and says no more, is asserted."""
        lines = [line for line in self.err.splitlines() if not line.startswith("epoch ")]
        assert len(lines) == 1, self.err
        assert lines[0].startswith("vaelab:"), self.err
        assert "Traceback" not in self.out + self.err
        assert "Error executing job" not in self.out + self.err
        return lines[0]

    def done(self):
        """Assert success with nothing on stderr but the progress."""
        assert self.status == 0, self.out + self.err
        assert all(line.startswith("epoch ") for line in self.err.splitlines()), self.err
        return self


class Commands:
    """`train` and `sample` as commands, in forks of a process that has the heavy imports behind it."""

    def __init__(self, folder):
        self.folder, self.count = folder, 0
        self.environment = {**os.environ, **QUIET, "VAELAB_CACHE": str(folder / "cache")}
        self.forker = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("forker.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=self.environment,
        )

    def train(self, *words, **how):
        return self._run("train", words, **how)

    def sample(self, *words, **how):
        return self._run("sample", words, **how)

    def process(self, *command, cwd=None, seconds=120):
        """A command in a fresh process, without the fork."""
        done = subprocess.run(
            [sys.executable, *command], cwd=cwd, env=self.environment, capture_output=True, text=True, timeout=seconds
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def close(self):
        self.forker.stdin.close()
        self.forker.wait(10)
        self.forker.stdout.close()

    def start_train(self, *words, **how):
        """A training that goes on meanwhile; `finish` waits for it."""
        return self._start("train", words, **how)

    def wait_until_still(self, started, seconds=60):
        """Wait until a command has stopped itself by SIGSTOP."""
        end = time.monotonic() + seconds
        look = ["ps", "-o", "stat=", "-p", str(started[0])]
        while not subprocess.run(look, capture_output=True, text=True).stdout.startswith("T"):
            assert time.monotonic() < end
            time.sleep(0.02)

    def _run(self, door, words, seconds=120, **how):
        return self.finish(self._start(door, words, **how), seconds)

    def finish(self, started, seconds=120):
        """Wait for a command that was started, and tell what became of it."""
        process, out, err = started
        status = self._ask({"wait": process, "seconds": seconds})
        assert status != "too long", f"over {seconds} s: {out.read_text()} {err.read_text()}"
        return Result(status, out.read_text(), err.read_text())

    def _start(self, door, words, cwd=None, cut=None, figures=True, break_at=None, **environment):
        self.count += 1
        out, err = (self.folder / f"{self.count}.{name}" for name in ("out", "err"))
        settled = any(str(word).startswith(("resume=", "threads=")) for word in words)
        threads = ["threads=1"] if door == "train" and not settled else []
        plain = [] if figures else ["report.figures=false"]
        order = {
            "door": door,
            "words": [*map(str, words), *threads, *plain],
            "cwd": str(cwd or self.folder),
            "cut": cut,
            "break_at": break_at,
            "stdout": str(out),
            "stderr": str(err),
            "environment": environment,
        }
        return self._ask(order), out, err

    def _ask(self, order):
        self.forker.stdin.write(json.dumps(order) + "\n")
        self.forker.stdin.flush()
        return json.loads(self.forker.stdout.readline().replace("too long", '"too long"'))


@pytest.fixture(scope="session")
def vaelab(tmp_path_factory):
    commands = Commands(tmp_path_factory.mktemp("commands"))
    yield commands
    commands.close()


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """Data such as a user brings: pictures, recordings, tables, and MNIST's four files."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    make_pictures(folder / "pictures", rng)
    make_recordings(folder / "recordings", rng)
    make_tables(folder, rng)
    for name in ("MNIST", "FashionMNIST"):
        make_idx(folder / "idx" / name / "raw", rng)
    return folder


def make_pictures(folder, rng, count=20):
    for k in range(count):
        path = folder / ("bright" if k % 2 else "dark") / f"{k:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 100, (20, 24, 3)) + 150 * (k % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(path)


def make_recordings(folder, rng, count=6, rate=8000):
    folder.mkdir()
    time = np.arange(rate) / rate
    for k in range(count):
        wave = np.sin(2 * np.pi * (200 + 100 * k) * time) * 0.5 + rng.normal(0, 0.01, rate)
        soundfile.write(folder / f"tone_{k}.wav", wave, rate)


def make_tables(folder, rng):
    time = np.linspace(0, 1, 32)
    rows = np.sin(2 * np.pi * (time + rng.random((60, 1)))) + rng.normal(0, 0.1, (60, 32))
    np.savetxt(folder / "signals.csv", rows, delimiter=",")
    np.savetxt(folder / "one.csv", rows[:1], delimiter=",")
    np.savetxt(folder / "two.csv", rows[1:2], delimiter=",")


def make_idx(folder, rng, train=5200, test=60):
    folder.mkdir(parents=True)
    for name, count in (("train", train), ("t10k", test)):
        pictures = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = rng.integers(0, 10, count, dtype=np.uint8)
        write_idx(folder / f"{name}-images-idx3-ubyte", pictures)
        write_idx(folder / f"{name}-labels-idx1-ubyte", labels)


def write_idx(path, values):
    sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
    path.write_bytes(bytes([0, 0, 8, values.ndim]) + sizes + values.tobytes())


TINY = {
    "sine": [
        "dataset.waves=200",
        "dataset.batch_size=32",
        "dataset.samples=32",
        "architecture.widths=[16]",
        "report.test_items=20",
    ],
    "signals": ["dataset.batch_size=16", "architecture.widths=[16]", "latent.dim=2"],
    "radio": [
        *("dataset.traces=60", "dataset.samples=128", "dataset.batch_size=16"),
        *("architecture.widths=[4,8]", "architecture.kernel_size=3", "architecture.dilations=[1]"),
    ],
    "channel": ["dataset.channels=200", "dataset.taps=16", "dataset.batch_size=32", "architecture.widths=[16]"],
    "mixture": ["dataset.points=600", "dataset.batch_size=64", "architecture.widths=[16]"],
    "digits": ["architecture.widths=[16]", "latent.dim=4", "report.test_items=40"],
    "mnist": ["architecture.widths=[2,4]", "latent.dim=4", "trainer.max_steps=3", "report.test_items=40"],
    "sprites": ["dataset.items=80", "dataset.size=16", "architecture.widths=[2,4]", "latent.dim=4"],
    "bottles": [
        *("dataset.designs=20", "dataset.zooms=4", "dataset.size=32", "dataset.batch_size=16"),
        "architecture.widths=[2,4]",
    ],
    "galaxies": [
        *("dataset.items=60", "dataset.size=16", "dataset.batch_size=8"),
        *("architecture.width=8", "latent.dim=4"),
    ],
    "images": ["dataset.size=16", "dataset.batch_size=8", "architecture.width=8", "latent.dim=4"],
    "audio": [
        *("dataset.clips=30", "dataset.clip_seconds=0.25", "dataset.chunk_seconds=0.25", "dataset.sample_rate=8000"),
        *("dataset.batch_size=8", "dataset.codec.n_fft=128", "dataset.codec.hop_length=64"),
        *("architecture.width=4", "latent.dim=4"),
    ],
    "denoise": [
        *("dataset.batch_size=16", "architecture.widths=[4,8]"),
        *("architecture.kernel_size=3", "architecture.dilations=[1]"),
    ],
}
TINY |= dict.fromkeys(("digits_gan", "digits_acgan"), TINY["digits"])
OFTEN = "trainer.check_val_every_n_epoch=1"
TINY |= {key: [*TINY["mixture"], OFTEN] for key in ("mixture_gan", "mixture_flow", "moons")}
TINY |= dict.fromkeys(("radio_uniform", "radio_cosine"), TINY["radio"])


def tiny(experiment, files):
    """The words of an experiment at a size that trains in a second, on made-up files where it needs some."""
    own = {
        **{key: [f"dataset.file={files}/signals.csv"] for key in ("signals", "denoise")},
        "mnist": [f"dataset.root={files}/idx"],
        "images": [f"dataset.root={files}/pictures"],
    }
    return [f"experiment={experiment}", *TINY[experiment], *own.get(experiment, []), "trainer.max_epochs=2"]


@pytest.fixture(scope="session")
def trained(vaelab, files, tmp_path_factory):
    """The run directory of an experiment, trained when it is first asked for, and what its training said."""
    folder, runs = tmp_path_factory.mktemp("trained"), {}

    def get(experiment):
        if experiment not in runs:
            where = folder / experiment
            told = vaelab.train(*tiny(experiment, files), f"hydra.run.dir={where}", cwd=folder).done()
            runs[experiment] = (where, told)
        return runs[experiment]

    return get


@pytest.fixture(scope="session")
def words(files):
    """The words of an experiment at a tiny size."""
    return lambda experiment: tiny(experiment, files)
