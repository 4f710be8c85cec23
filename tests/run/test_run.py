import json
import math
import os
import pickle
import resource
import subprocess
import sys
import time
import zipfile

import pytest
import torch
from omegaconf import OmegaConf
from torch.serialization import get_unsafe_globals_in_checkpoint

from vaelab.errors import TakenError, UserError
from vaelab.run.build import shared_data
from vaelab.run.checkpoint import FORMAT, KEY, checkpoint_entry, load_run
from vaelab.run.directory import check_whole, claim, refuse_taken, stored_config, write_config
from vaelab.run.records import write_json

RUNS = [
    ("sine", ()),
    ("sine", ("latent=gaussian", "latent.dim=2", "likelihood=laplace")),
    ("digits", ()),
    ("digits", ("architecture=conv2d", "architecture.widths=[4,8]", "latent.dim=null")),
    ("digits", ("architecture=resnet2d", "architecture.widths=[8,8]")),
    ("radio", ()),
    ("radio", ("latent=gaussian", "latent.dim=null")),
    ("audio", ()),
]


COUNT_THREADS = """
import json, torch
from vaelab.run.build import set_threads
set_threads(1)
import scipy.linalg, sklearn.mixture
from threadpoolctl import threadpool_info
print(json.dumps([torch.get_num_threads(), *(pool["num_threads"] for pool in threadpool_info())]))
"""


def test_one_thread_is_one_in_libraries_that_are_imported_later_too():
    many = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "2")
    done = subprocess.run([sys.executable, "-c", COUNT_THREADS], env=many, capture_output=True, text=True, check=True)
    counts = json.loads(done.stdout)
    assert len(counts) >= 3 and set(counts) == {1}


def test_the_same_data_are_read_once_and_others_anew(configure):
    one = shared_data(configure("sine"))
    assert shared_data(configure("sine", "latent.dim=3", "trainer.max_epochs=7")) is one
    for changed in ("seed=1", "dataset.waves=61", "dataset.batch_size=7"):
        other = shared_data(configure("sine", changed))
        assert other is not one and other.batch_size == configure("sine", changed).dataset.batch_size
    assert shared_data(configure("sine")) is not one  # only the last is held


def test_convolutions_of_pictures_have_the_channels_innermost_and_give_the_same(tiny):
    variant = tiny("digits", "architecture=resnet2d", "architecture.widths=[8,8]").variant
    kernels = [p for p in variant.parameters() if p.ndim == 4 and p.shape[1] > 1 and p.shape[2] > 1]
    assert kernels and all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels)
    x = torch.rand(3, 1, 8, 8)
    with torch.no_grad():
        code = variant.posterior(x).mean
        params = variant.params(code)
        variant.to(memory_format=torch.contiguous_format)
        assert torch.allclose(variant.posterior(x).mean, code, atol=1e-5)
        assert torch.allclose(variant.params(code), params, atol=1e-5)


class Harm:
    """What a hostile pickle holds: it runs a command when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def save(run, path, **changed):
    entry = checkpoint_entry(run.config, run.variant) | changed
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": run.variant.state_dict(), KEY: entry}, path)
    return path


def outputs(run):
    batch = run.data().batch("test", 4)
    torch.manual_seed(0)
    posterior = run.variant.posterior(batch.x)
    params = run.variant.params(posterior.sample())
    decoded = run.variant.codec.decode(run.variant.decode(posterior.mean))
    return batch.x, posterior.mean, posterior.kl(), params, run.variant.likelihood.mean(params), decoded


def shaken(run):
    """As after training: no parameter or statistic is what a fresh model begins with."""
    torch.manual_seed(1)
    with torch.no_grad():
        for value in run.variant.parameters():
            value.add_(0.05 * torch.randn_like(value))
        for name, value in run.variant.likelihood.named_buffers():
            value.fill_(0.3 if name == "variance" else 17.0)
    return run


def refused(path):
    with pytest.raises(UserError) as told:
        load_run(path)
    assert "\n" not in str(told.value) and str(path) in str(told.value)
    return str(told.value)


@pytest.mark.parametrize(("experiment", "overrides"), RUNS, ids=lambda value: ",".join(value)[:40] or "as it is")
@torch.inference_mode()
def test_a_model_comes_back_from_its_checkpoint_as_it_was(tiny, tmp_path, experiment, overrides):
    run = shaken(tiny(experiment, *overrides))
    again = load_run(save(run, tmp_path / "checkpoints" / "best.ckpt"))
    assert again.directory == tmp_path and not again.variant.training
    assert again.signature == run.signature and again.variant.shape == run.variant.shape
    assert all(torch.equal(a, b) for a, b in zip(outputs(run), outputs(again), strict=True))


def test_the_codec_comes_back_as_it_was_fitted_and_not_fitted_anew(tiny, tmp_path):
    run = tiny("sine", "dataset.codec.standardise=true")
    run.variant.codec.mean.fill_(3.0)
    again = load_run(save(run, tmp_path / "x.ckpt"))
    assert again.variant.codec.mean.item() == 3.0 and again.data().codec.mean.item() == 3.0


def test_a_checkpoint_holds_plain_data_alone(tiny, tmp_path):
    path = save(tiny("radio"), tmp_path / "x.ckpt")
    assert get_unsafe_globals_in_checkpoint(path) == []
    assert torch.load(path, weights_only=True)[KEY]["format"] == FORMAT


def test_a_run_is_found_by_its_directory_its_best_checkpoint_first(tiny, tmp_path):
    run = tiny("sine")
    last = save(run, tmp_path / "checkpoints" / "last.ckpt")
    assert load_run(tmp_path).checkpoint == last
    best = save(run, tmp_path / "checkpoints" / "best.ckpt")
    assert load_run(tmp_path).checkpoint == best
    alone = save(run, tmp_path / "elsewhere" / "model.ckpt")
    assert load_run(alone).directory == tmp_path / "elsewhere"
    assert load_run(str(alone)).directory == tmp_path / "elsewhere"


def test_a_model_that_no_memory_holds_is_refused_before_it_is_made(tiny, tmp_path):
    run = tiny("sine")
    run.config.architecture.widths = [10**9, 10**9]
    path = save(run, tmp_path / "x.ckpt")
    with pytest.raises(UserError, match=r"architecture and latent.dim would need \S+ EiB of memory[^\n]*$"):
        load_run(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_hostile_checkpoint_is_refused_and_runs_nothing(tmp_path, zipped):
    path = tmp_path / "x.ckpt"
    content = {"state_dict": {}, KEY: Harm(tmp_path / "ran")}
    if zipped:
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))
    assert "cannot be read as a checkpoint" in refused(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("target", ["os.mkdir", "vaelab.data.cache.os.mkdir"])
@pytest.mark.parametrize("where", ["architecture", "dataset.codec", "optimizer", "report", "trainer"])
def test_a_checkpoint_whose_configuration_names_foreign_code_is_refused_and_runs_nothing(tiny, tmp_path, target, where):
    run = tiny("sine")
    OmegaConf.update(run.config, where, {"_target_": target, "path": str(tmp_path / "ran")}, merge=False)
    line = refused(save(run, tmp_path / "x.ckpt"))
    assert f"names {where}._target_={target}, which vaelab does not offer there" in line
    assert not (tmp_path / "ran").exists()


def test_a_writer_of_vaelabs_own_cannot_be_made_to_overwrite_a_file_by_a_checkpoint(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    keys = tmp_path / ".ssh" / "authorized_keys"
    keys.parent.mkdir()
    keys.write_text("mine")
    writer = {"_target_": "vaelab.data.writers.NpyWriter", "path": {"_target_": "pathlib.Path", "_args_": [str(keys)]}}
    piece = {"_target_": "vaelab.codec.picture.PictureCodec"}
    attack = {"_target_": "vaelab.data.writers.NpyWriter.write", "self": writer, "piece": piece}
    for place in ("architecture", "latent", "dataset.codec", "beta_schedule"):
        run = tiny("sine")
        OmegaConf.update(run.config, place, attack, merge=False)
        refused(save(run, tmp_path / "x.ckpt"))
        nested = tiny("sine")
        OmegaConf.update(nested.config, f"{place}.hidden", attack, force_add=True)
        refused(save(nested, tmp_path / "x.ckpt"))
    assert keys.read_text() == "mine"


def test_no_file_that_a_checkpoint_names_is_opened_before_its_data_are_needed(tiny, tmp_path, monkeypatch):
    run = tiny("sine")
    source = {"_target_": "vaelab.dataset.signal_table.SignalTable", "file": str(tmp_path / "secret.csv")}
    run.config.dataset = {**source, "batch_size": 8, "split": [0.8, 0.1, 0.1], "codec": run.config.dataset.codec}
    path, opened = save(run, tmp_path / "x.ckpt"), []
    # A hook stays for ever, so it only listens until the model is there.
    listening = [True]
    sys.addaudithook(lambda event, args: opened.append(str(args[0])) if listening and event == "open" else None)
    loaded = load_run(path)
    listening.clear()
    assert str(path) in opened and not any("secret" in name for name in opened)
    with pytest.raises(UserError, match=r"secret\.csv does not exist"):
        loaded.data()


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]\n" for k in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOMB, "refers to itself"),
        ("a: &x 1\nb: 2\n", "refers to itself"),
        ("seed: ${oc.env:HOME}\n", "asks for what lies outside of it"),
        ('seed: "\\x24{oc.env:HOME}"\n', "asks for what lies outside of it"),
        ("seed: !!python/object/apply:os.getcwd []\n", "holds an object"),
        ("[" * 100 + "]" * 100, "is nested too deeply"),
        ("a: " + "x" * 2**18, "holds no configuration"),
        ("- 1\n", "holds no configuration"),
        ("a: [", "is damaged"),
        (None, "holds no configuration"),
        (7, "holds no configuration"),
        ("1e3", "is damaged"),
    ],
)
def test_a_configuration_that_is_not_plain_data_is_refused_at_once(tiny, tmp_path, text, words):
    assert words in refused(save(tiny("sine"), tmp_path / "x.ckpt", config=text))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("architecture.widths", [2**20]),
        ("architecture.widths", [2**40]),
        ("architecture.widths", [1] * 5000),
        ("latent", {"_target_": "vaelab.latent.circle.CircleLatent", "dim": 2**40}),
        ("architecture", {"_target_": "vaelab.architecture.lstm.LSTM", "width": 1, "layers": 10**9}),
        ("dataset.codec", {"_target_": "vaelab.codec.spectrogram.SpectrogramCodec", "n_fft": 2**40}),
    ],
)
def test_sizes_in_a_checkpoint_are_checked_before_memory_is_taken(tiny, tmp_path, key, value):
    run = tiny("sine")
    path = tmp_path / "x.ckpt"
    OmegaConf.update(run.config, key, value, merge=False)
    save(run, path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    refused(path)
    assert time.monotonic() - began < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**18  # kB


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("shape", [2**31, 2**31]),
        ("shape", [1, 0]),
        ("shape", [1.5, 32]),
        ("shape", "abc"),
        ("shape", None),
        ("signature", {}),
        ("signature", None),
    ],
)
def test_a_checkpoint_of_no_possible_data_is_refused(tiny, tmp_path, key, value):
    assert "it is damaged" in refused(save(tiny("sine"), tmp_path / "x.ckpt", **{key: value}))


@pytest.mark.parametrize(
    "changed",
    [
        {"kind": "smell"},
        {"raw_shape": (1, -3)},
        {"sample_rate": float("nan")},
        {"sample_rate": 0},
        {"label_names": "abc"},
        {"facts": {"cycles": "three"}},
        {"facts": None},
        {"more": 1},
    ],
)
def test_a_signature_that_no_data_have_is_refused(tiny, tmp_path, changed):
    run = tiny("sine")
    signature = checkpoint_entry(run.config, run.variant)["signature"] | changed
    assert "it is damaged" in refused(save(run, tmp_path / "x.ckpt", signature=signature))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused_for_every_task(tiny, tmp_path, value):
    run = tiny("sine")
    with torch.no_grad():
        next(run.variant.decoder.parameters()).view(-1)[3] = value
    assert "hold NaN or infinity" in refused(save(run, tmp_path / "x.ckpt"))


@pytest.mark.parametrize(
    "make",
    [
        lambda value: value.to_sparse(),
        lambda value: torch.zeros(1).expand(10**9),
        lambda value: value.to(torch.complex64),
        lambda value: value > 0,
        lambda value: value + 3e38,
        lambda value: value.tolist(),
        lambda value: None,
    ],
    ids=["sparse", "view", "complex", "truths", "huge", "list", "none"],
)
def test_weights_of_an_odd_kind_are_refused_and_take_no_memory(tiny, tmp_path, make):
    run = tiny("sine")
    weights = run.variant.state_dict()
    name = next(name for name in weights if name.startswith("decoder"))
    entry = checkpoint_entry(run.config, run.variant)
    torch.save({"state_dict": weights | {name: make(weights[name])}, KEY: entry}, tmp_path / "x.ckpt")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "damaged" in refused(tmp_path / "x.ckpt")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**18  # kB


def test_a_packed_archive_is_refused_before_it_is_unpacked(tiny, tmp_path):
    path = save(tiny("sine"), tmp_path / "x.ckpt")
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(tmp_path / "y.ckpt", "w", zipfile.ZIP_DEFLATED) as packed:
        for name in archive.namelist():
            packed.writestr(name, archive.read(name))
    assert "cannot be read as a checkpoint" in refused(tmp_path / "y.ckpt")


OWN_NET = """
from vaelab.architecture.mlp import MLP

class Mine(MLP):
    pass
"""


def test_an_own_net_is_built_from_a_checkpoint_where_its_module_is_trusted_and_not_before(tiny, tmp_path, monkeypatch):
    trace = f"import pathlib; pathlib.Path({str(tmp_path / 'ran')!r}).touch()"
    (tmp_path / "strange_nets.py").write_text(f"{trace}\n{OWN_NET}")
    run = tiny("sine")
    run.config.architecture._target_ = "strange_nets.Mine"
    path = save(run, tmp_path / "x.ckpt")
    monkeypatch.chdir(tmp_path)
    assert refused(path).endswith("if you trust who wrote it, add trust=[strange_nets]")
    assert not (tmp_path / "ran").exists()
    for trust in (["strange"], ["strange_nets.Mine.more"], ["os"]):
        with pytest.raises(UserError):
            load_run(path, trust=trust)
    assert not (tmp_path / "ran").exists()
    assert load_run(path, trust=["strange_nets"]).variant.shape == (1, 32)


@pytest.mark.parametrize("content", [b"", b"epoch,loss\n1,2\n", b"a: 1\n", b"hello", b"{}", b"(lp0\n.", b"PK\x03\x04"])
def test_a_file_that_is_no_checkpoint_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "x.ckpt"
    path.write_bytes(content)
    assert "cannot be read as a checkpoint" in refused(path) or "is not a checkpoint of vaelab" in refused(path)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.99])
def test_a_truncated_checkpoint_is_refused_in_one_line(tiny, tmp_path, share):
    whole = save(tiny("sine"), tmp_path / "x.ckpt").read_bytes()
    (tmp_path / "x.ckpt").write_bytes(whole[: int(share * len(whole))])
    assert "cannot be read as a checkpoint" in refused(tmp_path / "x.ckpt")


@pytest.mark.parametrize("content", [{"state_dict": {}}, {KEY: 5}, {KEY: {}}, [1, 2], torch.ones(3)], ids=str)
def test_a_checkpoint_of_something_else_is_refused_in_one_line(tmp_path, content):
    torch.save(content, tmp_path / "x.ckpt")
    assert "is not a checkpoint of vaelab" in refused(tmp_path / "x.ckpt")


def test_another_format_is_refused_naming_the_version_that_wrote_it(tiny, tmp_path):
    line = refused(save(tiny("sine"), tmp_path / "x.ckpt", format=FORMAT + 1, version="9.9"))
    assert "written by vaelab 9.9" in line and f"format {FORMAT + 1}" in line


def test_weights_of_another_shape_are_refused_in_one_line(tiny, tmp_path):
    run = tiny("sine")
    run.config.architecture.widths = [8]
    assert "does not fit this one" in refused(save(run, tmp_path / "x.ckpt"))


def test_a_run_that_is_not_there_is_told_in_one_line(tmp_path):
    assert "there is no run" in refused(tmp_path / "nowhere")
    assert "holds no checkpoint" in refused(tmp_path)


def test_data_of_another_shape_than_the_models_are_refused_in_one_line(tiny, tmp_path):
    run = load_run(save(tiny("sine"), tmp_path / "x.ckpt"))
    run.config.dataset.samples = 16
    with pytest.raises(UserError, match=r"^the data are now of shape \(1, 16\), the model was trained on \(1, 32\)"):
        run.data()


def test_a_run_directory_is_taken_once_and_nothing_in_it_is_touched_again(configure, tmp_path):
    directory, config = tmp_path / "a" / "b", configure("sine")
    refuse_taken(directory)
    claim(directory)
    write_config(directory, config)
    (directory / "left_out.txt").write_text("a row")
    before = {path: path.read_text() for path in directory.iterdir()}
    for again in (refuse_taken, claim):
        with pytest.raises(TakenError, match=r"^[^\n]+ already holds a run: [^\n]+resume=[^\n]+$"):
            again(directory)
    assert {path: path.read_text() for path in directory.iterdir()} == before
    assert stored_config(directory) == config


def test_of_a_run_that_was_only_begun_the_course_is_taken_away(configure, tmp_path):
    write_config(tmp_path, configure("sine"))
    (tmp_path / "tensorboard").mkdir()
    (tmp_path / "tensorboard" / "events").write_text("")
    (tmp_path / "left_out.txt").write_text("a row")
    (tmp_path / "notes.txt").write_text("the user's own")
    claim(tmp_path, begun=True)
    assert {path.name for path in tmp_path.iterdir()} == {"config.yaml", "notes.txt"}


DAMAGES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"hello",
    b"seed: 1\n",
    b"a: [\n",
    b"\xff\xfe\x00",
    b"a: b: c",
    b"%",
    b"!!python/x 1",
]


@pytest.mark.parametrize("damage", DAMAGES, ids=repr)
def test_a_damaged_configuration_is_taken_from_the_checkpoint_and_that_is_told(tiny, tmp_path, capsys, damage):
    run = tiny("sine")
    resumed = OmegaConf.to_yaml(OmegaConf.merge(run.config, {"resume": str(tmp_path)}))
    save(run, tmp_path / "checkpoints" / "last.ckpt", config=resumed)
    file = tmp_path / "config.yaml"
    file.write_bytes(damage)
    assert stored_config(tmp_path) == run.config
    line = capsys.readouterr().out
    assert str(file) in line and line.endswith(f"its copy in {tmp_path / 'checkpoints' / 'last.ckpt'} is taken\n")
    file.unlink()
    assert stored_config(tmp_path) == run.config


@pytest.mark.parametrize("damage", DAMAGES, ids=repr)
def test_a_damaged_configuration_without_a_copy_is_refused_in_one_line(tmp_path, damage):
    (tmp_path / "config.yaml").write_bytes(damage)
    with pytest.raises(UserError, match=r"^[^\n]+config.yaml[^\n]+no checkpoint has a copy: start a new run$"):
        stored_config(tmp_path)


@pytest.mark.parametrize(("name", "other"), [("last", "best"), ("best", "last")])
def test_a_damaged_checkpoint_is_told_with_the_remedy(tiny, tmp_path, monkeypatch, name, other):
    run = tiny("sine")
    damaged, whole = (tmp_path / "checkpoints" / f"{part}.ckpt" for part in (name, other))
    monkeypatch.setattr("vaelab.run.directory.RESUMED", ("state_dict",))
    save(run, damaged)
    check_whole(tmp_path)
    damaged.write_bytes(damaged.read_bytes()[:200])
    with pytest.raises(
        UserError, match=rf"^{damaged} cannot be read[^\n]+take it away, and resume= begins the run anew$"
    ):
        check_whole(tmp_path)
    save(run, whole)
    with pytest.raises(UserError, match=rf"^{damaged} cannot be read[^\n]+{other}.ckpt"):
        check_whole(tmp_path)


def test_a_directory_without_a_run_cannot_be_continued(tmp_path):
    with pytest.raises(UserError, match=r"^[^\n]+ holds no run \(no config.yaml\)[^\n]+$"):
        stored_config(tmp_path)


def test_numbers_are_written_whole_or_not_at_all(tmp_path):
    write_json(tmp_path / "m.json", {"a": 1.5})
    with pytest.raises(TypeError):
        write_json(tmp_path / "m.json", {"a": object()})
    assert json.loads((tmp_path / "m.json").read_text()) == {"a": 1.5}


def test_a_strangers_run_directory_is_not_resumed_and_an_own_one_with_trust(tiny, tmp_path):
    config = tiny("sine").config
    config.architecture._target_ = "strange_nets.Mine"
    write_config(tmp_path, config)
    with pytest.raises(UserError, match=r"add trust=\[strange_nets\]$"):
        stored_config(tmp_path)
    assert stored_config(tmp_path, ["strange_nets"]) == config


def test_what_is_no_number_is_null_in_a_file_that_any_reader_of_json_takes(tmp_path):
    write_json(tmp_path / "m.json", {"a": math.nan, "b": [1.0, -math.inf, {"c": math.inf}], "d": (2, "nan", None)})

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    read = json.loads((tmp_path / "m.json").read_text(), parse_constant=refuse)
    assert read == {"a": None, "b": [1.0, None, {"c": None}], "d": [2, "nan", None]}
