import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from vaelab.errors import UserError
from vaelab.latent.point import PointLatent
from vaelab.task.base import Output
from vaelab.task.denoise import Denoise, denoise

LENGTH = 64


class Faithful(nn.Module):
    def forward(self, code):
        return code.unflatten(1, (1, LENGTH))


@pytest.fixture
def identity(tiny):
    """A denoiser that gives back what it gets."""
    run = tiny("radio")
    run.variant.encoder, run.variant.decoder, run.variant.latent = nn.Flatten(), Faithful(), PointLatent(LENGTH)
    return run


def traces(samples, n=2):
    return 50 * torch.randn(n, 1, samples, generator=torch.Generator().manual_seed(0)) + 7


@pytest.mark.parametrize("samples", [1, 2, 31, 63, 64, 65, 95, 96, 97, 128, 500, 1001])
def test_a_faithful_model_gives_back_a_trace_of_any_length_without_a_seam(identity, samples):
    noisy = traces(samples)
    recovered = denoise(identity, noisy).traces
    assert recovered.shape == noisy.shape
    assert torch.allclose(recovered, noisy, atol=1e-3)


def test_a_trace_as_long_as_the_models_is_one_pass_through_it(tiny):
    run = tiny("radio")
    noisy = run.data().items.raw[:3]
    x, level = run.variant.codec.encode(noisy)
    with torch.no_grad():
        expected = run.variant.codec.decode(run.variant.decode(run.variant.encoder(x)), level)
    assert torch.allclose(denoise(run, noisy).traces, expected, atol=1e-5)


def test_the_seams_between_windows_fade_into_each_other(identity):
    class Numbering(nn.Module):
        """Each window becomes the sign of its own mean: neighbours disagree as much as they can."""

        def forward(self, code):
            return code.mean(1).sign().view(-1, 1, 1).expand(-1, 1, LENGTH)

    identity.variant.decoder = Numbering()
    noisy = torch.ones(1, 1, 160)
    noisy[..., 64:] = -1
    recovered = denoise(identity, noisy).traces
    assert recovered[0, 0, 0] > 0.9 and recovered[0, 0, -1] < -0.9
    assert recovered.diff(dim=2).abs().max() < 0.15


def test_traces_are_recovered_each_by_itself(tiny):
    run, noisy = tiny("radio"), traces(150, n=3)
    together = denoise(run, noisy).traces
    assert torch.allclose(denoise(run, noisy[1:2]).traces, together[1:2], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("ending", ["csv", "npy", "wav"])
def test_a_file_comes_back_recovered_in_its_own_format_units_and_length(identity, tmp_path, ending):
    rows = (traces(100, n=1) / 500)[:, 0].numpy()
    file = tmp_path / f"mine.{ending}"
    if ending == "csv":
        np.savetxt(file, rows, delimiter=",", fmt="%.8g")
    elif ending == "npy":
        np.save(file, rows)
    else:
        soundfile.write(file, rows[0], 8000, subtype="FLOAT")
    Denoise(str(file))(identity, Output(tmp_path / "out"))
    found = tmp_path / "out" / f"mine_recovered.{ending}"
    if ending == "csv":
        recovered = np.loadtxt(found, delimiter=",")
    elif ending == "npy":
        recovered = np.load(found)
    else:
        recovered, rate = soundfile.read(found)
        assert rate == 8000
    assert np.allclose(recovered.reshape(1, -1), rows, atol=1e-5)
    assert (tmp_path / "out" / "recovered.png").stat().st_size > 1000


def test_a_missing_file_and_other_channels_are_refused_in_one_line(identity, tmp_path):
    with pytest.raises(UserError, match=r"^task.file has no value[^\n]+$"):
        Denoise()(identity, Output(tmp_path))
    with pytest.raises(UserError, match=r"^[^\n]*nowhere.csv[^\n]*$"):
        Denoise(str(tmp_path / "nowhere.csv"))(identity, Output(tmp_path))
    with pytest.raises(UserError, match=r"^the file has 2 channels, the run was trained on 1$"):
        denoise(identity, torch.zeros(1, 2, LENGTH))


@pytest.fixture
def doubtful(tiny):
    return tiny("radio", "latent=gaussian", "dataset.traces=80", "dataset.split=[0.2,0.6,0.2]")


@pytest.mark.parametrize("samples", [40, LENGTH, 200])
def test_a_probabilistic_run_gives_a_band_around_what_it_recovers_and_a_certainty(doubtful, samples):
    noisy = traces(samples, n=3)
    plain, doubted = denoise(doubtful, noisy), denoise(doubtful, noisy, doubtful.variant.calibrate(doubtful.data()))
    assert plain.band is None and plain.certainty is None
    assert torch.allclose(plain.traces, doubted.traces, atol=1e-4)
    lower, upper = doubted.band
    assert lower.shape == upper.shape == noisy.shape
    assert (lower < doubted.traces).all() and (doubted.traces < upper).all()
    assert torch.allclose(doubted.traces - lower, upper - doubted.traces, rtol=1e-3, atol=1e-3)
    assert doubted.certainty.shape == (3,) and ((doubted.certainty >= 0) & (doubted.certainty <= 1)).all()


def test_the_band_holds_nine_tenths_of_the_runs_own_validation_traces(doubtful):
    data = doubtful.data()
    index = data.index["val"]
    lower, upper = denoise(doubtful, data.items.raw[index], doubtful.variant.calibrate(data)).band
    held = (lower <= data.items.clean[index]) & (data.items.clean[index] <= upper)
    assert held.double().mean().item() == pytest.approx(0.9, abs=0.01)


def test_a_long_traces_certainty_is_that_of_the_window_with_the_largest_value(doubtful, monkeypatch):
    calls = []

    def recover(run, noisy, calibration):
        calls.append(noisy)
        return noisy.expand(3, *noisy.shape), noisy.flatten(1).abs().amax(1)

    monkeypatch.setattr("vaelab.task.denoise._recover", recover)
    noisy = torch.rand(2, 1, 300, generator=torch.Generator().manual_seed(0))
    found = denoise(doubtful, noisy, object())
    assert len(calls) > 3 and torch.equal(found.certainty, noisy.flatten(1).amax(1))


def test_band_and_certainty_are_written_beside_the_recovered_traces_unless_they_are_not_wanted(doubtful, tmp_path):
    rows = doubtful.data().items.raw[:5, 0].numpy()
    np.savetxt(tmp_path / "mine.csv", rows, delimiter=",")
    Denoise(str(tmp_path / "mine.csv"))(doubtful, Output(tmp_path / "out"))
    read = {k: np.loadtxt(tmp_path / "out" / f"mine_{k}.csv", delimiter=",") for k in ("lower", "recovered", "upper")}
    assert (read["lower"] < read["recovered"]).all() and (read["recovered"] < read["upper"]).all()
    header, *lines = (tmp_path / "out" / "mine_certainty.csv").read_text().splitlines()
    assert header == "trace,certainty,certain" and [line.split(",")[0] for line in lines] == list("12345")
    assert all((float(sure) >= 0.5) == (flag == "yes") for _, sure, flag in (line.split(",") for line in lines))
    Denoise(str(tmp_path / "mine.csv"), band=False)(doubtful, Output(tmp_path / "plain"))
    assert {path.name for path in (tmp_path / "plain").iterdir()} == {"mine_recovered.csv", "recovered.png"}


def test_a_band_without_the_runs_data_is_refused_with_the_way_out(doubtful, tmp_path, monkeypatch):
    def gone():
        raise UserError("mine.csv does not exist: check the path")

    monkeypatch.setattr(doubtful, "data", gone)
    np.savetxt(tmp_path / "a.csv", np.ones((1, LENGTH)), delimiter=",")
    with pytest.raises(UserError, match=r"^the band needs [^\n]*mine\.csv does not exist[^\n]*task\.band=false[^\n]*$"):
        Denoise(str(tmp_path / "a.csv"))(doubtful, Output(tmp_path / "out"))
    Denoise(str(tmp_path / "a.csv"), band=False)(doubtful, Output(tmp_path / "out"))


def test_the_figure_shows_a_draw_of_the_files_traces_by_their_numbers(tiny, tmp_path, monkeypatch):
    from vaelab.figures import traces as figures

    run, shown, rows = tiny("radio"), [], figures.trace_rows
    monkeypatch.setattr(figures, "trace_rows", lambda *given, **how: shown.append((given, how)) or rows(*given, **how))
    np.save(tmp_path / "mine.npy", traces(LENGTH, n=50).numpy())
    Denoise(file=str(tmp_path / "mine.npy"), band=False)(run, Output(tmp_path / "out"))
    (noisy, _, recovered, _), how = shown[0]
    numbers = [int(title.removeprefix("trace ")) for title in how["titles"]]
    assert len(set(numbers)) == 3 and numbers == sorted(numbers) != [1, 2, 3]
    written = np.load(tmp_path / "out" / "mine_recovered.npy")
    assert np.array_equal(noisy, traces(LENGTH, n=50)[[k - 1 for k in numbers]])
    assert np.array_equal(recovered, written[[k - 1 for k in numbers]])


@pytest.mark.parametrize(
    "lines",
    [
        [f"{k * 0.01:.3f}" for k in range(100)],
        [f"{k % 7}.5\t{k % 5}.25\t{k % 3}" for k in range(LENGTH)],
        [",".join(f"{(k * j) % 11}.5" for k in range(LENGTH)) for j in (1, 2)],
    ],
    ids=["one column", "signals in columns", "signals in rows"],
)
def test_a_text_comes_back_in_its_own_orientation(identity, tmp_path, lines):
    (tmp_path / "mine.csv").write_text("\n".join(lines) + "\n")
    Denoise(str(tmp_path / "mine.csv"))(identity, Output(tmp_path / "out"))
    wanted = np.loadtxt(tmp_path / "mine.csv", delimiter="," if "," in lines[0] else None, ndmin=2)
    found = np.loadtxt(tmp_path / "out" / "mine_recovered.csv", delimiter=",", ndmin=2)
    assert found.shape == wanted.shape and np.allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("shape", [(100,), (LENGTH, 3), (3, LENGTH), (3, 1, LENGTH), (90, 1)])
def test_an_array_comes_back_in_its_own_shape(identity, tmp_path, shape):
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    np.save(tmp_path / "mine.npy", values)
    Denoise(str(tmp_path / "mine.npy"))(identity, Output(tmp_path / "out"))
    found = np.load(tmp_path / "out" / "mine_recovered.npy")
    assert found.shape == shape and np.allclose(found, values, atol=1e-5)
