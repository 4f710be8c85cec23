from types import SimpleNamespace

import pytest
import torch

from vaelab.codec.picture import PictureCodec
from vaelab.codec.signal import SignalCodec
from vaelab.codec.trace import TraceCodec
from vaelab.data.items import Items
from vaelab.data.module import DataModule
from vaelab.errors import UserError
from vaelab.linear import fit_linear_code, principal_components

N = 40


def signals(**known):
    raw = torch.randn(N, 2, 8, generator=torch.Generator().manual_seed(0))
    return Items("signal", raw, label=torch.arange(N), factors={"truth": torch.arange(N) / 10}, **known)


def grey():
    raw = torch.randint(0, 256, (N, 1, 4, 6), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return Items("picture", raw, label=torch.arange(N))


def attach(data, epoch=0, rank=0, world=1):
    progress = SimpleNamespace(processed=epoch)
    data.trainer = SimpleNamespace(
        fit_loop=SimpleNamespace(epoch_progress=SimpleNamespace(current=progress)),
        global_rank=rank,
        world_size=world,
        strategy=SimpleNamespace(root_device=torch.device("cpu")),
    )
    return progress


@pytest.fixture
def module(given):
    def make(items, codec=None, **settings):
        data = DataModule(given(items), codec or SignalCodec(), **{"batch_size": 7, **settings})
        return data, data.prepare()

    return make


def labels(loader):
    return [label for batch in loader for label in batch.label.tolist()]


def test_what_was_found_is_told(module):
    data, found = module(signals(sample_rate=5.0, facts={"cycles": 3.0}))
    assert found.counts == {"train": 32, "val": 4, "test": 4} and found.shape == (2, 8)
    encoded = torch.cat([data.batch(name, N).x for name in ("train", "val", "test")])
    assert len(encoded) == N and (found.low, found.high) == (encoded.min().item(), encoded.max().item())
    assert found.signature.sample_rate == 5.0 and found.signature.facts == {"cycles": 3.0}


def test_the_codec_is_fitted_on_the_training_split_alone(module):
    items = signals()
    data, _ = module(items)
    train = items.raw[data.index["train"]]
    assert data.codec.mean.item() == pytest.approx(train.mean().item(), abs=1e-6)
    assert data.codec.std.item() == pytest.approx(train.std(correction=0).item(), abs=1e-6)
    assert abs(data.codec.mean.item() - items.raw.mean().item()) > 1e-4


def test_a_fitted_codec_stays_as_it_is(module):
    codec = SignalCodec()
    codec.mean.fill_(5.0)
    data, _ = module(signals(), codec, fitted=True)
    assert data.codec.mean.item() == 5.0 and data.batch("train", N).x.mean() < -4


def test_splits_and_their_truths_stay_together(module):
    data, _ = module(signals())
    for split in ("train", "val", "test"):
        assert labels(data.loader(split)) == data.index[split].tolist()
        assert torch.allclose(data.factors(data.index[split])["truth"], data.index[split] / 10)
    assert sorted(labels(data.loader("train")) + labels(data.loader("val")) + labels(data.loader("test"))) == list(
        range(N)
    )


def test_a_traces_clean_partner_is_encoded_at_the_noisy_traces_level(module):
    clean = torch.rand(N, 1, 8, generator=torch.Generator().manual_seed(0)) + 0.5
    data, _ = module(Items("trace", 4 * clean, clean), TraceCodec())
    for batch in data.loader("train"):
        assert torch.allclose(batch.target, batch.x / 4) and batch.x.abs().amax(2).allclose(torch.ones(1))
        assert torch.allclose(data.codec.decode(batch.target, batch.level), batch.x * batch.level.view(-1, 1, 1) / 4)


@pytest.mark.parametrize("codec", [SignalCodec(), PictureCodec("dynamic")], ids=["signal", "picture"])
def test_evaluation_batches_are_the_same_at_every_call(module, codec):
    data, _ = module(signals() if isinstance(codec, SignalCodec) else grey(), codec)
    progress = attach(data)
    for split, loader in (("val", data.val_dataloader), ("test", data.test_dataloader)):
        first = list(loader())
        progress.processed += 1
        again = list(loader())
        assert all(torch.equal(a.x, b.x) and torch.equal(a.label, b.label) for a, b in zip(first, again, strict=True))
        assert labels(first) == data.index[split].tolist()


def test_training_is_shuffled_anew_each_epoch_and_is_the_same_for_the_same_seed(module):
    data, _ = module(signals())
    progress = attach(data)
    loader = data.train_dataloader()
    first = labels(loader)
    progress.processed = 1
    second = labels(loader)
    assert first != second and sorted(first) == sorted(second) == sorted(data.index["train"].tolist())
    other, _ = module(signals())
    attach(other, epoch=1)
    assert labels(other.train_dataloader()) == second


def test_only_training_pictures_are_mirrored(module):
    items = grey()
    data, _ = module(items, PictureCodec(), flip=True)
    attach(data)

    def mirrored(loader):
        return sum(not torch.equal(b.x, items.raw[b.label] / 255) for b in loader)

    assert mirrored(data.train_dataloader()) > 0
    evaluations = [data.val_dataloader(), data.test_dataloader(), *map(data.loader, ("train", "val", "test"))]
    assert [mirrored(loader) for loader in evaluations] == [0] * 5


@pytest.mark.parametrize("setting", [{"flip": True}, {"crop": 1}, {"rotate": 5.0}, {"jitter": 0.1}])
@pytest.mark.parametrize("items", [signals(), Items("trace", torch.zeros(9, 1, 4), torch.zeros(9, 1, 4))])
def test_changing_what_is_no_picture_is_refused_in_one_line(module, items, setting):
    name = next(iter(setting))
    with pytest.raises(UserError, match=rf"^dataset.{name} changes pictures; these are {items.kind}s[^\n]+$"):
        module(items, **setting)


def test_a_linear_code_is_fitted_on_what_training_serves(module):
    items = grey()
    plain, _ = module(items, PictureCodec())
    seen = torch.cat(list(plain.augmented()))
    # In another order, once each.
    assert sorted(seen.sum((1, 2, 3)).tolist()) == sorted(
        (items.raw[plain.index["train"]] / 255).sum((1, 2, 3)).tolist()
    )
    data, _ = module(items, PictureCodec(), flip=True)
    many = torch.cat(list(data.augmented()))
    assert len(many) == 2**14 and len(many.unique(dim=0)) > 1.5 * len(seen.unique(dim=0))
    attach(data)
    first = torch.cat([batch.x for batch in data.train_dataloader()])
    assert {row.numpy().tobytes() for row in first} <= {row.numpy().tobytes() for row in many}
    code = data.linear_code(3)
    assert code.directions.shape == (3, *seen.shape[1:]) and data.linear_code(3) is code


@pytest.mark.parametrize("lined", [False, True])
def test_of_two_linear_codes_the_one_that_restores_validation_items_better_is_taken(module, lined):
    """Few smooth signals are told by their frequencies, signals of single bright lines by PCA."""
    chance = torch.Generator().manual_seed(0)
    if lined:
        x = torch.zeros(300, 1, 1600)
        x[:, 0, [3, 500, 777, 1203]] = torch.rand(300, 4, generator=chance)
    else:
        x = torch.randn(300, 1, 1600, generator=chance).cumsum(2) / 40
    data, _ = module(Items("signal", x), split=(0.4, 0.3, 0.3))
    seen, held = data.batch("train").target, data.batch("val").target
    codes = principal_components(seen, 4 if lined else 60, 0), fit_linear_code(lambda: [seen], 4 if lined else 60)
    errors = [float((code.restore(code.project(held)) - held).square().mean()) for code in codes]
    assert (errors[0] < errors[1]) == lined
    best = data.linear_code(4 if lined else 60)
    found = float((best.restore(best.project(held)) - held).square().mean())
    assert found == pytest.approx(min(errors), rel=1e-3, abs=1e-9)


def test_of_noisy_items_the_clean_ones_have_the_linear_code(module):
    clean = signals().raw
    data, _ = module(Items("trace", clean + 5, clean))
    mean = torch.cat([batch.target for batch in data.loader("train")]).mean(0)
    assert torch.allclose(data.linear_code(2).mean, mean, atol=1e-4)


def test_processes_partition_the_evaluation(module):
    data, _ = module(signals(), split=(0.2, 0.3, 0.5))
    seen = []
    for rank in range(3):
        attach(data, rank=rank, world=3)
        seen += labels(data.test_dataloader())
    assert sorted(seen) == sorted(data.index["test"].tolist())


def by_class(n=1000, classes=10):
    """As files come: one class after the other."""
    raw = torch.randint(0, 256, (n, 1, 4, 6), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return Items("picture", raw, label=torch.arange(n) * classes // n, factors={"row": torch.arange(n)})


def test_a_part_of_a_split_is_a_fair_draw_over_all_of_it(module):
    data, _ = module(by_class(), PictureCodec(), split=(0.5, 0.2, 0.3))
    for split in ("train", "val", "test"):
        label = data.batch(split, 100).label
        assert label.bincount(minlength=10).min() >= 2 and len(label) == 100
        assert sorted(label.tolist()) != label.tolist()
        # The first of a draw are one as well.
        assert len(data.loader(split, 40).joined().label.unique()) >= 8
    assert data.drawn("val", 100).tolist() != data.drawn("test", 100).tolist()


@pytest.mark.parametrize("n", [30, 10_000])
def test_a_draw_takes_no_item_twice_and_none_of_another_split(module, n):
    data, _ = module(by_class(), PictureCodec())
    rows = data.drawn("test", n).tolist()
    assert len(set(rows)) == len(rows) == min(n, len(data.index["test"]))
    assert set(rows) <= set(data.index["test"].tolist())


def test_a_draw_is_the_same_at_every_call_and_another_for_another_seed(module):
    draws = [module(by_class(), PictureCodec(), seed=seed)[0] for seed in (0, 0, 1)]
    one, same, other = (data.drawn("train", 50) for data in draws)
    assert torch.equal(one, same) and torch.equal(draws[0].drawn("train", 50), one)
    assert torch.equal(draws[0].drawn("train", 20), one[:20])
    assert set(one.tolist()) != set(other.tolist())


def test_what_is_known_of_drawn_items_is_their_own(module):
    data, _ = module(by_class(), PictureCodec())
    batch = data.batch("train", 300)
    assert torch.equal(batch.x, data.items.raw[batch.item] / 255)
    assert torch.equal(batch.label, data.items.label[batch.item])
    assert torch.equal(data.factors(batch.item)["row"], batch.item)
    assert torch.equal(data.index["train"][data.numbers("train", batch.item)], batch.item)


def test_items_that_are_named_by_number_are_those_of_the_splits_own_order(module):
    data, _ = module(by_class(), PictureCodec())
    named, whole = data.numbered("test", [7, 2]), data.batch("test")
    assert torch.equal(named.x, whole.x[[7, 2]]) and named.item.tolist() == data.index["test"][[7, 2]].tolist()
    assert torch.equal(whole.item, data.index["test"])


def test_pictures_range_and_shape_are_told_as_the_net_sees_them(module):
    items = grey()
    _, found = module(items, PictureCodec())
    assert found.shape == (1, 4, 6)
    assert (found.low, found.high) == pytest.approx((items.raw.min().item() / 255, items.raw.max().item() / 255))


def test_the_fingerprint_is_that_of_the_raw_items(module):
    changed = signals()
    changed.raw[3, 1, 5] += 1e-3
    prints = [module(items)[1].fingerprint for items in (signals(), signals(), changed)]
    assert prints[0] == prints[1] != prints[2]


def test_data_are_read_once(given):
    loads = []
    source = SimpleNamespace(load=lambda: loads.append(1) or signals())
    data = DataModule(source, SignalCodec())
    assert data.prepare() == data.prepare() and len(loads) == 1


@pytest.mark.parametrize("batch_size", [0, -4])
def test_a_batch_of_nothing_is_refused_in_one_line(given, batch_size):
    with pytest.raises(UserError, match=rf"^dataset.batch_size must be at least 1, not {batch_size}$"):
        DataModule(given(signals()), SignalCodec(), batch_size=batch_size)


def classes(**known):
    items = signals(**known)
    items.label, items.label_names = torch.arange(N) % 4, ("ant", "bee", "cat", "0")
    return items


@pytest.mark.parametrize(("keep", "numbers"), [(["bee"], {1}), (["cat", "ant"], {0, 2}), ([0], {3})])
def test_only_classes_that_are_kept_are_trained_and_validated_on(module, keep, numbers):
    split = (0.6, 0.2, 0.2)
    (data, found), (whole, _) = module(classes(), keep=keep, split=split), module(classes(), split=split)
    attach(data)
    for loader in (data.loader("train"), data.train_dataloader(), data.loader("val"), data.val_dataloader()):
        assert set(labels(loader)) == numbers
    assert torch.equal(data.index["test"], whole.index["test"])
    assert set(data.index["train"].tolist()) < set(whole.index["train"].tolist())
    assert found.counts == {name: len(index) for name, index in data.index.items()}
    train = data.items.raw[data.index["train"]]
    assert data.codec.mean.item() == pytest.approx(train.mean().item(), abs=1e-6)


@pytest.mark.parametrize(
    ("items", "keep", "words"),
    [
        (classes(), ["dog"], "dataset.keep: there is no class dog: there are ant, bee, cat, 0"),
        (classes(), [], "dataset.keep names no class: there are ant, bee, cat, 0"),
        (Items("signal", torch.randn(N, 1, 8)), ["ant"], "dataset.keep chooses classes, and these items have none"),
        (signals(), [3], "dataset.keep=[3] leaves no item in the split val: keep more classes"),
    ],
)
def test_classes_that_cannot_be_kept_are_refused_in_one_line(module, items, keep, words):
    with pytest.raises(UserError, match=r"^[^\n]+$") as told:
        module(items, keep=keep)
    assert str(told.value).startswith(words)


def test_what_the_split_lacks_stands_behind_the_notes_of_the_reader(module):
    fold = torch.tensor([0] * 30 + [1] * 5 + [2] * 5)
    items = Items("signal", torch.randn(N, 1, 8), label=(fold == 0).long(), label_names=("a", "b"), fold=fold)
    items.notes = ["read"]
    data, _ = module(items)
    assert data.items.notes == [
        "read",
        "1 of 2 classes are missing in the training split: a",
        "1 of 2 classes are missing in the test split: b",
    ]
