import numpy as np
import pytest
import torch

from vaelab.data.items import Signature
from vaelab.dataset.radio import Radio, as_recorded, read_templates
from vaelab.errors import UserError

RATE, FINE = 180e6, 5e9


def flash(samples=2_000, at=700, rate=FINE):
    """A bipolar pulse of some nanoseconds, as a shower sends it: most of it within 30 to 80 MHz, some outside."""
    time = (np.arange(samples) - at) / rate
    return np.gradient(np.exp(-((time / 3e-9) ** 2)))


def coreas_file(path, field, start=1e-6, rate=FINE):
    time = start + np.arange(field.shape[-1]) / rate
    np.savetxt(path, np.column_stack([time, *field]))


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


@pytest.mark.parametrize("name", ["a.csv", "a.npy", "a.npz"])
def test_rows_of_a_table_are_templates_and_traces_of_one_row_stay_together(tmp_path, name):
    rows = np.stack([np.roll(flash(), k) * 10.0**-k for k in range(3)])
    if name == "a.csv":
        np.savetxt(tmp_path / name, rows, delimiter=",")
    elif name == "a.npy":
        np.save(tmp_path / name, rows)
    else:
        np.savez(tmp_path / name, other=rows[:1], pulses=rows)
    source = Radio(
        traces=50, templates=str(tmp_path / name), templates_rate=FINE, key="pulses" if name.endswith("npz") else None
    )
    items = source.load()
    assert items.raw.shape == (50, 1, 500) and items.group.unique().tolist() == [0, 1, 2]
    expected = as_recorded(rows, FINE, 500, RATE)
    power = torch.fft.rfft(items.clean[:, 0]).abs()
    shape = torch.fft.rfft(expected).abs()[items.group]
    assert (torch.cosine_similarity(power, shape, dim=1) > 0.99).all()


def test_the_built_in_law_has_no_groups():
    assert Radio(traces=10).load().group is None


def test_a_recorded_pulse_keeps_to_the_band_and_what_is_in_it_keeps_its_size_and_order():
    tone = np.hanning(4_000) * np.sin(2 * np.pi * 55e6 * np.arange(4_000) / FINE)
    low = np.hanning(4_000) * np.sin(2 * np.pi * 5e6 * np.arange(4_000) / FINE)
    recorded = as_recorded(np.stack([tone, 100 * low, tone + 100 * low, 0 * tone]), FINE, 500, RATE)
    assert recorded.shape == (4, 500) and recorded[0].abs().max().item() == pytest.approx(1, rel=0.03)
    assert torch.allclose(recorded[2], recorded[0], atol=0.02)
    assert recorded[1].abs().max() < 0.02 and not recorded[3].any()
    rising = np.where(np.arange(4_000) < 3_000, np.arange(4_000) / 3_000, 0) * np.sin(
        2 * np.pi * 55e6 * np.arange(4_000) / FINE
    )
    (ramp,) = as_recorded(rising[None], FINE, 500, RATE)
    peak = ramp.abs().argmax()
    assert ramp[peak - 60 : peak - 20].abs().max() > 5 * ramp[peak + 20 : peak + 60].abs().max()


def test_a_pulse_is_the_same_whatever_rate_it_was_written_at():
    coarse, fine = (as_recorded(flash(n, n // 2, r)[None], r, 500, RATE) for n, r in ((1_000, 2e9), (4_000, 8e9)))
    assert torch.cosine_similarity(coarse, fine).item() == pytest.approx(1, abs=1e-3)


def test_a_folder_of_coreas_files_gives_three_polarisations_each(tmp_path):
    field = np.stack([flash(), -0.3 * flash(at=720), 0 * flash()])
    coreas_file(tmp_path / "raw_a.dat", field)
    coreas_file(tmp_path / "raw_b.dat", 2 * field)
    coreas_file(tmp_path / "silent.dat", 0 * field)
    (tmp_path / "broken.dat").write_text("1 2 3\n4 5 6\n")
    (tmp_path / "notes.txt").write_text("by hand")
    uneven = np.loadtxt(tmp_path / "raw_a.dat")
    uneven[5:, 0] += 1e-9
    np.savetxt(tmp_path / "uneven.dat", uneven)
    found = read_templates(tmp_path, 1.0, 500, RATE)
    assert found.pulses.shape == (4, 500) and found.group.tolist() == [0, 0, 1, 1]
    assert torch.allclose(found.pulses[2:], 2 * found.pulses[:2], rtol=1e-4, atol=1e-6)
    reasons = dict(found.left_out)
    assert set(reasons) == {"silent.dat", "broken.dat", "uneven.dat", "notes.txt"}
    assert (
        "columns" in reasons["broken.dat"]
        and "even steps" in reasons["uneven.dat"]
        and "80 MHz" in reasons["silent.dat"]
    )
    (one,) = {tuple(pulse.shape) for pulse in read_templates(tmp_path / "raw_b.dat", 1.0, 500, RATE).pulses}
    assert one == (500,)
    assert len(Radio(traces=5, templates=str(tmp_path)).load().left_out) == 4


def test_pulses_that_do_not_fit_and_files_without_one_are_refused_in_one_line(tmp_path):
    np.save(tmp_path / "long.npy", np.stack([flash()] * 3))
    with pytest.raises(UserError, match=r"^\S+long\.npy: row 1 lasts 11\.1 µs, a trace 2\.78: [^\n]*templates_rate"):
        Radio(traces=5, templates=str(tmp_path / "long.npy")).load()
    np.save(tmp_path / "none.npy", np.zeros((3, 400)))
    with pytest.raises(UserError, match=r"none\.npy holds no pulse"):
        Radio(traces=5, templates=str(tmp_path / "none.npy")).load()
    with pytest.raises(UserError, match=r"nowhere\.csv does not exist"):
        Radio(traces=5, templates=str(tmp_path / "nowhere.csv")).load()
    with pytest.raises(UserError, match="holds no CoREAS pulses"):
        Radio(traces=5, templates=str(tmp_path)).load()
    (tmp_path / "bad.dat").write_text("x")
    with pytest.raises(UserError, match=r"bad\.dat holds no pulse"):
        Radio(traces=5, templates=str(tmp_path / "bad.dat")).load()


def test_templates_with_polarisations_last_are_read_when_it_is_said(tmp_path):
    fields = np.random.default_rng(0).normal(size=(4, 200, 3))
    np.save(tmp_path / "a.npy", fields)
    np.save(tmp_path / "b.npy", fields.transpose(0, 2, 1))
    with pytest.raises(
        UserError, match=r"4 items of 200 channels of 3 samples, or 4 items of 3 channels of 200 samples"
    ):
        read_templates(tmp_path / "a.npy", RATE, 500, RATE)
    turned = read_templates(tmp_path / "a.npy", RATE, 500, RATE, axes=["items", "time", "channels"])
    assert turned.pulses.equal(read_templates(tmp_path / "b.npy", RATE, 500, RATE).pulses)


def test_a_rate_beyond_reason_is_told_before_memory_is_taken(tmp_path):
    np.save(tmp_path / "fine.npy", np.random.default_rng(0).normal(size=(2, 100)))
    with pytest.raises(UserError, match=r"^\S+fine\.npy: row 1 has 3\.6e\+14 samples a second[^\n]*templates_rate"):
        Radio(traces=5, templates=str(tmp_path / "fine.npy"), templates_rate=3.6e14).load()
