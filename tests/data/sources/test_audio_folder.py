import numpy as np
import pytest
import soundfile

from vaelab.data.items import Signature
from vaelab.data.sources import audio_folder
from vaelab.data.sources.audio_folder import AudioFolder, chunked
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
