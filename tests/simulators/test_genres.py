import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt, stft

from vaelab.errors import UserError
from vaelab.simulators.genres import PLAYERS, TEMPO, genre_clip

RATE = 22_050


def clips(genre, count=8, seconds=6.0):
    return [
        genre_clip(genre, seconds=seconds, sample_rate=RATE, generator=np.random.default_rng(seed))
        for seed in range(count)
    ]


def spectrum(clip):
    frequency, _, values = stft(clip, RATE, nperseg=1024)
    return frequency, np.abs(values) ** 2


def share(clip, low, high):
    frequency, power = spectrum(clip)
    return power[(frequency >= low) & (frequency < high)].sum() / power.sum()


def flatness(clip):
    power = spectrum(clip)[1] + 1e-12
    return np.exp(np.log(power).mean(0)).mean() / power.mean()


def tempo(clip):
    """Beats a minute of what is below 120 Hz: the strongest lag of its onsets between 115 and 145."""
    drum = np.abs(sosfiltfilt(butter(4, 120, fs=RATE, output="sos"), clip))[::49]
    drum = sosfiltfilt(butter(2, 10, fs=RATE / 49, output="sos"), drum)
    onset = np.maximum(np.diff(drum), 0)
    onset = onset - onset.mean()
    match = np.correlate(onset, onset, "full")[len(onset) - 1 :]
    beats = np.arange(115, 146)
    return beats[np.interp(60 / beats * RATE / 49, np.arange(len(match)), match).argmax()]


@pytest.mark.parametrize("genre", PLAYERS)
def test_a_clip_has_its_length_and_stays_below_full_scale(genre):
    for clip in clips(genre, 4, seconds=1.3):
        assert clip.shape == (round(1.3 * RATE),) and clip.dtype == np.float32
        assert 0.2 < np.abs(clip).max() <= 0.9


@pytest.mark.parametrize("genre", PLAYERS)
def test_the_same_generator_plays_the_same_clip_and_another_one_another(genre):
    first, again = clips(genre, 2), clips(genre, 1)
    assert np.array_equal(first[0], again[0]) and not np.array_equal(first[0], first[1])
    assert abs(np.corrcoef(first[0], first[1])[0, 1]) < 0.3


@pytest.mark.parametrize("rate", [4_000, 8_000, 44_100])
@pytest.mark.parametrize("genre", PLAYERS)
def test_any_sample_rate_will_do(genre, rate):
    clip = genre_clip(genre, seconds=2.0, sample_rate=rate, generator=np.random.default_rng(0))
    assert np.isfinite(clip).all() and clip.std() > 0.01


def test_techno_beats_on_every_quarter_at_its_tempo():
    for seed, clip in enumerate(clips("techno")):
        beats = np.random.default_rng(seed).uniform(*TEMPO["techno"])
        assert tempo(clip) == pytest.approx(beats, abs=2)


def test_techno_has_the_most_bass_and_piano_the_purest_tones():
    techno, rock, piano = (clips(genre) for genre in PLAYERS)
    assert min(share(clip, 0, 120) for clip in techno) > max(share(clip, 0, 120) for clip in rock + piano)
    assert max(map(flatness, piano)) < 0.1 * min(map(flatness, techno + rock))


def test_rock_is_loudest_where_guitars_are_and_has_no_silence():
    for clip in clips("rock"):
        assert share(clip, 120, 2_500) > 0.5
        assert np.abs(clip[: 6 * RATE // 4_410 * 4_410].reshape(-1, 4_410)).max(1).min() > 0.01


def test_loudness_varies_from_clip_to_clip():
    peaks = [np.abs(clip).max() for clip in clips("piano", 12, seconds=2.0)]
    assert max(peaks) > 1.5 * min(peaks)


def test_an_unknown_genre_is_answered_with_the_known_ones():
    with pytest.raises(UserError, match="techno, rock, piano"):
        genre_clip("polka", seconds=1.0, sample_rate=RATE, generator=np.random.default_rng(0))


def test_an_empty_clip_is_refused():
    with pytest.raises(UserError, match="seconds=0"):
        genre_clip("rock", seconds=0, sample_rate=RATE, generator=np.random.default_rng(0))
