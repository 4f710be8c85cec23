import os
import shutil

import audioread
import numpy as np
import pytest
import soundfile

from vaelab.data.items import Signature
from vaelab.dataset import audio_folder
from vaelab.dataset.audio_folder import AudioFolder, chunked
from vaelab.errors import UserError

RATE = 8000


def tone(seconds, hertz=440.0, rate=RATE, amplitude=0.5):
    return amplitude * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def save(path, wave, rate=RATE, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, rate, **options)


def hertz_of(wave, rate):
    return np.abs(np.fft.rfft(wave)).argmax() * rate / len(wave)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_every_usual_format_is_read(tmp_path, suffix):
    save(tmp_path / f"a.{suffix}", tone(1.0))
    items = AudioFolder(str(tmp_path)).load()
    assert items.raw.shape[1:] == (1, RATE) and items.kind == "sound" and items.sample_rate == RATE
    assert hertz_of(items.raw[0, 0].numpy(), RATE) == pytest.approx(440, abs=2)


def test_stereo_is_mixed_to_the_mean(tmp_path):
    save(tmp_path / "a.wav", np.stack([tone(1.0), 0.2 * tone(1.0, 1000)], 1), subtype="FLOAT")
    expected = (tone(1.0) + 0.2 * tone(1.0, 1000)) / 2
    np.testing.assert_allclose(AudioFolder(str(tmp_path)).load().raw[0, 0], expected, atol=1e-6)


def test_mixed_rates_go_to_the_commonest_and_the_pitch_stays(tmp_path):
    save(tmp_path / "a.wav", tone(1.0))
    save(tmp_path / "b.wav", tone(1.0))
    save(tmp_path / "c.wav", tone(1.0, rate=48000), 48000)
    items = AudioFolder(str(tmp_path)).load()
    assert items.sample_rate == RATE and len(items) == 3
    assert hertz_of(items.raw[2, 0].numpy(), RATE) == pytest.approx(440, abs=1)


def test_the_rate_chosen_is_at_most_22050_but_any_can_be_asked_for(tmp_path):
    save(tmp_path / "a.wav", tone(1.0, rate=44100), 44100)
    assert AudioFolder(str(tmp_path)).load().sample_rate == 22050
    assert AudioFolder(str(tmp_path), sample_rate=44100).load().raw.shape[-1] == 44100


def test_chunks_of_one_recording_share_the_group_and_the_label(tmp_path):
    save(tmp_path / "rock" / "a.wav", tone(2.5))
    save(tmp_path / "jazz" / "b.wav", tone(1.5))
    items = AudioFolder(str(tmp_path)).load()
    assert [items.label_names[k] for k in items.label] == ["jazz", "jazz", "rock", "rock", "rock"]
    group = items.group.tolist()
    assert len(set(group[:2])) == 1 and len(set(group[2:])) == 1 and group[0] != group[2]


def test_an_exact_copy_of_a_recording_shares_its_group(tmp_path):
    for name, hertz in {"a": 440, "b": 600, "c": 440}.items():
        save(tmp_path / f"{name}.wav", tone(1.0, hertz))
    a, b, c = AudioFolder(str(tmp_path)).load().group.tolist()
    assert a == c != b


@pytest.mark.parametrize(
    ("length", "chunks"), [(10, 1), (100, 1), (109, 1), (110, 2), (200, 2), (1, 1), (0, 1), (105, 1)]
)
def test_a_rest_under_a_tenth_is_dropped_unless_it_is_all(length, chunks):
    wave = np.arange(1, length + 1, dtype=np.float32)
    cut = chunked(wave, 100)
    assert cut.shape == (chunks, 100)
    np.testing.assert_array_equal(cut.ravel()[: min(length, cut.size)], wave[: cut.size])
    assert not cut.ravel()[length:].any()


def test_what_holds_no_sound_is_left_out_with_the_reason(tmp_path):
    save(tmp_path / "good.wav", tone(1.0))
    save(tmp_path / "zero.wav", np.zeros(0))
    save(tmp_path / "silent.wav", np.full(RATE, 1e-8), subtype="FLOAT")
    save(tmp_path / "nan.wav", np.array([0.1, np.nan]), subtype="FLOAT")
    (tmp_path / "text.wav").write_text("no sound")
    (tmp_path / "notes.txt").write_text("no sound")
    items = AudioFolder(str(tmp_path)).load()
    reasons = dict(items.left_out)
    assert len(items) == 1 and set(reasons) == {"zero.wav", "silent.wav", "nan.wav", "text.wav", "notes.txt"}
    assert reasons["silent.wav"] == "silent" and "zero" in reasons["zero.wav"] and "NaN" in reasons["nan.wav"]
    assert str(tmp_path) not in "".join(reasons.values())


def test_nothing_usable_is_an_error_that_names_the_first(tmp_path):
    save(tmp_path / "zero.wav", np.zeros(0))
    with pytest.raises(UserError, match=r"no usable recording, the first: zero\.wav: of length zero"):
        AudioFolder(str(tmp_path)).load()


def test_the_labels_of_a_flat_folder_are_in_the_names(tmp_path):
    for name in ("7_jackson_3", "7_theo_1", "2_jackson_0", "2_theo_0"):
        save(tmp_path / f"{name}.wav", tone(0.1))
    items = AudioFolder(str(tmp_path)).load()
    assert items.label_names == ("2", "7") and items.label.tolist() == [0, 0, 1, 1]


def test_names_that_only_count_are_no_labels_unless_asked_for(tmp_path):
    for k in range(3):
        save(tmp_path / f"take_{k}.wav", tone(0.1))
    assert AudioFolder(str(tmp_path)).load().label is None
    assert AudioFolder(str(tmp_path), label_from="name").load().label_names == ("take",)


def test_a_wish_for_labels_that_are_not_there_is_an_error(tmp_path):
    save(tmp_path / "a.wav", tone(0.1))
    with pytest.raises(UserError, match="no class folders"):
        AudioFolder(str(tmp_path), label_from="folder").load()
    with pytest.raises(UserError, match="label_from=speaker: give folder, name or null"):
        AudioFolder(str(tmp_path), label_from="speaker").load()


def test_a_chunk_without_length_is_an_error(tmp_path):
    save(tmp_path / "a.wav", tone(0.1))
    with pytest.raises(UserError, match="chunk_seconds=0"):
        AudioFolder(str(tmp_path), chunk_seconds=0).load()


def test_a_second_load_decodes_nothing(tmp_path, monkeypatch):
    save(tmp_path / "a.wav", tone(1.0))
    first = AudioFolder(str(tmp_path)).load()
    monkeypatch.setattr(audio_folder, "decode_recording", None)
    second = AudioFolder(str(tmp_path)).load()
    assert second.raw.equal(first.raw) and second.sample_rate == first.sample_rate
    with pytest.raises(UserError):
        AudioFolder(str(tmp_path), chunk_seconds=0.5).load()


def test_a_recording_of_ones_own_comes_in_the_models_length_and_rate(tmp_path):
    save(tmp_path / "own.wav", tone(1.0, rate=44100), 44100)
    signature = Signature("sound", (1, 4000), 8000.0, (), {})
    own = AudioFolder("/nowhere").read(tmp_path / "own.wav", signature)
    assert own.shape == (2, 1, 4000)
    assert hertz_of(own[0, 0].numpy(), 8000) == pytest.approx(440, abs=2)
    with pytest.raises(UserError, match=r"gone\.wav does not exist"):
        AudioFolder("/nowhere").read(tmp_path / "gone.wav", signature)
    with pytest.raises(UserError, match="trained on a picture"):
        AudioFolder("/nowhere").read(tmp_path / "own.wav", Signature("picture", (1, 8, 8), None, (), {}))


def test_every_chunk_has_the_name_of_its_recording(tmp_path):
    for name, seconds in (("b/long", 2.0), ("a/short", 1.0)):
        save(tmp_path / f"{name}.wav", tone(seconds))
    (tmp_path / "a" / "broken.wav").write_bytes(b"no sound")
    items = AudioFolder(str(tmp_path)).load()
    assert items.names == ["a/short.wav", "b/long.wav chunk 1", "b/long.wav chunk 2"] and len(items) == 3


def test_recordings_of_a_high_rate_tell_what_is_lost_and_how_to_keep_it(tmp_path):
    for k in range(4):
        save(tmp_path / f"{k}.wav", tone(0.5, 40e3, 256_000) + tone(0.5, 2e3, 256_000, 0.005), 256_000)
    assert AudioFolder(str(tmp_path)).load().notes == [
        "recorded 4 at 256,000 Hz: all brought to 22,050 Hz",
        "99.99 % of the power lies above 11,025 Hz and is lost at this rate: dataset.sample_rate=256000 keeps it",
    ]
    assert not AudioFolder(str(tmp_path), sample_rate=256_000).load().notes


def test_the_lowest_rate_that_keeps_the_power_is_named(tmp_path):
    save(tmp_path / "a.wav", tone(1.0, 18e3, 44_100), 44_100)
    save(tmp_path / "b.wav", tone(1.0, 440, 96_000), 96_000)
    told = AudioFolder(str(tmp_path)).load().notes
    assert told[1].startswith("50 % of the power") and "dataset.sample_rate=44100 keeps it" in told[1]


def test_a_change_of_rate_that_loses_nothing_says_nothing_of_power(tmp_path):
    save(tmp_path / "a.wav", tone(1.0, rate=44100), 44100)
    assert AudioFolder(str(tmp_path)).load().notes == ["recorded 1 at 44,100 Hz: all brought to 22,050 Hz"]


@pytest.mark.parametrize(("hertz", "words"), [(8, "no rate of sound"), (1, "no rate of sound"), (99, "no rate")])
def test_a_rate_that_is_none_of_sound_leaves_the_file_out(tmp_path, hertz, words):
    save(tmp_path / "odd.wav", tone(1.0), hertz)
    with pytest.raises(UserError, match=words):
        AudioFolder(str(tmp_path)).load()
    save(tmp_path / "good.wav", tone(1.0))
    items = AudioFolder(str(tmp_path)).load()
    assert items.sample_rate == RATE and words in dict(items.left_out)["odd.wav"]


def test_a_rate_out_of_all_proportion_is_refused_with_the_remedy(tmp_path):
    save(tmp_path / "a.wav", tone(1.0))
    with pytest.raises(UserError, match=r"more than 32 times from 2,147,483,648: set dataset\.sample_rate"):
        AudioFolder(str(tmp_path), sample_rate=2**31, chunk_seconds=0.01).load()


@pytest.mark.parametrize("chunk_seconds", [1e9, float("inf"), float("nan")])
def test_a_chunk_of_endless_length_is_an_error(tmp_path, chunk_seconds):
    save(tmp_path / "a.wav", tone(0.1))
    with pytest.raises(UserError, match="too long: make it shorter"):
        AudioFolder(str(tmp_path), chunk_seconds=chunk_seconds).load()


def test_values_that_no_sound_has_leave_the_file_out(tmp_path):
    save(tmp_path / "a.wav", tone(1.0))
    save(tmp_path / "b.wav", 1e31 * tone(1.0), subtype="FLOAT")
    save(tmp_path / "c.wav", 3e38 * np.ones((100, 2)), subtype="FLOAT")
    reasons = dict(AudioFolder(str(tmp_path)).load().left_out)
    assert reasons["b.wav"].startswith("holds values up to 5e+30") and "NaN or infinity" in reasons["c.wav"]


def test_channels_that_cancel_each_other_are_named(tmp_path):
    save(tmp_path / "a.wav", tone(1.0))
    save(tmp_path / "b.wav", np.stack([tone(1.0), -tone(1.0)], 1))
    assert (
        dict(AudioFolder(str(tmp_path)).load().left_out)["b.wav"] == "its channels cancel each other: give one of them"
    )


def test_digital_silence_is_left_out_and_told_unless_it_is_to_be_kept(tmp_path):
    save(tmp_path / "a.wav", np.concatenate([tone(1.0), np.zeros(2 * RATE), tone(0.5)]))
    save(tmp_path / "b.wav", np.zeros(RATE))
    items = AudioFolder(str(tmp_path)).load()
    assert len(items) == 2 and items.raw.abs().amax((1, 2)).min() > 0.4 and items.group.unique().numel() == 1
    assert items.notes == ["2 chunks of digital silence are left out (dataset.silence=keep takes them)"]
    assert [tuple(left) for left in items.left_out] == [("b.wav", "silent")]
    kept = AudioFolder(str(tmp_path), silence="keep").load()
    assert len(kept) == 5 and not kept.notes and not kept.left_out
    with pytest.raises(UserError, match="silence=maybe: give drop or keep"):
        AudioFolder(str(tmp_path), silence="maybe").load()


def test_a_given_split_is_that_of_the_recordings_whole(tmp_path):
    for k, split in enumerate(["train", "validation", "Testing"]):
        for name in ("cat", "dog"):
            save(tmp_path / split / name / "a.wav", tone(2.0, 300 + 10 * k + len(name)))
    items = AudioFolder(str(tmp_path)).load()
    assert items.label_names == ("cat", "dog")
    assert items.fold.tolist() == [2] * 4 + [0] * 4 + [1] * 4
    assert items.notes == ["the split is that of the folders: train 4, val 4, test 4"]


def test_a_split_without_class_folders_has_the_labels_of_the_names(tmp_path):
    for split in ("train", "test"):
        for name in ("2_a", "2_b", "7_a", "7_b"):
            save(tmp_path / split / f"{name}.wav", tone(0.1, 300 + 10 * len(split)))
    items = AudioFolder(str(tmp_path)).load()
    assert items.label_names == ("2", "7") and items.fold.tolist() == [2] * 4 + [0] * 4


def test_names_of_recordings_that_are_not_utf8_are_printable(tmp_path):
    for k, name in enumerate([b"caf\xe9_1", b"caf\xe9_2", b"tea_1", b"tea_2"]):
        save(tmp_path / "plain.wav", tone(0.2, 300 + 50 * k))
        (tmp_path / "plain.wav").rename(tmp_path / os.fsdecode(name + b".wav"))
    (tmp_path / os.fsdecode(b"br\xf6ken.wav")).write_text("broken")
    items = AudioFolder(str(tmp_path), label_from="name").load()
    assert items.label_names == (r"caf\xe9", "tea") and [left.name for left in items.left_out] == [r"br\xf6ken.wav"]
    own = tmp_path / os.fsdecode(b"caf\xe9_1.wav")
    assert AudioFolder("/nowhere").read(own, Signature.of(items)).equal(items.raw[:1])


def test_pipes_and_devices_among_the_recordings_are_left_out(tmp_path):
    save(tmp_path / "a.wav", tone(0.1))
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "endless.wav").symlink_to("/dev/zero")
    assert {left.name for left in AudioFolder(str(tmp_path)).load().left_out} == {"pipe.wav", "endless.wav"}


def test_what_needs_a_decoder_is_read_once_it_is_there(tmp_path, monkeypatch):
    save(tmp_path / "a.wav", tone(1.0))
    (tmp_path / "b.m4a").write_bytes(b"not looked at")

    def missing(path):
        raise audioread.NoBackendError

    monkeypatch.setattr(audioread, "audio_open", missing)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    (left,) = AudioFolder(str(tmp_path)).load().left_out
    assert left == ("b.m4a", ".m4a files need ffmpeg: install it, or convert them to wav or flac")
    monkeypatch.setattr(audioread, "audio_open", lambda path: Decoded(tone(1.0, 600)))
    items = AudioFolder(str(tmp_path)).load()
    assert not items.left_out and hertz_of(items.raw[1, 0].numpy(), RATE) == pytest.approx(600, abs=2)


class Decoded:
    """What audioread makes of a file: stereo in pieces that end anywhere."""

    samplerate, channels = RATE, 2

    def __init__(self, wave):
        self.bytes = (np.stack([wave, wave], 1) * 2**15).astype("<i2").tobytes()

    __enter__ = lambda self: self  # noqa: E731
    __exit__ = lambda self, *error: None  # noqa: E731

    def __iter__(self):
        return (self.bytes[k : k + 4095] for k in range(0, len(self.bytes), 4095))
