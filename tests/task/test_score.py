import csv
import json
import os

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from vaelab.errors import UserError
from vaelab.metrics.anomaly import auroc, pca_error, share_above, threshold_at
from vaelab.task.base import Output
from vaelab.task.score import Score, item_scores

NAMES = ["negative_elbo", "reconstruction_error", "kl"]


def scored(run, folder, **settings):
    Score(**settings)(run, Output(folder))
    with (folder / "scores.csv").open(newline="") as file:
        return list(csv.DictReader(file)), json.loads((folder / "metrics.json").read_text())


def column(rows, name):
    return np.array([float(row[name]) for row in rows])


def test_every_test_item_is_scored_and_the_area_stands_beside_pca(tiny, tmp_path):
    run = tiny("digits", "dataset.keep=[0]")
    rows, found = scored(run, tmp_path, k=3)
    test = run.data().batch("test")
    assert list(rows[0]) == ["item", "name", "label", *NAMES, "negative_iw_bound"]
    assert [row["label"] for row in rows] == [str(label) for label in test.label.tolist()]
    anomaly = test.label != 0
    for name in (*NAMES, "negative_iw_bound"):
        assert found[f"score/auroc_{name}"] == pytest.approx(auroc(torch.tensor(column(rows, name)), anomaly), abs=1e-3)
    linear = pca_error(run.data().batch("train", 5000).x, test.x, 3)
    assert found["score/baseline/auroc_pca_error"] == auroc(linear, anomaly)


def test_thresholds_are_exceeded_by_as_many_validation_items_as_asked_for(tiny, tmp_path):
    run = tiny("digits")
    rows, found = scored(run, tmp_path, split="val", normal=["1", 2], false_positive_rates=[0.25])
    usual = np.isin([row["label"] for row in rows], ["1", "2"])
    score, threshold = column(rows, "negative_elbo"), found["score/threshold_at_0.25"]
    assert found["score/false_positive_rate_at_0.25"] == pytest.approx((score[usual] > threshold * (1 + 1e-6)).mean())
    assert 0.1 < found["score/false_positive_rate_at_0.25"] <= 0.25
    assert found["score/true_positive_rate_at_0.25"] == pytest.approx((score[~usual] > threshold).mean(), abs=0.02)


def test_without_normal_classes_there_are_scores_and_thresholds_and_no_area(tiny, tmp_path):
    for name in ("sine", "digits"):
        rows, found = scored(tiny(name), tmp_path / name)
        assert rows and not any("auroc" in key for key in found)
        assert {key for key in found if "0.05" in key} == {"score/threshold_at_0.05", "score/share_above_at_0.05"}


def test_a_split_without_anomalies_is_scored_and_it_is_said(tiny, tmp_path, capsys):
    run = tiny("digits", "dataset.keep=[0]")
    _, found = scored(run, tmp_path, split="val")
    assert "the split val holds no anomalies: no AUROC" in capsys.readouterr().out
    assert not any("auroc" in key or "true_positive" in key for key in found)


def test_the_same_seed_gives_the_same_scores_and_leaves_other_draws_alone(tiny):
    run = tiny("sine")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, same, other = (item_scores(run.variant, run.data().loader("test"), draws=2, k=2, seed=s) for s in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["negative_elbo"], other["negative_elbo"])
    assert torch.equal(one["kl"], other["kl"])


def test_the_elbo_is_the_kl_less_the_expected_log_likelihood_and_the_weighted_bound_is_tighter(tiny):
    run = tiny("digits")
    found = item_scores(run.variant, run.data().loader("test"), draws=64, k=64, seed=0)
    assert (found["negative_elbo"] - found["kl"]).isfinite().all()
    assert found["negative_iw_bound"].mean() <= found["negative_elbo"].mean()
    single = item_scores(run.variant, run.data().loader("test"), draws=1, k=1, seed=0)
    assert single["negative_iw_bound"].mean() == pytest.approx(single["negative_elbo"].mean().item(), rel=0.05)


def test_a_file_of_ones_own_scores_as_the_same_items_of_the_run(tiny, tmp_path):
    run = tiny("sine")
    raw = run.data().items.raw[run.data().index["test"]]
    np.save(tmp_path / "mine.npy", raw.numpy())
    own, _ = scored(run, tmp_path / "own", split="test")
    rows, found = scored(run, tmp_path / "file", file=str(tmp_path / "mine.npy"))
    for name in NAMES:
        assert np.allclose(column(rows, name), column(own, name), rtol=1e-4, atol=1e-4)
    assert {row["label"] for row in rows} == {""} and "score/share_above_at_0.05" in found


def labelled(folder, seed=0, classes=("a", "b", "c"), each=6, size=8):
    """Pictures in class folders, and the brightest of all, strange to a model of dark ones, among the last."""
    rng = np.random.default_rng(seed)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for k in range(each):
            Image.fromarray(rng.integers(0, 60, (size, size), np.uint8)).save(folder / name / f"{k}.png")
    return folder


@pytest.fixture
def pictures(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("VAELAB_CACHE", str(tmp_path / "cache"))
    root = labelled(tmp_path / "pictures")
    return tiny("digits", "dataset=image_folder", f"dataset.root={root}", "dataset.size=8", "dataset.channels=1")


def strangest_titles(monkeypatch):
    from vaelab.figures import pictures

    drawn, grid = [], pictures.picture_grid
    monkeypatch.setattr(
        pictures, "picture_grid", lambda shown, titles: drawn.append((shown, titles)) or grid(shown, titles=titles)
    )
    return drawn


def test_a_folder_is_scored_file_by_file_and_the_strangest_is_drawn_first(pictures, tmp_path, monkeypatch):
    folder, drawn = labelled(tmp_path / "new", seed=1, each=7), strangest_titles(monkeypatch)
    Image.fromarray(np.full((8, 8), 255, np.uint8)).save(folder / "b" / "$1$.png")
    (folder / "broken.png").write_bytes(b"no picture")
    rows, _ = scored(pictures, tmp_path / "out", file=str(folder))
    names = sorted([f"{name}/{k}.png" for name in "abc" for k in range(7)] + ["b/$1$.png"])
    assert [row["name"] for row in rows] == names
    shown, titles = drawn[0]
    by_score = sorted(rows, key=lambda row: -float(row["negative_elbo"]))
    assert by_score[0]["name"] == "b/$1$.png" and float(shown[0].min()) == 1.0
    assert len(shown) == len(titles) == 16
    assert [float(text.splitlines()[1].removesuffix(" nats")) for text in titles] == pytest.approx(
        [float(row["negative_elbo"]) for row in by_score[:16]], rel=1e-3
    )
    assert titles[0].splitlines()[0] == r"b/\$1\$.png" and (tmp_path / "out" / "strangest.png").exists()
    assert (tmp_path / "out" / "left_out.txt").read_text().startswith("broken.png\tcannot be read")


def test_a_folder_scores_as_its_files_do_one_by_one(pictures, tmp_path):
    folder = labelled(tmp_path / "new", seed=1, each=1)
    together, _ = scored(pictures, tmp_path / "all", file=str(folder))
    alone = [scored(pictures, tmp_path / name, file=str(folder / name / "0.png"))[0][0] for name in "abc"]
    assert np.allclose(column(together, "kl"), column(alone, "kl"), rtol=1e-4)
    assert [row["name"] for row in alone] == ["0.png"] * 3


def test_a_split_has_its_files_names(pictures, tmp_path):
    rows, _ = scored(pictures, tmp_path / "out")
    paths = sorted((tmp_path / "pictures").rglob("*.png"))
    test = pictures.data().index["test"].tolist()
    assert [row["name"] for row in rows] == [paths[k].relative_to(tmp_path / "pictures").as_posix() for k in test]


def test_a_folder_without_anything_to_score_is_refused_in_one_line(pictures, tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "x.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"new holds no usable pictures, the last: x.png: cannot be read[^\n]+$"):
        Score(file=str(tmp_path / "new"))(pictures, Output(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_the_rows_of_a_table_and_the_tables_of_a_folder_are_named(tiny, tmp_path):
    run = tiny("sine")
    raw = run.data().items.raw[:5, 0].numpy()
    folder = tmp_path / "tables"
    folder.mkdir()
    np.save(folder / "many.npy", raw[:3])
    np.savetxt(folder / "one.csv", raw[3:4], delimiter=",")
    np.save(folder / "short.npy", raw[:, :7])
    rows, _ = scored(run, tmp_path / "file", file=str(folder / "many.npy"))
    assert [row["name"] for row in rows] == ["many.npy row 1", "many.npy row 2", "many.npy row 3"]
    rows, _ = scored(run, tmp_path / "folder", file=str(folder))
    assert [row["name"] for row in rows] == ["many.npy row 1", "many.npy row 2", "many.npy row 3", "one.csv"]
    assert "short.npy\tthe file's items are of shape (1, 7)" in (tmp_path / "folder" / "left_out.txt").read_text()
    assert (tmp_path / "folder" / "strangest.png").stat().st_size > 1000


def test_pictures_in_arrays_one_a_file_have_the_names_of_their_files(tiny, tmp_path):
    rng = np.random.default_rng(0)
    for k in range(6):
        (tmp_path / "train" / "ab"[k % 2]).mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / "train" / "ab"[k % 2] / f"{k}.npy", rng.integers(0, 256, (8, 8), np.uint8))
    run = tiny("digits", "dataset=image_table", f"dataset.file={tmp_path / 'train'}")
    rows, _ = scored(run, tmp_path / "out", file=str(tmp_path / "train"))
    assert [row["name"] for row in rows] == ["a/0.npy", "a/2.npy", "a/4.npy", "b/1.npy", "b/3.npy", "b/5.npy"]


def test_the_chunks_of_recordings_are_named(tiny, tmp_path):
    run = tiny("audio")
    rate, rng = int(run.signature.sample_rate), np.random.default_rng(0)
    (tmp_path / "sounds").mkdir()
    for name, seconds in (("long", 1.0), ("short", 0.5)):
        soundfile.write(tmp_path / "sounds" / f"{name}.wav", 0.1 * rng.normal(size=int(seconds * rate)), rate)
    rows, _ = scored(run, tmp_path / "out", file=str(tmp_path / "sounds"))
    assert [row["name"] for row in rows] == ["long.wav chunk 1", "long.wav chunk 2", "short.wav"]


def test_names_that_are_no_text_are_written_and_drawn(pictures, tmp_path):
    folder = labelled(tmp_path / "new", each=1)
    (folder / "a" / "0.png").rename(folder / "a" / os.fsdecode(b"br\xf6ken.png"))
    rows, _ = scored(pictures, tmp_path / "out", file=str(folder))
    assert rows[0]["name"] == r"a/br\xf6ken.png"


def test_the_linear_code_beside_the_area_learns_from_all_of_the_training_split(tiny, tmp_path, fifths, monkeypatch):
    run = tiny("digits", "dataset.keep=[0,1]")
    monkeypatch.setattr("vaelab.task.score.BASELINE_ITEMS", 60)
    scored(run, tmp_path)
    assert fifths(run.data(), "train") == (60, 5)


def test_a_file_needs_no_data_where_no_threshold_is_wanted(tiny, tmp_path):
    run = tiny("sine")
    np.save(tmp_path / "mine.npy", run.data().items.raw[:2].numpy())
    run._data = None
    run.config.dataset.waves = -1
    assert len(scored(run, tmp_path, file=str(tmp_path / "mine.npy"), false_positive_rates=[])[0]) == 2


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"draws": 0}, "task.draws must be at least 1, not 0"),
        ({"k": -1}, "task.k must be at least 0, not -1"),
        ({"k": 2**31}, "task.k must be at most 10,000,000, not 2,147,483,648"),
        ({"draws": 2**31}, "task.draws must be at most 10,000,000, not 2,147,483,648"),
        ({"false_positive_rates": [0.05, 1.0]}, "task.false_positive_rates must lie between 0 and 1"),
        ({"normal": ["ten"]}, "task.normal: there is no class ten: there are 0, 1, 2"),
        ({"normal": []}, "task.normal names no class: there are 0, 1, 2"),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused_in_one_line_before_anything_is_read(tiny, tmp_path, settings, words):
    run = tiny("digits")
    run._data, run.config.dataset.split = None, [0, 0, 0]
    with pytest.raises(UserError, match=r"^[^\n]+$") as told:
        Score(**settings)(run, Output(tmp_path))
    assert str(told.value).startswith(words)
    assert not list(tmp_path.iterdir())


def test_normal_classes_that_were_not_validated_on_set_no_threshold(tiny, tmp_path):
    run = tiny("digits", "dataset.keep=[0]")
    with pytest.raises(UserError, match=r"^the validation split has no item of task.normal[^\n]+$"):
        Score(normal=[1])(run, Output(tmp_path))
    assert not list(tmp_path.iterdir())
    _, found = scored(run, tmp_path, normal=[1], false_positive_rates=[])
    assert "score/auroc_negative_elbo" in found


def test_classes_of_unlabelled_data_a_denoiser_and_another_shape_are_refused_in_one_line(tiny, tmp_path):
    with pytest.raises(UserError, match=r"^task.normal names classes, and this run's data have none[^\n]+$"):
        Score(normal=["a"])(tiny("sine"), Output(tmp_path))
    with pytest.raises(UserError, match=r"^task=score judges items by their own likelihood[^\n]+$"):
        Score()(tiny("radio"), Output(tmp_path))
    with pytest.raises(UserError, match=r"^task.k needs a posterior with a density[^\n]+$"):
        Score(k=2)(tiny("sine", "latent=point", "latent.dim=2"), Output(tmp_path))
    np.save(tmp_path / "short.npy", np.zeros((2, 1, 7), np.float32))
    with pytest.raises(UserError, match=r"^the file's items are of shape \(1, 7\)[^\n]+$"):
        Score(file=str(tmp_path / "short.npy"))(tiny("sine"), Output(tmp_path))


def test_the_area_is_one_for_perfect_order_and_a_half_for_ties():
    anomaly = torch.tensor([False, False, True, True])
    assert auroc(torch.tensor([0.0, 1.0, 2.0, 3.0]), anomaly) == 1.0
    assert auroc(torch.zeros(4), anomaly) == 0.5
    assert auroc(torch.tensor([0.0, 2.0, 1.0, 3.0]), anomaly) == 0.75


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.05, 0.1, 0.5])
def test_no_larger_share_of_normal_items_than_asked_for_lies_above_the_threshold(rate):
    normal = torch.randn(300, generator=torch.Generator().manual_seed(0))
    above = share_above(normal, threshold_at(normal, rate))
    assert rate - 1 / 300 - 1e-9 <= above <= rate
