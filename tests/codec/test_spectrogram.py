import math

import pytest
import torch

from vaelab.codec.spectrogram import SpectrogramCodec
from vaelab.errors import UserError

RATE = 8000


def tone(hertz=1000.0, amplitude=0.5, samples=RATE):
    return amplitude * torch.sin(2 * math.pi * hertz * torch.arange(samples) / RATE)[None, None]


def chirp(samples=RATE):
    time = torch.arange(samples) / RATE
    return (0.3 * torch.sin(2 * math.pi * (200 + 900 * time) * time) * torch.exp(-2 * time))[None, None]


def fitted(raw, **options):
    codec = SpectrogramCodec(**options)
    codec.fit(raw)
    return codec


def hertz_of(wave):
    """Frequency by a parabola through the logarithm of the windowed spectrum's peak."""
    spectrum = torch.fft.rfft(wave.double() * torch.hann_window(len(wave), dtype=torch.float64)).abs().log()
    k = int(spectrum.argmax())
    left, peak, right = spectrum[k - 1 : k + 2].tolist()
    return (k + (left - right) / (2 * (left - 2 * peak + right))) * RATE / len(wave)


def test_a_tone_of_1_khz_peaks_in_its_bin_in_every_frame():
    x, _ = SpectrogramCodec().encode(tone())
    assert x.shape == (1, 1, 256, 1 + RATE // 128)
    assert (x[0, 0].argmax(dim=0) == 1000 * 512 // RATE).all()
    assert x.max() == 1 and x.min() == 0


def test_the_tone_comes_back_at_its_pitch_and_loudness():
    codec = fitted(tone())
    wave = codec.decode(*codec.encode(tone()))
    assert wave.shape == (1, 1, RATE)
    assert hertz_of(wave[0, 0]) == pytest.approx(1000, rel=1e-3)
    assert wave[..., 1000:-1000].std() == pytest.approx(float(tone().std()), rel=0.02)


def test_the_level_is_the_peak_in_db_and_scaling_changes_nothing_else():
    loud, soft = SpectrogramCodec().encode(tone()), SpectrogramCodec().encode(tone() / 10)
    assert loud.level == pytest.approx(20 * math.log10(0.5 * 256 / 2), abs=0.05)
    assert loud.level - soft.level == pytest.approx(20, abs=1e-3)
    torch.testing.assert_close(loud.x, soft.x, atol=1e-3, rtol=0)


def test_one_step_of_x_is_one_eightieth_of_a_db_times_the_floor():
    codec = SpectrogramCodec(floor_db=80)
    one = codec.encode(chirp())
    level = one.level + 8
    shifted = codec.encode(chirp(), level=level)
    inside = shifted.x > 0
    torch.testing.assert_close((one.x - shifted.x)[inside], torch.full_like(one.x, 0.1)[inside], atol=1e-4, rtol=0)
    assert shifted.level.equal(level)


def test_magnitudes_come_back_with_the_top_row_at_the_floor():
    codec = SpectrogramCodec()
    x, level = codec.encode(chirp())
    magnitude = codec.magnitude(x, level)
    true = torch.stft(
        chirp()[:, 0], 512, 128, window=torch.hann_window(512), pad_mode="constant", return_complex=True
    ).abs()
    assert magnitude.shape == true.shape == (1, 257, 63)
    audible = true > 2e-4 * true.max()
    audible[:, -1] = False
    torch.testing.assert_close(magnitude[audible], true[audible], rtol=1e-3, atol=0)
    floor = 10 ** ((level - 80) / 20)
    torch.testing.assert_close(magnitude[:, -1], floor.expand(1, 63))


def test_true_magnitudes_come_back_through_the_phases_within_a_tenth():
    codec = fitted(chirp())
    x, level = codec.encode(chirp())
    again = codec.magnitude(codec.encode(codec.decode(x, level)).x, level)
    assert (again - codec.magnitude(x, level)).norm() / codec.magnitude(x, level).norm() < 0.1


@pytest.mark.parametrize("samples", [100, 500, 4000, 4001])
def test_the_length_is_kept_even_where_it_is_shorter_than_a_frame(samples):
    codec = fitted(tone(samples=samples), iterations=2)
    assert codec.decode(*codec.encode(tone(samples=samples))).shape == (1, 1, samples)


def test_the_length_and_the_typical_level_travel_in_the_state():
    codec = fitted(torch.cat([tone(), tone() / 10, tone() / 100]), iterations=2)
    other = SpectrogramCodec(iterations=2)
    other.load_state_dict(codec.state_dict())
    x, level = codec.encode(tone() / 10)
    assert other.typical_level == level and other.decode(x).shape == (1, 1, RATE)
    assert other.decode(x).equal(codec.decode(x, level))


def test_it_is_what_librosa_makes_clip_by_clip():
    librosa = pytest.importorskip("librosa")
    noise = 0.1 * torch.randn(3, 1, RATE, generator=torch.Generator().manual_seed(0))
    raw = torch.cat([noise, tone(), chirp()])
    x, level = fitted(raw).encode(raw)
    for wave, made, peak in zip(raw[:, 0].numpy(), x[:, 0].numpy(), level.tolist(), strict=True):
        magnitude = abs(librosa.stft(wave, n_fft=512, hop_length=128, pad_mode="constant"))[:-1]
        db = librosa.amplitude_to_db(magnitude, ref=magnitude.max(), top_db=80.0, amin=1e-7)
        # Its transform is in float64; what lies 80 dB under the peak has lost four of float32's seven digits.
        assert made == pytest.approx(1 + db / 80, abs=1e-4)
        assert made[db > -60] == pytest.approx(1 + db[db > -60] / 80, abs=1e-5)
        assert peak == pytest.approx(20 * math.log10(magnitude.max()), abs=1e-4)


def test_what_is_quieter_than_silence_is_at_the_floor_however_low_the_peak():
    x = fitted(tone()).encode(torch.cat([tone(amplitude=1e-7), tone(amplitude=1e-10)])).x
    assert x[0].max() == pytest.approx(1) and x[0].count_nonzero() < x[0].numel() / 10
    assert not x[1].any()


def test_silence_is_zero_and_comes_back_silent():
    codec = fitted(torch.zeros(1, 1, 2000))
    x, level = codec.encode(torch.zeros(1, 1, 2000))
    assert not x.any() and level.isfinite().all()
    assert codec.decode(x, level).abs().max() < 1e-6


def test_an_item_does_not_depend_on_its_batch():
    raw = torch.cat([tone(200 + 20 * k, 0.1 + 0.01 * k, 2000) for k in range(20)])
    codec = fitted(raw, iterations=3)
    x, level = codec.encode(raw)
    alone = codec.encode(raw[17:18])
    torch.testing.assert_close(alone.x, x[17:18], atol=1e-5, rtol=0)
    torch.testing.assert_close(codec.decode(x, level)[17:18], codec.decode(x[17:18], level[17:18]))


def test_what_a_net_puts_outside_the_range_stays_at_peak_and_floor():
    codec = SpectrogramCodec()
    x = torch.tensor([2.0, -1.0]).view(1, 1, 1, 2).expand(1, 1, 256, 2)
    magnitude = codec.magnitude(x, torch.zeros(1))
    assert magnitude[0, 0].tolist() == pytest.approx([1, 1e-4])


@pytest.mark.parametrize("wrong", [{"n_fft": 511}, {"hop_length": 300}, {"hop_length": 0}, {"floor_db": 0}])
def test_frames_that_cannot_be_undone_are_an_error(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        SpectrogramCodec(**wrong)


def test_sound_that_is_not_finite_or_not_mono_is_refused():
    with pytest.raises(UserError, match="NaN"):
        SpectrogramCodec().encode(torch.full((1, 1, 1000), torch.nan))
    with pytest.raises(UserError, match="2 channels"):
        SpectrogramCodec().encode(torch.zeros(1, 2, 1000))
