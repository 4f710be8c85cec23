from math import pi

import pytest
import torch

from vaelab.errors import UserError
from vaelab.simulators.sine import sine_waves


def test_a_wave_starts_at_the_sine_of_its_phase_and_rises_from_phase_zero():
    waves = sine_waves(torch.tensor([0.0, pi / 2]), samples=128, cycles=3.0, amplitude=2.0)
    assert waves.shape == (2, 1, 128)
    assert waves[0, 0, 0] == 0 and waves[0, 0, 1] > 0
    assert waves[1, 0, 0] == pytest.approx(2.0)


def test_a_wave_holds_exactly_its_cycles():
    waves = sine_waves(torch.linspace(-3, 3, 7), samples=120, cycles=5.0)
    assert torch.fft.rfft(waves).abs().argmax(-1).unique().tolist() == [5]


def test_two_samples_to_a_cycle_are_refused():
    with pytest.raises(UserError, match="cycles=64"):
        sine_waves(torch.zeros(1), samples=128, cycles=64)
