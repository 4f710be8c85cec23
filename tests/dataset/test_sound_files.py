import io

import numpy as np
import pytest
import soundfile

from vaelab.dataset import sound_files
from vaelab.dataset.sound_files import native_rate, read_mono, read_wave

RATE = 8000


def tone(seconds, rate=RATE):
    return 0.5 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)


def bytes_of(wave, rate=RATE, **options):
    file = io.BytesIO()
    soundfile.write(file, wave, rate, **options)
    return file.getvalue()


def save(path, data):
    path.write_bytes(data)
    return path


def fading(seconds, rate=44100):
    """A sound whose mp3 frames are of very different sizes: silence, then noise."""
    noise = np.random.default_rng(0).normal(size=round(seconds * rate)) * 0.1
    noise[len(noise) // 8 :] *= 1e-3
    return noise


def without_info(data):
    """An mp3 less its first frame, which alone says how many there are."""
    assert b"Info" in data[:64] or b"Xing" in data[:64]
    return data[data.index(data[:2], 4) :]


FORMATS = [
    {"format": "WAV", "subtype": "PCM_16"},
    {"format": "WAV", "subtype": "FLOAT"},
    {"format": "WAVEX", "subtype": "PCM_24"},
    {"format": "RF64", "subtype": "PCM_16"},
    {"format": "AIFF", "subtype": "PCM_16"},
    {"format": "AU", "subtype": "PCM_16"},
    {"format": "FLAC", "subtype": "PCM_16"},
    {"format": "OGG", "subtype": "VORBIS"},
    {"format": "OGG", "subtype": "OPUS"},
]


@pytest.mark.parametrize("options", FORMATS, ids=lambda options: "-".join(options.values()))
def test_every_format_comes_out_as_libsndfile_reads_it(tmp_path, monkeypatch, options):
    monkeypatch.setattr(sound_files, "BLOCK", 999)
    wave = np.stack([tone(1.0), 0.3 * tone(1.0)], 1)
    path = save(tmp_path / "a.sound", bytes_of(wave, **options))
    read, rate = read_wave(path)
    expected, _ = soundfile.read(path, dtype="float32")
    np.testing.assert_array_equal(read, expected.T)
    np.testing.assert_array_equal(read_mono(path).wave, expected.T.mean(axis=0))
    assert rate == native_rate(path) == RATE


def test_an_mp3_without_a_count_is_read_to_its_last_frame(tmp_path):
    whole = bytes_of(fading(6.0), 44100, format="MP3", bitrate_mode="VARIABLE")
    path = save(tmp_path / "a.mp3", without_info(whole))
    guess = soundfile.info(path).duration
    wave, rate, _ = read_mono(path)
    # What the coder added to fill its frames is cut off only where the count stands.
    assert guess < 4 and 6 <= len(wave) / rate < 6 + 3 * 1152 / 44100


def test_an_mp3_with_a_count_is_as_long_as_what_was_written(tmp_path):
    path = save(tmp_path / "a.mp3", bytes_of(fading(2.0), 44100, format="MP3"))
    assert read_wave(path)[0].shape == (1, 2 * 44100)


def test_of_two_mp3s_in_one_file_both_are_read(tmp_path):
    one = bytes_of(fading(4.0), 44100, format="MP3")
    wave, rate = read_wave(save(tmp_path / "a.mp3", one + one))
    assert wave.shape[1] / rate == pytest.approx(8, abs=0.2)


def test_a_tag_behind_an_mp3_is_no_sound(tmp_path):
    bare = without_info(bytes_of(fading(4.0), 44100, format="MP3"))
    tagged = save(tmp_path / "a.mp3", bare + b"TAG" + b"a title".ljust(125))
    np.testing.assert_array_equal(read_wave(tagged)[0], read_wave(save(tmp_path / "b.mp3", bare))[0])


def emptied(data, name, offset=4, size=4):
    at = data.index(name) + offset
    return data[:at] + bytes(size) + data[at + size :]


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT", "IMA_ADPCM"])
def test_a_wav_that_was_never_finished_is_read_to_its_end(tmp_path, subtype):
    whole = bytes_of(tone(2.0), format="WAV", subtype=subtype)
    path = save(tmp_path / "a.wav", emptied(emptied(whole, b"RIFF"), b"data"))
    assert soundfile.info(path).frames == 0
    np.testing.assert_array_equal(read_wave(path)[0], read_wave(save(tmp_path / "b.wav", whole))[0])


def test_unfinished_files_of_other_formats_are_read_to_their_end(tmp_path):
    rf64, au = bytes_of(tone(2.0), format="RF64"), bytes_of(tone(2.0), format="AU")
    flac = bytearray(bytes_of(tone(2.0), format="FLAC"))
    flac[21] &= 0xF0
    flac[22:26] = bytes(4)  # the number of samples
    for data in (emptied(rf64, b"ds64", 8, 24), emptied(au, b".snd", 8), bytes(flac)):
        wave, _ = read_wave(save(tmp_path / "a", data))
        np.testing.assert_allclose(wave[0], tone(2.0), atol=1e-4)


def test_an_empty_wav_with_words_behind_stays_empty(tmp_path):
    empty = bytes_of(np.zeros(0), format="WAV")
    listed = empty + b"LIST" + (12).to_bytes(4, "little") + b"INFOISFTabcd"
    assert read_wave(save(tmp_path / "a.wav", listed))[0].size == 0
    assert read_wave(save(tmp_path / "b.wav", empty))[0].size == 0


def test_a_small_file_that_unpacks_to_a_huge_one_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    path = save(tmp_path / "a.flac", bytes_of(np.zeros((RATE * 60, 8), np.int16), format="FLAC"))
    monkeypatch.setattr(sound_files, "LARGE", 2**20)
    monkeypatch.setattr(sound_files, "_taken", None)
    with pytest.raises(ValueError, match=r"its [\d,]+ bytes unpack to more than 0\.014 GiB"):
        read_mono(path)


def test_a_large_file_is_no_bomb(tmp_path, monkeypatch):
    monkeypatch.setattr(sound_files, "LARGE", 1000)
    path = save(tmp_path / "a.wav", bytes_of(tone(1.0), format="WAV"))
    assert len(read_mono(path).wave) == RATE


def test_a_length_that_is_not_told_is_no_way_around_the_limit(tmp_path, monkeypatch):
    flac = bytearray(bytes_of(np.zeros((RATE * 60, 8), np.int16), format="FLAC"))
    flac[21] &= 0xF0
    flac[22:26] = bytes(4)
    monkeypatch.setattr(sound_files, "LARGE", 2**18)
    monkeypatch.setattr(sound_files, "BLOCK", 2**16)
    with pytest.raises(ValueError, match="unpack to more"):
        read_mono(save(tmp_path / "a.flac", bytes(flac)))


@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.flac"])
def test_what_is_no_sound_is_said_without_the_path(tmp_path, name):
    with pytest.raises(ValueError, match=r"^(?!.*a\.).+") as told:
        read_wave(save(tmp_path / name, b"no sound at all" * 10))
    assert str(tmp_path) not in str(told.value)


def test_a_damaged_mp3_is_called_damaged(tmp_path):
    whole = without_info(bytes_of(fading(1.0), 44100, format="MP3"))
    with pytest.raises(ValueError, match=r"^damaged$"):
        read_wave(save(tmp_path / "a.mp3", whole[:100]))
