import pytest
import torch

from vaelab.codec.channel import ChannelCodec
from vaelab.errors import UserError
from vaelab.simulators.channel import simulate_channels


@pytest.fixture(params=[1, 2, 5])
def fitted(request):
    raw = simulate_channels(400, antennas=request.param, taps=16).taps
    codec = ChannelCodec()
    codec.fit(raw)
    return codec, raw


def test_what_is_encoded_comes_back(fitted):
    codec, raw = fitted
    assert torch.allclose(codec.decode(codec.encode(raw).x), raw, atol=1e-5)


def test_encoded_taps_have_unit_variance_and_keep_their_power_per_tap(fitted):
    codec, raw = fitted
    x = codec.encode(raw).x
    assert x.shape == raw.shape and x.std(correction=0).item() == pytest.approx(1, abs=1e-4)
    scale = x.square().sum(1)[:, 0] / raw.square().sum(1)[:, 0]
    assert torch.allclose(scale, scale.mean(), rtol=1e-4)


def test_of_two_antennas_the_beams_are_sum_and_difference():
    raw = torch.randn(6, 4, 7)
    x = ChannelCodec(standardise=False).encode(raw).x
    total, difference = (raw[:, :2] + raw[:, 2:]) / 2**0.5, (raw[:, :2] - raw[:, 2:]) / 2**0.5
    assert torch.allclose(x, torch.cat([total, difference], 1), atol=1e-6)


def test_beams_of_two_antennas_are_independent_and_differ_in_power_where_antennas_are_alike():
    raw = simulate_channels(6_000, angular_spread=12.0, decay=500e-9, taps=8).taps
    x = ChannelCodec().encode(raw).x
    total, difference = torch.complex(x[:, 0], x[:, 1]), torch.complex(x[:, 2], x[:, 3])
    powers = [beam.abs().square().mean() for beam in (total, difference)]
    assert (total * difference.conj()).mean().abs() < 0.03 * (powers[0] * powers[1]).sqrt()
    assert powers[0] > 5 * powers[1]


def test_a_channel_that_is_no_number_is_refused():
    raw = torch.zeros(2, 4, 8)
    raw[1, 0, 0] = torch.nan
    with pytest.raises(UserError, match="NaN"):
        ChannelCodec().encode(raw)
