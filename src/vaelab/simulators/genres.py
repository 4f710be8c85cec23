"""Procedural music of three genres that a listener tells apart: techno, rock and piano.

Rhythms are written as on a drum machine, sixteen steps to a bar: `x` strikes, `-` rests. Every sound is made
once in a clip and pasted at its beats, which is what makes a clip cheap.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from vaelab.errors import UserError

Genre = Literal["techno", "rock", "piano"]
Sound = NDArray[np.float32]
Phrase = list[tuple[int, int, int, float]]

MAJOR, MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)  # semitones above the tonic
STEPS = 16
STIFFNESS = 4e-4  # a piano string's B, around middle C


def genre_clip(genre: Genre, *, seconds: float, sample_rate: int, generator: np.random.Generator) -> Sound:
    """Compose and play a few seconds of a genre, with a tempo, key, pattern and loudness of its own.

    The clip is cut from anywhere in a bar, like a chunk of a longer recording.

    Args:
        genre: `techno` (four-on-the-floor kick, off-beat hats, filtered bass line), `rock` (drum kit with
            snare on 2 and 4, distorted power chords) or `piano` (struck, decaying, inharmonic strings).
        seconds: length of the clip.
        sample_rate: in Hz.
        generator: decides everything.

    Returns:
        `(samples,)` in [-1, 1], its peak 1 to 12 dB below full scale.

    Raises:
        UserError: if the genre is unknown, or the clip empty.
    """
    if genre not in get_args(Genre):
        raise UserError(f"genre={genre} is unknown: choose one of {', '.join(get_args(Genre))}")
    samples = round(seconds * sample_rate)
    if samples < 1:
        raise UserError(f"seconds={seconds} at sample_rate={sample_rate} holds no sample: ask for more")
    slowest, fastest = TEMPO[genre]
    beat = 60 / generator.uniform(slowest, fastest)
    track = PLAYERS[genre](Studio(samples, sample_rate, beat, generator.uniform(0, 4 * beat), generator))
    level = 10 ** (generator.uniform(-12, -1) / 20)
    return (track * (level / max(np.abs(track).max(), 1e-9))).astype(np.float32)


@dataclass(frozen=True)
class Studio:
    """Where a clip is made.

    Attributes:
        samples: length of the clip.
        rate: in Hz.
        beat: length of a quarter note in seconds.
        start: where in its first bar the clip begins, in seconds.
        rng: the source of all chance.
    """

    samples: int
    rate: int
    beat: float
    start: float
    rng: np.random.Generator

    def time(self, seconds: float) -> Sound:
        """Time in seconds of each sample of a sound of this length."""
        return np.arange(round(seconds * self.rate), dtype=np.float32) / np.float32(self.rate)

    def bars(self) -> int:
        """Number of bars that the clip touches."""
        return int((self.start + self.samples / self.rate) / (4 * self.beat)) + 1

    def silence(self) -> Sound:
        """An empty track."""
        return np.zeros(self.samples, np.float32)

    def paste(self, track: Sound, sound: Sound, bar: int, step: float, gain: float = 1.0) -> None:
        """Add a sound to a track at a sixteenth of a bar, cut where the clip begins and ends."""
        onset = round(((4 * bar + step / 4) * self.beat - self.start) * self.rate)
        first, last = max(onset, 0), min(onset + len(sound), self.samples)
        if first < last:
            track[first:last] += gain * sound[first - onset : last - onset]

    def loop(self, pattern: str, sound: Sound, gain: float = 1.0) -> Sound:
        """A track that repeats a bar's pattern of one sound, a little uneven as if struck by hand."""
        track = self.silence()
        for bar in range(self.bars()):
            for step in _strikes(pattern):
                self.paste(track, sound, bar, step, gain * self.rng.uniform(0.85, 1.0))
        return track

    def noise(self, seconds: float, decay: float) -> Sound:
        """White noise that dies away, with a time constant in seconds."""
        t = self.time(seconds)
        return self.rng.standard_normal(len(t), np.float32) * np.exp(-t / decay)

    def filtered(self, sound: Sound, kind: Literal["lowpass", "highpass"], cutoff: float) -> Sound:
        """A sound through a second-order Butterworth filter, its cutoff in Hz kept below Nyquist."""
        from scipy.signal import butter, sosfilt

        sos = butter(2, min(cutoff, 0.45 * self.rate), kind, fs=self.rate, output="sos")
        return sosfilt(sos, sound).astype(np.float32)


def _strikes(pattern: str) -> list[int]:
    return [step for step, mark in enumerate(pattern) if mark == "x"]


def _hertz(midi: float) -> float:
    return 440 * 2 ** ((midi - 69) / 12)


def _harmonics(studio: Studio, seconds: float, hertz: float, count: int) -> Sound:
    """A band-limited saw tooth: partials of amplitude 1/k, all below Nyquist."""
    k = np.arange(1, max(2, min(count, int(0.45 * studio.rate / hertz)) + 1), dtype=np.float32)[:, None]
    return (np.sin(np.float32(2 * np.pi * hertz) * k * studio.time(seconds)) / k).sum(0)


def _kick(studio: Studio, low: float, drop: float, decay: float) -> Sound:
    """A drum whose pitch falls from `low + drop` Hz to `low` within some hundredths of a second."""
    t, fall = studio.time(0.4), 0.03
    turns = low * t + drop * fall * (1 - np.exp(-t / fall))  # the integral of the falling frequency
    return np.sin(2 * np.pi * turns) * np.exp(-t / decay)


def _techno(studio: Studio) -> Sound:
    rng = studio.rng
    kick = _kick(studio, rng.uniform(42, 55), rng.uniform(120, 260), rng.uniform(0.1, 0.18))
    hat = studio.filtered(studio.noise(0.15, rng.uniform(0.02, 0.05)), "highpass", 6000)
    clap = studio.filtered(studio.noise(0.2, 0.06), "highpass", 1000)
    ticks = rng.choice(["----------------", "xxxxxxxxxxxxxxxx", "x-xxx-xxx-xxx-xx"])
    return (
        studio.loop("x---x---x---x---", kick)
        + studio.loop("--x---x---x---x-", hat, rng.uniform(0.15, 0.35))
        + studio.loop(ticks, hat, rng.uniform(0.03, 0.1))
        + studio.loop("----x-------x---", clap, rng.uniform(0.0, 0.25))
        + rng.uniform(0.25, 0.5) * _bass_line(studio)
    )


def _bass_line(studio: Studio) -> Sound:
    """A saw-tooth line between the kicks, through a low-pass filter that opens and closes over the bars."""
    rng, track = studio.rng, studio.silence()
    root = rng.integers(33, 45)
    length = 0.9 * studio.beat / 4
    envelope = np.exp(-studio.time(length) / rng.uniform(0.06, 0.2))
    pitches = root + rng.choice(MINOR, 3) + np.array([0, 0, 12])
    notes = [envelope * _harmonics(studio, length, _hertz(pitch), 24) for pitch in pitches]
    pattern = rng.choice(["--x---x---x---x-", "-xxx-xxx-xxx-xxx", "--xx-xx---xx-xx-", "-x-x--x--x-x--xx"])
    tune = rng.choice(3, STEPS, p=(0.6, 0.25, 0.15))
    for bar in range(studio.bars()):
        for step in _strikes(pattern):
            studio.paste(track, notes[tune[step]], bar, step)
    turns = studio.time(studio.samples / studio.rate) / (16 * studio.beat) + rng.uniform()
    sweep = 0.5 - 0.5 * np.cos(2 * np.pi * turns)
    dark = studio.filtered(track, "lowpass", rng.uniform(150, 300))
    bright = studio.filtered(track, "lowpass", rng.uniform(900, 2500))
    return (1 - sweep) * dark + sweep * bright


def _rock(studio: Studio) -> Sound:
    return studio.rng.uniform(0.7, 1.0) * _drum_kit(studio) + studio.rng.uniform(0.35, 0.6) * _guitars(studio)


def _drum_kit(studio: Studio) -> Sound:
    """A bass drum, the snare on 2 and 4, eighths on the hi-hat, and a crash every four bars."""
    rng, t = studio.rng, studio.time(0.25)
    shell = 0.6 * np.sin(2 * np.pi * rng.uniform(170, 220) * t) * np.exp(-t / 0.05)
    snare = shell + studio.filtered(studio.noise(0.25, 0.08), "highpass", 800) * 0.5
    hat = studio.filtered(studio.noise(0.1, 0.03), "highpass", 7000)
    crash = studio.filtered(studio.noise(1.5, 0.5), "highpass", 3000)
    kicks = rng.choice(["x-------x-------", "x-----x-x-------", "x-x-----x-x-----", "x------xx-x-----"])
    track = studio.loop(kicks, _kick(studio, 60, 60, 0.08), 0.9) + studio.loop("----x-------x---", snare, 0.8)
    for bar in range(0, studio.bars(), 4):
        studio.paste(track, crash, bar, 0, 0.2)
    return track + studio.loop("x-x-x-x-x-x-x-x-", hat, rng.uniform(0.1, 0.25))


def _guitars(studio: Studio) -> Sound:
    """Power chords (root, fifth, octave) driven into tanh, and a loudspeaker that ends near 4 kHz."""
    rng, track = studio.rng, studio.silence()
    tonic = rng.integers(38, 46)
    degrees = rng.choice([(0, 8, 3, 10), (0, 5, 7, 5), (0, 10, 8, 10), (0, 3, 5, 0)])
    pattern = rng.choice(["x-x-x-x-x-x-x-x-", "x---x-x-x---x-x-", "x-----x-x-----x-", "x-------x-xxx---"])
    strikes = _strikes(pattern)
    lengths = np.diff([*strikes, STEPS]) * studio.beat / 4
    for degree in sorted(set(degrees[: studio.bars()].tolist())):
        chord = _power_chord(studio, _hertz(tonic + degree), lengths.max())
        for bar in range(studio.bars()):
            for step, length in zip(strikes, lengths, strict=True):
                if degrees[bar % 4] == degree:
                    studio.paste(track, chord[: round(0.97 * length * studio.rate)], bar, step)
    driven = np.tanh(rng.uniform(2, 6) * track)
    return studio.filtered(studio.filtered(driven, "lowpass", rng.uniform(3000, 5000)), "highpass", 80)


def _power_chord(studio: Studio, hertz: float, seconds: float) -> Sound:
    envelope = np.exp(-studio.time(seconds) / studio.rng.uniform(0.3, 1.2))
    strings = (_harmonics(studio, seconds, hertz * ratio, 12) for ratio in (1.0, 1.4983, 2.003))
    return envelope * sum(strings)


def _piano(studio: Studio) -> Sound:
    """Four chords of one key, each over its bass, struck or broken by the right hand; the pedal is down."""
    rng, track = studio.rng, studio.silence()
    scale, tonic = (MAJOR, MINOR)[rng.integers(2)], rng.integers(48, 60)
    degrees = rng.choice([(0, 4, 5, 3), (0, 5, 3, 4), (0, 3, 4, 0), (5, 3, 0, 4)])
    phrase = (_struck, _broken)[rng.integers(2)](rng)
    dullness, strings = rng.uniform(0.8, 1.4), dict[int, Sound]()
    for bar in range(studio.bars()):
        for step, third, octave, velocity in phrase:
            note = int(tonic + 12 * octave + _semitones(scale, degrees[bar % 4] + 2 * third))
            if note not in strings:
                strings[note] = _string(studio, note, dullness)
            studio.paste(track, strings[note], bar, step, velocity * rng.uniform(0.7, 1.0))
    return track


def _struck(rng: np.random.Generator) -> Phrase:
    """A bass note and chords above, as (step, thirds above the chord's root, octave, velocity)."""
    steps = ((0, 8), (0, 6, 12), (4, 12), (0, 4, 8, 12))[rng.integers(4)]
    return [(0, 0, -1, 0.9), *((step, third, 0, 0.5) for step in steps for third in (0, 1, 2))]


def _broken(rng: np.random.Generator) -> Phrase:
    """A bass note and fifth, and eighths that run over the chord, as in `_struck`."""
    order = ((0, 1, 2, 1), (0, 1, 2, 3), (2, 1, 0, 1), (0, 2, 1, 2))[rng.integers(4)]
    return [(0, 0, -1, 0.9), (8, 2, -1, 0.6), *((2 * k, order[k % 4], 0, 0.6) for k in range(8))]


def _semitones(scale: tuple[int, ...], degree: int) -> int:
    """Semitones above the tonic of a degree of the scale, counted on into the next octaves."""
    octave, step = divmod(int(degree), len(scale))
    return 12 * octave + scale[step]


def _string(studio: Studio, note: int, dullness: float) -> Sound:
    """A struck stiff string: partials at k f sqrt(1 + B k^2) (Fletcher, 1964), the higher the sooner gone."""
    t, k = studio.time(2.0), np.arange(1, 11, dtype=np.float32)
    hertz = _hertz(note) * k * np.sqrt(1 + STIFFNESS * k**2)
    k, hertz = (part[hertz < 0.45 * studio.rate, None] for part in (k, hertz))
    ringing = np.exp(-t * (0.8 + 0.5 * k)) * np.sin(np.float32(2 * np.pi) * hertz * t) / k**dullness
    return ringing.sum(0) * np.minimum(1, t / 0.003) * np.minimum(1, (2.0 - t) / 0.1)


TEMPO: dict[str, tuple[float, float]] = {"techno": (122, 138), "rock": (95, 150), "piano": (60, 105)}
PLAYERS: dict[str, Callable[[Studio], Sound]] = {"techno": _techno, "rock": _rock, "piano": _piano}
