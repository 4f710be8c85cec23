import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

SCRIPT = Path(__file__).parents[2] / "scripts" / "denoise_ecg.py"


@pytest.fixture(scope="module")
def ecg():
    spec = importlib.util.spec_from_file_location("denoise_ecg", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def record(tmp_path):
    lead = 200 * np.sin(2 * np.pi * 1.2 * np.arange(512 * 10 + 100) / 360) + 1024
    signal = np.stack([lead, 0 * lead], axis=1).astype(np.int16)
    np.savez(tmp_path / "a.npz", signal=signal, fs=360.0, gain_per_mv=[200.0, 1.0], baseline=[1024, 0])
    return tmp_path / "a.npz"


def test_a_record_is_cut_into_windows_in_mv_the_last_fifth_apart(ecg, record):
    known, held, rate = ecg.cut(record)
    assert known.shape == (8, 1, 512) and held.shape == (2, 1, 512) and rate == 360
    assert torch.cat([known, held]).mean(-1).abs().max() < 1e-6
    expected = np.sin(2 * np.pi * 1.2 * np.arange(8 * 512, 9 * 512) / 360)
    np.testing.assert_allclose(held[0, 0], expected - expected.mean(), atol=0.01)


def test_the_low_pass_keeps_a_beat_and_stops_what_is_fast(ecg):
    time = torch.arange(2_000) / 360
    slow, fast = (torch.sin(2 * torch.pi * f * time)[None, None] for f in (5.0, 90.0))
    passed, stopped = (ecg.low_pass(x, 360.0)[..., 200:-200] for x in (slow, fast))
    assert torch.allclose(passed, slow[..., 200:-200], atol=1e-2) and stopped.abs().max() < 0.01


def test_wavelets_take_noise_away_and_leave_what_has_none(ecg):
    pytest.importorskip("pywt")
    clean = torch.sin(2 * torch.pi * 3 * torch.arange(512) / 512).expand(20, 1, -1)
    noisy = clean + 0.3 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    assert (ecg.wavelets(noisy) - clean).square().mean() < 0.25 * (noisy - clean).square().mean()
    assert torch.allclose(ecg.wavelets(clean), clean, atol=0.01)


def test_without_pywavelets_the_remedy_is_told(ecg, monkeypatch):
    monkeypatch.setitem(sys.modules, "pywt", None)
    with pytest.raises(SystemExit, match="pip install PyWavelets"):
        ecg.wavelets(torch.zeros(1, 1, 512))
