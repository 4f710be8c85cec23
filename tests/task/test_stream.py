import io
import json
import os
import signal
import sys
from contextlib import contextmanager

import numpy as np
import pytest
import soundfile
import torch
from imageio_ffmpeg import count_frames_and_secs
from PIL import Image

from vaelab.errors import Interrupted, UserError
from vaelab.task import prior, stream
from vaelab.task.base import Output
from vaelab.task.stream import Line, Stream, code_blocks


def streamed(run, folder, **settings):
    Stream(**{"n": 100, "size": 64, "to": "npy", **settings})(run, Output(folder))
    return np.load(folder / "stream.npy") if (folder / "stream.npy").exists() else None


def counts(folder):
    return json.loads((folder / "metrics.json").read_text())


def plainly(run, n, density="prior", seed=0):
    codes = torch.from_numpy(next(code_blocks(run, density, seed))[:n])
    return run.variant.kind.streamed(run.variant.decode(codes)).numpy()


@pytest.mark.parametrize(
    ("experiment", "density", "n"),
    [
        *(("sine", density, 300) for density in ("prior", "gmm", "posterior")),
        *(("digits", "prior", 300), ("audio", "prior", 3), ("radio", "gmm", 90), ("radio", "posterior", 90)),
    ],
)
def test_the_stream_is_the_codes_decoded_in_order_and_in_the_users_units(tiny, tmp_path, experiment, density, n):
    run = tiny(experiment)
    found, expected = streamed(run, tmp_path, n=n, density=density, size=32), plainly(run, n, density)
    assert found.shape == (n, *run.signature.raw_shape) and found.dtype == expected.dtype
    if experiment == "digits":
        assert np.abs(found.astype(int) - expected).max() <= 1
    else:
        assert np.allclose(found, expected, atol=1e-3 if experiment == "audio" else 1e-6)
    assert [counts(tmp_path)[f"stream/{name}"] for name in ("made", "waves", "overwritten")] == [n, n, 0]


@pytest.mark.parametrize("method", ["ddpm", "flow_matching"])
def test_what_makes_items_of_noise_streams_what_becomes_of_it(tiny, tmp_path, method):
    run = tiny("sine", f"variant={method}", "variant.steps=3")
    found = streamed(run, tmp_path, n=300, density="prior", size=32)
    assert np.allclose(found, plainly(run, 300, "prior"), atol=1e-5)


@pytest.mark.parametrize("density", ["prior", "gmm", "posterior", "flow"])
def test_one_seed_gives_the_same_stream_whatever_the_sizes_and_paces_and_another_another(
    tiny, tmp_path, monkeypatch, density
):
    monkeypatch.setattr("vaelab.latent.flow.STEPS", 3)
    monkeypatch.setattr(stream, "LEARNT", 48)
    run = tiny("sine", "latent=gaussian", "latent.dim=2")
    settings = [{}, {"size": 200, "produce": 3.0, "consume": 0.3}, {"seed": 1}]
    a, b, c = (streamed(run, tmp_path / str(k), density=density, **own) for k, own in enumerate(settings))
    assert np.allclose(a, b, atol=1e-6) and not np.allclose(a, c, atol=1e-2)


def test_blocks_of_codes_differ_and_a_mixture_is_drawn_in_no_order(tiny, monkeypatch):
    monkeypatch.setattr(stream, "DRAWN", 500)
    run = tiny("sine", "latent=gaussian", "latent.dim=2")
    for density in ("prior", "gmm"):
        blocks = code_blocks(run, density, 0)
        first, second = next(blocks), next(blocks)
        assert first.shape == second.shape == (500, 2) and not np.isin(first, second).any()
        halves = first[:250].mean(0) - first[250:].mean(0)
        assert (np.abs(halves) < 6 * first.std(0) / np.sqrt(250)).all()


def test_what_is_overwritten_is_counted_and_the_rest_keeps_its_order(tiny, tmp_path):
    run = tiny("sine")
    found = streamed(run, tmp_path, n=1000, overflow="overwrite", produce=2.0, consume=0.5)
    numbers = counts(tmp_path)
    assert numbers["stream/overwritten"] == 1000 - len(found) > 100 and numbers["stream/made"] == 1000
    everything = plainly(run, 1000)
    place = np.abs(everything[None, :, 0] - found[:, None, 0]).max(2).argmin(1)
    assert (np.diff(place) > 0).all() and np.allclose(everything[place], found, atol=1e-6)


def test_a_wav_of_signals_has_them_one_after_the_other(tiny, tmp_path):
    found = streamed(tiny("sine"), tmp_path, to=["npy", "wav"])
    sound, rate = soundfile.read(tmp_path / "stream.wav", dtype="float32")
    assert rate == 44_100 and np.array_equal(sound, found.ravel())


def test_a_wav_of_sound_is_one_recording_at_its_own_rate(tiny, tmp_path):
    run = tiny("audio")
    streamed(run, tmp_path, to="wav", n=3)
    sound, rate = soundfile.read(tmp_path / "stream.wav")
    assert rate == run.signature.sample_rate and len(sound) == 3 * run.signature.raw_shape[-1]
    assert 0 < np.abs(sound).max() <= 1


@pytest.mark.parametrize("experiment", ["sine", "digits", "audio"])
def test_the_gif_shows_the_first_turns_of_every_kind_of_signal(tiny, tmp_path, monkeypatch, experiment):
    monkeypatch.setattr(stream, "FRAMES", 3)
    streamed(tiny(experiment), tmp_path, to="gif", n=6, size=4)
    with Image.open(tmp_path / "stream.gif") as gif:
        assert gif.n_frames == 3 and gif.size == (720, 420)


def test_the_film_shows_the_first_turns(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "FRAMES", 3)
    streamed(tiny("sine"), tmp_path, to="mp4", n=100, size=64)
    assert count_frames_and_secs(tmp_path / "stream.mp4") == (3, pytest.approx(0.3))


@contextmanager
def standard_output(descriptor):
    own = os.dup(1)
    os.dup2(descriptor, 1)
    try:
        yield
    finally:
        os.dup2(own, 1)
        os.close(own)
        os.close(descriptor)


def test_standard_output_gets_the_bytes_of_the_npy_and_no_words(tiny, tmp_path):
    reader, writer = os.pipe()
    with standard_output(writer):
        found = streamed(tiny("sine"), tmp_path, to=["npy", "stdout"])
    with os.fdopen(reader, "rb") as pipe:
        assert np.array_equal(np.frombuffer(pipe.read(), "<f4"), found.ravel())


def test_an_endless_stream_ends_quietly_when_its_reader_leaves(tiny, tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    with standard_output(writer):
        streamed(tiny("sine"), tmp_path, to=["npy", "stdout"], n=None)
    assert len(np.load(tmp_path / "stream.npy")) > 0 and counts(tmp_path)["stream/made"] > 0


@pytest.fixture
def interrupt(monkeypatch):
    """Sends this process a signal at a turn of the line."""

    def at(turn, number):
        plain = Line.turn

        def turned(line):
            plain(line)
            if line.turns == turn:
                os.kill(os.getpid(), number)

        monkeypatch.setattr(Line, "turn", turned)

    return at


def test_ctrl_c_is_the_end_of_an_endless_stream_and_all_that_was_taken_is_written(tiny, tmp_path, interrupt):
    before = signal.getsignal(signal.SIGINT)
    interrupt(20, signal.SIGINT)
    run = tiny("sine")
    found = streamed(run, tmp_path, n=None, to=["npy", "wav"])
    numbers = counts(tmp_path)
    assert numbers["stream/made"] == 20 * 8 and len(found) == numbers["stream/waves"] == 13 * 8
    assert np.allclose(found, plainly(run, len(found)), atol=1e-6)
    assert len(soundfile.read(tmp_path / "stream.wav")[0]) == found.size
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stream_that_was_to_have_an_end_says_where_it_was_stopped(tiny, tmp_path, interrupt, number, status):
    interrupt(20, number)
    with pytest.raises(Interrupted, match=rf"^stopped by {number.name}[^\n]+104 signals[^\n]+$") as told:
        streamed(tiny("sine"), tmp_path, n=1000)
    assert told.value.status == status and len(np.load(tmp_path / "stream.npy")) == 104


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("experiment", ["sine", "digits"])
def test_the_live_view_ends_with_the_counters(tiny, tmp_path, monkeypatch, experiment):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm-256color")
    streamed(tiny(experiment), tmp_path, to="live", n=50)
    drawn = sys.stderr.getvalue()
    assert "codes being decoded" in drawn and "50 made, 50 decoded, 0 overwritten" in drawn


def test_the_pace_stands_beside_that_of_a_plain_decode(tiny, tmp_path):
    streamed(tiny("sine"), tmp_path, n=2000)
    numbers = counts(tmp_path)
    own, plain = numbers["stream/waves_per_second"], numbers["stream/plain_waves_per_second"]
    assert own > 0 and plain > 0 and numbers["stream/ratio"] == pytest.approx(own / plain)
    assert numbers["stream/seconds"] > 0


@pytest.mark.parametrize(
    ("experiment", "settings", "words"),
    [
        ("sine", {"n": 0}, "task.n must be at least 1, not 0"),
        ("sine", {"size": 0}, "task.size must be at least 1, not 0"),
        ("sine", {"produce": 0.0}, "task.produce must lie in [0.01, 100], not 0.0"),
        ("sine", {"consume": 101.0}, "task.consume must lie in [0.01, 100], not 101.0"),
        ("sine", {"to": []}, "task.to is empty: name one or several of npy"),
        ("sine", {"to": ["npy", "live"]}, "task.to=live draws in a terminal, and standard error is none"),
        ("sine", {"to": "wav", "n": 10**9}, "task.n=1000000000 is more than the 4 GiB that a wav holds"),
        ("sine", {"to": "mp4"}, "task.to=mp4 needs ffmpeg"),
        ("digits", {"to": "wav"}, "task.to=wav needs waves, and this run makes pictures"),
        ("radio", {}, "latent=point has no prior: sample with task.density=gmm"),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused_in_one_line(tiny, tmp_path, monkeypatch, experiment, settings, words):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match=r"^[^\n]+$") as told:
        streamed(tiny(experiment), tmp_path, **settings)
    assert str(told.value).startswith(words)
    assert not list(tmp_path.iterdir())


def test_bare_numbers_are_kept_from_a_terminal(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(stream.os, "isatty", lambda _: True)
    with pytest.raises(UserError, match=r"^task.to=stdout gives bare numbers[^\n]+$"):
        streamed(tiny("sine"), tmp_path, to="stdout")
    assert not list(tmp_path.iterdir())


def test_a_streams_density_is_fitted_on_a_draw_from_all_of_the_training_split(tiny, fifths, monkeypatch):
    run = tiny("digits")
    monkeypatch.setattr(prior, "FITTED_ON", 60)
    next(code_blocks(run, "gmm", 0))
    assert fifths(run.data(), "train") == (60, 5)
