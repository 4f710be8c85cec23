import pytest
import torch

from vaelab.dataset.channel import Channel
from vaelab.errors import UserError


def test_channels_have_their_spreads_as_factors_and_their_antennas_as_a_fact():
    items = Channel(channels=300, antennas=3, taps=32, sample_rate=10e6).load()
    assert items.kind == "signal" and items.raw.shape == (300, 6, 32) and items.raw.dtype == torch.float32
    assert items.facts == {"antennas": 3.0} and items.sample_rate == 10e6
    assert set(items.factors) == {"delay_spread", "angular_spread"}
    assert all(len(values) == 300 for values in items.factors.values())


def test_the_delay_spread_of_an_exponential_profile_is_its_decay():
    found = Channel(channels=400, decay=300e-9).load().factors["delay_spread"]
    assert torch.allclose(found, torch.tensor(300e-9), rtol=0.04)
    wide = Channel(channels=400, decay=[100e-9, 400e-9]).load().factors["delay_spread"]
    assert 90e-9 < wide.min() < 110e-9 and 370e-9 < wide.max() < 405e-9


def test_a_direct_path_is_one_more_factor():
    found = Channel(channels=50, k_factor_db=[0, 10]).load().factors["k_factor_db"]
    assert found.min() >= 0 and found.max() <= 10 and found.std() > 1


def test_the_seed_decides():
    first, again, other = (Channel(channels=20, seed=seed).load().raw for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.parametrize("wrong", [{"channels": 0}, {"profile": "flat"}, {"decay": [2e-7, 1e-7]}])
def test_channels_that_cannot_be_are_an_error(wrong):
    with pytest.raises(UserError, match=next(iter(wrong)).replace("channels", "n=0")):
        Channel(**wrong).load()
