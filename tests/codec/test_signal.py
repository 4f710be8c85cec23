import pytest
import torch

from vaelab.codec.signal import SignalCodec
from vaelab.errors import UserError


def signals():
    return 3 + 2 * torch.randn(50, 2, 40, generator=torch.Generator().manual_seed(0))


def test_one_mean_and_one_deviation_serve_all_items():
    codec, raw = SignalCodec(), signals()
    codec.fit(raw)
    x, level = codec.encode(raw)
    assert abs(x.mean()) < 1e-5 and x.std(correction=0) == pytest.approx(1, abs=1e-5)
    assert x[0].mean().abs() > 1e-4 and level.tolist() == [0] * 50
    torch.testing.assert_close(codec.decode(x), raw)


def test_what_was_fitted_travels_in_the_state():
    codec, other = SignalCodec(), SignalCodec()
    codec.fit(signals())
    other.load_state_dict(codec.state_dict())
    assert other.encode(signals()).x.equal(codec.encode(signals()).x)


def test_left_as_they_are_signals_do_not_change():
    codec = SignalCodec(standardise=False)
    codec.fit(signals())
    assert codec.encode(signals()).x.equal(signals()) and codec.decode(signals()).equal(signals())


def test_a_constant_is_shifted_and_comes_back():
    codec, raw = SignalCodec(), torch.full((3, 1, 4), 7.0)
    codec.fit(raw)
    x = codec.encode(raw).x
    assert not x.any() and codec.decode(x).equal(raw)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_signals_that_are_not_finite_are_refused_by_number(bad):
    raw = signals()
    raw[4, 1, 7] = bad
    for use in (SignalCodec().fit, SignalCodec().encode):
        with pytest.raises(UserError, match="1 of 50 items hold NaN or infinity, first item 4"):
            use(raw)


def test_signals_too_small_to_have_a_deviation_stay_finite():
    codec, raw = SignalCodec(), signals() * 1e-46 + 1
    codec.fit(raw - 1 + torch.full_like(raw, 1e-45).bernoulli(0.01, generator=torch.Generator().manual_seed(0)) * 1e-45)
    assert codec.encode(raw).x.isfinite().all()
