import math

import pytest
import torch

from vaelab.dataset.sine import Sine
from vaelab.errors import UserError


def test_the_phase_of_every_wave_is_its_factor():
    items = Sine(waves=200, samples=64, cycles=5).load()
    assert items.raw.shape == (200, 1, 64) and items.raw.dtype == torch.float32 and items.label is None
    spectrum = torch.fft.rfft(items.raw[:, 0])
    assert (spectrum.abs().argmax(1) == 5).all()
    turn = (spectrum[:, 5].angle() + math.pi / 2 - items.factors["phase"]) / (2 * math.pi)
    assert (turn - turn.round()).abs().max() < 1e-5 and items.facts == {"cycles": 5.0}


def test_phases_fill_the_circle_and_depend_on_the_seed_alone():
    phase = Sine(waves=5000).load().factors["phase"]
    assert torch.histc(phase, 10, -math.pi, math.pi).min() > 400
    assert phase.equal(Sine(waves=5000).load().factors["phase"])
    assert not phase.equal(Sine(waves=5000, seed=1).load().factors["phase"])


@pytest.mark.parametrize("wrong", [{"waves": 0}, {"cycles": 64}, {"cycles": 0}])
def test_waves_that_cannot_be_are_an_error(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        Sine(**wrong).load()
