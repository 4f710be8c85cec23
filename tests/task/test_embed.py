import csv
import json

import numpy as np
import pytest
import torch

from vaelab.errors import UserError
from vaelab.metrics.probe import majority_accuracy, pca_codes_of_both, probe_accuracy, silhouette
from vaelab.task.base import Output, code_means
from vaelab.task.embed import Embed


def table(folder, name="codes.csv"):
    with (folder / name).open(newline="") as file:
        return list(csv.DictReader(file))


def blobs(n=60, seed=0):
    label = torch.arange(n) % 3
    noise = torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))
    return 10 * torch.eye(3)[label][:, :2] + 0.1 * noise, label


def test_the_table_has_every_items_number_class_and_code(tiny, tmp_path):
    run = tiny("digits")
    Embed(n=20)(run, Output(tmp_path))
    batch = run.data().batch("test", 20)
    codes, rows = code_means(run, batch.x), table(tmp_path)
    assert np.allclose(np.load(tmp_path / "codes.npy"), codes)
    assert list(rows[0]) == ["item", "label", "z1", "z2", "z3"]
    assert [int(row["item"]) for row in rows] == run.data().numbers("test", batch.item).tolist()
    assert [row["label"] for row in rows] == [str(label) for label in batch.label.tolist()]
    assert np.allclose([[float(row[f"z{k}"]) for k in (1, 2, 3)] for row in rows], codes, rtol=1e-4, atol=1e-5)


def test_the_probe_stands_beside_that_of_pca_and_the_majority(tiny, tmp_path):
    run = tiny("digits")
    Embed()(run, Output(tmp_path))
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert set(found) == {
        "embed/probe_accuracy",
        "embed/silhouette",
        "embed/baseline/pca_probe_accuracy",
        "embed/baseline/majority",
    }
    train, test = (run.data().batch(*part) for part in (("train", 5000), ("test",)))
    codes = [code_means(run, batch.x) for batch in (train, test)]
    assert found["embed/probe_accuracy"] == probe_accuracy(codes[0], train.label, codes[1], test.label)
    assert found["embed/baseline/pca_probe_accuracy"] > 2 * found["embed/baseline/majority"]
    assert all((tmp_path / f"{name}.png").stat().st_size > 1000 for name in ("embedding", "latent_histograms"))


@pytest.mark.parametrize("case", ["no labels", "one class"])
def test_where_no_probe_can_be_fitted_the_codes_come_all_the_same_and_it_is_said(tiny, tmp_path, capsys, case):
    run = tiny("sine") if case == "no labels" else tiny("digits", "dataset.keep=[3]")
    Embed()(run, Output(tmp_path))
    assert "codes and pictures only, no probe" in capsys.readouterr().out
    assert not (tmp_path / "metrics.json").exists()
    assert len(table(tmp_path)) == len(run.data().index["test"])
    assert {row["label"] for row in table(tmp_path)} == ({""} if case == "no labels" else set("0123456789"))


def test_fewer_than_one_item_is_refused_in_one_line(tiny, tmp_path):
    with pytest.raises(UserError, match=r"^task.n must be at least 1, not 0$"):
        Embed(n=0)(tiny("sine"), Output(tmp_path))


def test_separate_classes_are_told_and_shuffled_ones_are_not():
    (train, label), (test, test_label) = blobs(), blobs(seed=1)
    assert probe_accuracy(train, label, test, test_label) == 1.0
    assert silhouette(test, test_label) > 0.9
    shuffled = label[torch.randperm(60, generator=torch.Generator().manual_seed(0))]
    assert probe_accuracy(train, shuffled, test, test_label) < 0.7
    assert abs(silhouette(train, shuffled)) < 0.3


def test_the_majority_is_that_of_the_training_items():
    assert majority_accuracy(torch.tensor([1, 1, 0]), torch.tensor([0, 0, 1, 0])) == 0.25


def test_a_silhouette_of_one_class_is_not_a_number():
    assert np.isnan(silhouette(torch.randn(9, 2), torch.zeros(9)))


def test_principal_components_are_learnt_from_the_training_items_alone():
    train = torch.randn(50, 1, 6, generator=torch.Generator().manual_seed(0))
    seen, unseen = pca_codes_of_both(train, train[:5] + 3, 4)
    assert seen.shape == (50, 4) and seen.mean(0).abs().max() < 1e-5
    assert torch.allclose(pca_codes_of_both(train, train[:5], 4)[1], seen[:5], atol=1e-5)
    assert not torch.allclose(unseen, seen[:5])


def test_a_part_of_a_split_and_what_the_probe_learns_from_are_drawn_from_all_of_it(tiny, tmp_path, fifths, monkeypatch):
    run = tiny("digits", "dataset.split=[0.6,0.1,0.3]")
    monkeypatch.setattr("vaelab.task.embed.BASELINE_ITEMS", 80)
    for split, n in (("test", 50), ("train", 80)):
        Embed(n=50)(run, Output(tmp_path / split))
        assert fifths(run.data(), split) == (n, 5)


def test_all_items_come_in_the_splits_own_order(tiny, tmp_path):
    run = tiny("digits")
    Embed()(run, Output(tmp_path))
    assert [int(row["item"]) for row in table(tmp_path)] == list(range(len(run.data().index["test"])))
