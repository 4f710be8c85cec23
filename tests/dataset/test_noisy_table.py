import numpy as np
import pytest
import torch

from vaelab.codec.trace import TraceCodec
from vaelab.data.items import Signature
from vaelab.data.split import split_items
from vaelab.dataset.noisy_table import NoisyTable
from vaelab.errors import UserError


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    rows = 3 + np.cumsum(rng.normal(size=(12, 2_000)), axis=1) * rng.uniform(0.01, 10, (12, 1))
    np.save(tmp_path / "clean.npy", rows)
    return tmp_path / "clean.npy"


def ratio_db(items):
    signal = (items.clean - items.clean.mean(-1, keepdim=True)).square().mean((1, 2))
    return 10 * torch.log10(signal / (items.raw - items.clean).square().mean((1, 2)))


def test_the_files_signals_are_the_clean_partners_and_noise_has_the_stated_ratio(table):
    items = NoisyTable(str(table), snr_db=6).load()
    assert items.kind == "trace" and items.raw.shape == (12, 1, 2_000)
    np.testing.assert_allclose(items.clean[:, 0], np.load(table), rtol=1e-6)
    assert torch.allclose(ratio_db(items), torch.tensor(6.0), atol=0.4)
    assert items.factors["snr_db"].unique().tolist() == [6]


def test_a_range_of_ratios_is_filled_and_each_item_has_its_own(table):
    items = NoisyTable(str(table), snr_db=[-10, 20], copies=30).load()
    asked = items.factors["snr_db"]
    assert asked.min() < -8 and asked.max() > 18 and asked.mean().item() == pytest.approx(5, abs=1.5)
    assert torch.allclose(ratio_db(items), asked, atol=0.6)


def test_the_noise_is_white_and_independent_of_the_signal(table):
    items = NoisyTable(str(table), snr_db=0, copies=10).load()
    noise = items.raw - items.clean
    power = torch.fft.rfft(noise / noise.std(-1, keepdim=True)).abs().square().mean((0, 1))
    assert power[1:500].mean().item() == pytest.approx(power[500:].mean().item(), rel=0.05)
    assert torch.corrcoef(torch.stack([noise[0, 0], items.clean[0, 0]]))[0, 1].abs() < 0.1


def test_copies_have_other_noise_and_stay_on_one_side_of_the_split(table):
    items = NoisyTable(str(table), copies=4).load()
    assert len(items) == 48 and not torch.equal(items.raw[0], items.raw[12])
    assert torch.equal(items.clean[0], items.clean[12])
    sides = split_items(items, [0.5, 0.25, 0.25], seed=0)
    groups = [set(items.group[index].tolist()) for index in sides.values()]
    assert sum(map(len, groups)) == 12


def test_the_seed_decides_the_noise(table):
    first, again, other = (NoisyTable(str(table), seed=seed).load().raw for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_a_constant_signal_stays_as_it_is(tmp_path):
    np.save(tmp_path / "a.npy", np.full((3, 50), 2.0))
    items = NoisyTable(str(tmp_path / "a.npy")).load()
    assert torch.equal(items.raw, items.clean)


def test_another_file_is_read_as_it_is(table, tmp_path):
    np.save(tmp_path / "noisy.npy", np.arange(700.0))
    found = NoisyTable(str(table)).read(tmp_path / "noisy.npy", Signature("trace", (1, 2_000), None, (), {}))
    assert found[0, 0].tolist() == list(range(700))


@pytest.mark.parametrize(
    ("setting", "named"),
    [({"snr_db": [3, 1]}, "range that rises"), ({"snr_db": [1, 2, 3]}, "not \\[1, 2, 3\\]"), ({"copies": 0}, "copies")],
)
def test_a_setting_outside_its_range_is_named(table, setting, named):
    with pytest.raises(UserError, match=named):
        NoisyTable(str(table), **setting).load()


@pytest.mark.parametrize("size", [1e-30, 1e-24, 1e-3, 1e25, 1e36])
def test_the_ratio_is_the_stated_one_at_any_scale(tmp_path, size):
    waves = size * np.sin(np.linspace(0, 60, 2_000) + np.arange(12)[:, None])
    np.save(tmp_path / "a.npy", waves)
    items = NoisyTable(str(tmp_path / "a.npy"), snr_db=6).load()
    noise = (items.raw - items.clean).double()
    found = 10 * torch.log10(items.clean.double().square().mean(-1) / noise.square().mean(-1))
    assert torch.allclose(found, torch.tensor(6.0, dtype=torch.float64), atol=0.4)
    x, level = TraceCodec().encode(items.raw)
    assert x.abs().amax((1, 2)).tolist() == [1] * 12
    assert torch.allclose(TraceCodec().decode(x, level), items.raw)


def test_the_scale_changes_nothing_but_the_scale(table, tmp_path):
    np.save(tmp_path / "huge.npy", np.load(table).astype(np.float32) * np.float32(2.0**80))
    usual, huge = NoisyTable(str(table)).load(), NoisyTable(str(tmp_path / "huge.npy")).load()
    assert torch.equal(usual.raw * 2.0**80, huge.raw)


def test_noise_that_leaves_single_precision_is_an_error_with_a_remedy(tmp_path):
    np.save(tmp_path / "a.npy", 3e38 * np.sin(np.linspace(0, 60, 200) + np.arange(4)[:, None]))
    with pytest.raises(UserError, match=r"a\.npy: with noise at 0 dB [^\n]*: scale the table$"):
        NoisyTable(str(tmp_path / "a.npy"), snr_db=0).load()


def test_axes_and_groups_are_those_of_the_table(tmp_path):
    waves = np.random.default_rng(0).normal(size=(300, 8))
    np.savez(tmp_path / "a.npz", x=waves, who=np.repeat([0, 1, 2, 3], 2))
    source = NoisyTable(str(tmp_path / "a.npz"), key="x", axes="time,items", group="who", copies=2)
    items = source.load()
    assert items.clean.shape == (16, 1, 300) and items.notes
    assert items.group.tolist() == [0, 0, 1, 1, 2, 2, 3, 3] * 2
    np.savez(tmp_path / "b.npz", x=waves, y=waves)
    found, axes = source.read_with_axes(tmp_path / "b.npz", Signature.of(items))
    assert axes == ("time", "items") and found.shape == (8, 1, 300)
