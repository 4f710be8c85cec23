from types import SimpleNamespace

import pytest
import torch

from vaelab.codec.picture import PictureCodec
from vaelab.codec.signal import SignalCodec
from vaelab.data.items import Items, Signature
from vaelab.data.module import DataModule, Found
from vaelab.report.tables import collapse_warning, early_warning, number, samples_note, tell_found, tell_metrics


@pytest.mark.parametrize(("active", "words"), [(0, "all 16 latent units"), (7, "9 of 16 latent units")])
def test_dead_units_are_told_in_one_line_with_a_remedy(active, words):
    line = collapse_warning(active, 16)
    assert line.startswith(words) and "free_bits" in line and "\n" not in line


@pytest.mark.parametrize("active", [8, 16])
def test_nothing_is_said_while_half_of_the_units_live(active):
    assert collapse_warning(active, 16) is None


def test_a_baseline_stands_in_the_row_of_its_measure_and_others_below(capsys):
    metrics = {"image/psnr_db": 21.5, "image/baseline/pca_psnr_db": 20.25, "image/baseline/lonely": 3.0}
    tell_metrics(metrics, "a run")
    rows = capsys.readouterr().out.splitlines()
    (row,) = [row for row in rows if "image/psnr_db" in row]
    assert "21.5" in row and "pca 20.25" in row
    assert any("image/baseline/lonely" in row for row in rows)
    assert not any("image/baseline/pca_psnr_db" in row for row in rows)


def test_what_samples_are_compared_in_is_told_in_one_line():
    told = {"sample/frechet": 2.0, "sample/items": 1024.0, "sample/features": 64.0}
    assert (
        "1,024 items against as many of the test; frechet, density, coverage in 64 features that are princ"
        in samples_note(told)
    )
    assert "64 features of a classifier" in samples_note(told | {"sample/class_entropy": 1.0})
    assert samples_note({"sample/energy_distance": 0.1}) is None


def test_whole_large_numbers_part_their_thousands():
    assert (number(2000.0), number(0.58512), number(7.0)) == ("2,000", "0.5851", "7")


def told(given, capsys, items, codec, **settings):
    data = DataModule(given(items), codec, **settings)
    tell_found(data.prepare(), data)
    return capsys.readouterr().out


def test_the_range_is_told_in_the_users_units(given, capsys):
    raw = torch.linspace(-3000, 5000, 80).view(20, 1, 4)
    assert "range [-3000, 5000]" in told(given, capsys, Items("signal", raw), SignalCodec())
    raw = torch.arange(10, 250).to(torch.uint8).view(15, 1, 4, 4)
    for binarisation in ("none", "dynamic"):
        assert "range [10, 249]" in told(given, capsys, Items("picture", raw), PictureCodec(binarisation))


def rare(classes, fold):
    names = ("ant", "bee", "cat", "dog", "[old]")
    label = torch.tensor([names.index(name) for name in classes])
    return Items("signal", torch.randn(len(label), 1, 4), label=label, label_names=names, fold=torch.tensor(fold))


def test_classes_without_a_test_item_are_told(given, capsys):
    items = rare(["ant", "bee", "[old]", "ant", "ant", "dog"], [0, 0, 0, 1, 2, 1])
    assert "classes are missing in the test split: bee, dog, [old]\n" in told(given, capsys, items, SignalCodec())


def test_nothing_is_said_where_every_class_has_a_test_item_or_none_are_known(given, capsys):
    items = rare(["ant", "bee", "ant", "ant", "bee"], [0, 0, 1, 2, 2])
    assert "missing in" not in told(given, capsys, items, SignalCodec())
    assert "missing in" not in told(given, capsys, Items("signal", torch.randn(9, 1, 4)), SignalCodec())


def test_classes_that_were_not_kept_are_tested_all_the_same_and_nothing_is_said(given, capsys):
    items = rare(["ant", "bee", "ant", "bee", "ant", "bee"], [0, 0, 1, 1, 2, 2])
    assert "missing in" not in told(given, capsys, items, SignalCodec(), keep=["ant"])


def test_what_a_reader_decided_is_told_word_for_word(tiny, capsys):
    data = tiny("sine").data()
    data.items.notes = ["read as [items,time] [/b]"]
    tell_found(data.prepare(), data)
    assert "  read as [items,time] [/b]" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(("best", "epochs"), [(1, 10), (2, 30), (3, 30)])
def test_a_best_epoch_among_the_first_tenth_is_told_in_one_line_with_a_remedy(best, epochs):
    line = early_warning(best, epochs)
    assert line.startswith(f"best at epoch {best} of {epochs}")
    assert "fewer epochs" in line and "more data" in line and "\n" not in line


@pytest.mark.parametrize(("best", "epochs"), [(1, 1), (1, 9), (4, 30), (30, 30)])
def test_nothing_is_said_of_a_later_epoch_or_a_short_run(best, epochs):
    assert early_warning(best, epochs) is None


def test_names_are_told_letter_by_letter(capsys):
    names = ("[old]", "[/b]", ":x:", "[bold red]a", "$b")
    left_out = [("[/i].png", "is [dim]")]
    items = Items("picture", torch.zeros(1, 1, 2, 2), label=torch.zeros(1), label_names=names, left_out=left_out)
    signature = Signature("picture", (1, 2, 2), None, names, {})
    found = Found(signature, (1, 2, 2), {"train": 3}, 0.0, 1.0, "")
    tell_found(found, SimpleNamespace(items=items))
    told = capsys.readouterr().out
    assert "5: " + ", ".join(names) in told
    assert "[/i].png: is [dim]" in told


def test_a_title_is_told_letter_by_letter(capsys):
    tell_metrics({"a": 1.0}, "measures of [/run]")
    assert "measures of [/run]" in capsys.readouterr().out
