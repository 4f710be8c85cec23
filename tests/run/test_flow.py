import pickle
import zipfile

import pytest
import torch

from vaelab.errors import UserError
from vaelab.latent import flow as latent_flow
from vaelab.run.checkpoint import KEY, checkpoint_entry
from vaelab.run.flow import FORMAT, flow_of, kept_at, posteriors, read_flow, weights_digest, write_flow


@pytest.fixture
def kept(tiny, tmp_path, monkeypatch):
    """A run in a directory of its own, with little time for its flow."""
    monkeypatch.setattr(latent_flow, "STEPS", 3)

    def make(*words, experiment="digits", folder=tmp_path):
        run = tiny(experiment, *words)
        run.directory, run.checkpoint = folder, folder / "checkpoints" / "best.ckpt"
        run.checkpoint.parent.mkdir(exist_ok=True)
        torch.save(
            {KEY: checkpoint_entry(run.config, run.variant), "state_dict": run.variant.state_dict()}, run.checkpoint
        )
        return run

    return make


def drawn(flow):
    torch.manual_seed(0)
    return flow.draw(20)


def without_data(run):
    run._data = None
    run.config.dataset._target_ = "nowhere.at.all"
    return run


def test_a_flow_is_fitted_once_and_its_run_needs_no_data_after_that(kept, capsys):
    run = kept()
    first = drawn(flow_of(run))
    told = capsys.readouterr()
    assert told.out == "" and told.err.startswith("fitting a flow")
    assert torch.equal(first, drawn(flow_of(without_data(run))))
    assert capsys.readouterr() == ("", "")


def test_a_file_holds_plain_data_alone_and_no_other_file_is_left(kept):
    run = kept()
    flow_of(run)
    names = {file.name for file in run.checkpoint.parent.iterdir()}
    assert names == {"best.ckpt", "best_flow.pt"}
    content = torch.load(kept_at(run.checkpoint), weights_only=True)
    assert content["format"] == FORMAT and all(type(value) is torch.Tensor for value in content["flow"].values())


def test_each_checkpoint_of_a_run_has_a_flow_of_its_own(kept):
    run = kept()
    flow_of(run)
    run.checkpoint = run.checkpoint.with_name("last.ckpt")
    flow_of(run)
    assert {file.name for file in run.checkpoint.parent.glob("*.pt")} == {"best_flow.pt", "last_flow.pt"}


def test_a_checkpoint_alone_has_its_flow_fitted_each_time_and_that_is_told(kept, tmp_path, capsys):
    run = kept()
    run.checkpoint = tmp_path / "best.ckpt"
    first = drawn(flow_of(run))
    assert "best.ckpt lies in no run directory" in capsys.readouterr().err
    assert torch.equal(first, drawn(flow_of(run))) and not list(tmp_path.rglob("*.pt"))


def test_the_flow_of_other_weights_is_not_used_but_fitted_anew(kept, capsys):
    run = kept()
    before = drawn(flow_of(run))
    with torch.no_grad():
        next(run.variant.parameters()).add_(0.1)
    capsys.readouterr()
    after = drawn(flow_of(run))
    assert "best_flow.pt is the flow of other weights; it is fitted anew" in capsys.readouterr().err
    assert not torch.equal(before, after) and torch.equal(after, drawn(flow_of(without_data(run))))


def test_one_weight_and_its_place_change_what_weights_are_told_by(kept):
    variant = kept().variant
    first = weights_digest(variant)
    assert first == weights_digest(variant)
    weight = next(weight for weight in variant.parameters() if weight.numel() > 1)
    with torch.no_grad():
        weight.copy_(weight.flatten().roll(1).view_as(weight))
    second = weights_digest(variant)
    variant.double()
    assert len({first, second, weights_digest(variant)}) == 3


def changed(content, name, value):
    content["flow"][name] = value
    return content


def without(content, name):
    del content["flow"][name]
    return content


class Evil:
    def __reduce__(self):
        return print, ("run",)


HOSTILE = {
    "a list": lambda content: [content],
    "another format": lambda content: content | {"format": FORMAT + 1},
    "no format": lambda content: {"flow": content["flow"]},
    "no weights": lambda content: content | {"flow": 3},
    "a number lacks": lambda content: without(content, "mean"),
    "one too many": lambda content: changed(content, "more", torch.zeros(3)),
    "another shape": lambda content: changed(content, "mean", torch.zeros(7)),
    "a shape of one": lambda content: changed(content, "mean", torch.zeros(1)),
    "nan": lambda content: changed(content, "mean", content["flow"]["mean"] * float("nan")),
    "infinity": lambda content: changed(content, "across", content["flow"]["across"] + float("inf")),
    "beyond": lambda content: changed(content, "out_of", content["flow"]["out_of"] + 1e13),
    "complex": lambda content: changed(content, "mean", content["flow"]["mean"].to(torch.complex64)),
    "no tensor": lambda content: changed(content, "mean", 0.0),
    "a view": lambda content: changed(content, "out_of", torch.zeros(1).expand(content["flow"]["out_of"].shape)),
    "sparse": lambda content: changed(content, "out_of", content["flow"]["out_of"].to_sparse()),
    "an object": lambda content: content | {"more": Evil()},
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_a_strangers_file_that_is_no_flow_of_this_model_is_not_used_but_fitted_anew(kept, capsys, change):
    run = kept()
    good = drawn(flow_of(run))
    file = kept_at(run.checkpoint)
    torch.save(change(torch.load(file, weights_only=True)), file)
    with pytest.raises(UserError, match=r"^[^\n]*best_flow.pt [^\n]+$"):
        read_flow(file, run.variant)
    capsys.readouterr()
    assert torch.equal(good, drawn(flow_of(run)))
    told = capsys.readouterr()
    assert "it is fitted anew" in told.err and told.out == ""
    assert torch.equal(good, drawn(read_flow(file, run.variant)))


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "pickle", "packed"])
def test_a_damaged_file_is_not_used_but_fitted_anew(kept, capsys, damage):
    run = kept()
    good = drawn(flow_of(run))
    file = kept_at(run.checkpoint)
    whole = file.read_bytes()
    if damage == "packed":
        with zipfile.ZipFile(file) as archive:
            members = {member: archive.read(member) for member in archive.namelist()}
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
    else:
        damaged = {"cut": whole[: len(whole) // 2], "empty": b"", "text": b"flow", "pickle": pickle.dumps(Evil())}
        file.write_bytes(damaged[damage])
    capsys.readouterr()
    assert torch.equal(good, drawn(flow_of(run)))
    told = capsys.readouterr()
    assert "is damaged, or no flow" in told.err and told.out == ""


def test_a_damaged_file_of_a_run_without_its_data_is_told_by_what_the_data_lack(kept):
    run = kept()
    flow_of(run)
    kept_at(run.checkpoint).write_bytes(b"")
    with pytest.raises(UserError):
        flow_of(without_data(run))


def test_a_disk_that_takes_no_file_does_not_lose_the_flow(kept, capsys):
    run = kept()
    kept_at(run.checkpoint).mkdir()
    assert drawn(flow_of(run)).isfinite().all()
    assert "the flow is not kept" in capsys.readouterr().err


def test_a_plain_autoencoder_has_a_flow_and_so_has_a_circle(kept, tmp_path):
    for words in (("latent=point", "latent.dim=3"), ("latent=circle", "latent.dim=2")):
        run = kept(*words, experiment="sine")
        assert drawn(flow_of(run)).shape == (20, run.variant.latent.code_size)


def test_a_flow_that_was_written_comes_back_as_it_was(kept, tmp_path):
    run = kept()
    torch.manual_seed(0)
    flow = latent_flow.fit_flow(posteriors(run.variant, run.data().loader("train", 50)), 0)
    write_flow(tmp_path / "flow.pt", flow, run.variant)
    assert torch.equal(drawn(flow), drawn(read_flow(tmp_path / "flow.pt", run.variant)))


def test_a_flow_is_fitted_on_a_draw_from_all_of_the_training_split(kept, fifths, monkeypatch):
    run = kept()
    monkeypatch.setattr("vaelab.run.flow.FITTED_ON", 60)
    flow_of(run)
    assert fifths(run.data(), "train") == (60, 5)
