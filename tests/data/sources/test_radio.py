import numpy as np
import pytest
import torch

from vaelab.data.items import Signature
from vaelab.data.sources.radio import Radio
from vaelab.errors import UserError


def test_traces_have_clean_partners_and_their_truths():
    items = Radio(traces=40, noise_only=0.5).load()
    assert items.raw.shape == items.clean.shape == (40, 1, 500) and items.sample_rate == 180e6
    assert set(items.factors) == {"snr", "position", "is_pulse"} and items.kind == "trace"
    is_pulse = items.factors["is_pulse"]
    assert (items.clean.abs().amax((1, 2)) > 0).equal(is_pulse)
    peak = items.clean[:, 0].abs().argmax(1)
    assert peak[is_pulse].equal(items.factors["position"][is_pulse])


def test_one_snr_or_a_range_of_it_can_be_asked_for():
    fixed, law = Radio(traces=20, snr=2).load(), Radio(traces=20, snr=[3, 4]).load()
    assert torch.allclose(fixed.factors["snr"], torch.tensor(2.0))
    assert law.factors["snr"].min() >= 3 - 1e-4 and law.factors["snr"].max() <= 4 + 1e-4


def test_a_noise_that_is_unknown_is_an_error():
    with pytest.raises(UserError, match="noise=pink"):
        Radio(traces=1, noise="pink").load()


def test_own_traces_of_any_length_are_read_uncut(tmp_path):
    np.save(tmp_path / "own.npy", np.arange(1200.0).reshape(2, 600))
    own = Radio().read(tmp_path / "own.npy", Signature("trace", (1, 500), 180e6, (), {}))
    assert own.shape == (2, 1, 600) and own[1, 0, 0] == 600
