from itertools import chain

import pytest
import torch

from vaelab.codec.picture import PictureCodec
from vaelab.codec.signal import SignalCodec
from vaelab.data.augment import Augmentation
from vaelab.data.loader import IndexLoader, Store

N = 23


def store(n=N):
    """Items 0 … n − 1 in this order, though held in the reverse one and among others."""
    number = torch.arange(n + 4)
    return Store(
        number.float().view(-1, 1, 1).flip(0), None, number.flip(0), number.flip(0).float(), number.flip(0)[:n]
    )


def pictures(n=N):
    generator = torch.Generator().manual_seed(0)
    raw = torch.randint(0, 256, (n, 1, 6, 6), generator=generator, dtype=torch.uint8)
    return Store(raw, None, torch.arange(n), torch.zeros(n), torch.arange(n))


def loader(epoch=0, **settings):
    return IndexLoader(store(), SignalCodec(), 5, **{"seed": 0, "shuffle": True, "epoch": lambda: epoch, **settings})


def of_pictures(binarisation="none", epoch=0, **settings):
    codec = PictureCodec(binarisation)
    return IndexLoader(pictures(), codec, 5, **{"seed": 0, "shuffle": True, "epoch": lambda: epoch, **settings})


def order(batches):
    return [label for batch in batches for label in batch.label.tolist()]


def xs(batches):
    """All x in the order of their labels."""
    batches = list(batches)
    return torch.cat([b.x for b in batches])[torch.cat([b.label for b in batches]).argsort()]


def test_the_order_is_a_function_of_seed_and_epoch_alone():
    torch.manual_seed(0)
    first = order(loader(epoch=2))
    torch.manual_seed(1)
    assert order(loader(epoch=2)) == first
    assert order(loader(epoch=3)) != first and order(loader(epoch=2, seed=1)) != first


@pytest.mark.parametrize("shuffle", [True, False])
def test_an_epoch_covers_every_item_once_in_as_many_batches_as_it_says(shuffle):
    batches = list(loader(shuffle=shuffle))
    assert sorted(order(batches)) == list(range(N))
    assert [len(batch.x) for batch in batches] == [5, 5, 5, 5, 3] and len(batches) == len(loader())


def test_without_shuffling_items_come_in_their_own_order_in_every_epoch():
    assert order(loader(shuffle=False, epoch=3)) == list(range(N))


def test_x_target_label_and_level_of_an_item_stay_together():
    for batch in loader():
        assert torch.equal(batch.x.flatten(), batch.level) and torch.equal(batch.label.float(), batch.level)
        assert batch.target is batch.x


def test_a_target_of_its_own_follows_its_x():
    whole = store()
    whole.target = -whole.x
    for batch in IndexLoader(whole, SignalCodec(), 5, seed=0, shuffle=True):
        assert torch.equal(batch.target, -batch.x)


def test_the_epoch_is_asked_anew_whenever_an_iteration_begins():
    epoch = 0
    walking = IndexLoader(store(), SignalCodec(), 5, seed=0, shuffle=True, epoch=lambda: epoch)
    first = order(walking)
    epoch = 1
    assert order(walking) != first and order(walking) == order(loader(epoch=1))


@pytest.mark.parametrize("drawn", [1, 3, 4])
def test_resumed_in_mid_epoch_exactly_the_remaining_batches_come_and_then_a_whole_epoch(drawn):
    uncut, cut, resumed = (of_pictures("dynamic", epoch=4, augment=Augmentation(True, 1, 10.0, 0.2)) for _ in range(3))
    walk = iter(cut)
    for _ in range(drawn):
        next(walk)
    resumed.load_state_dict(cut.state_dict())
    rest, expected = list(resumed), list(uncut)[drawn:]
    assert order(rest) == order(expected)
    assert all(torch.equal(a.x, b.x) for a, b in zip(rest, expected, strict=True))
    assert sorted(order(resumed)) == list(range(N))


def test_resumed_between_epochs_the_next_one_is_whole():
    done, resumed = loader(), loader(epoch=1)
    list(done)
    resumed.load_state_dict(done.state_dict())
    assert order(resumed) == order(loader(epoch=1))


@pytest.mark.parametrize("world", [2, 3, 4])
def test_processes_share_the_items_of_an_evaluation_without_overlap_or_loss(world):
    shares = [order(loader(shuffle=False, rank=rank, world=world)) for rank in range(world)]
    assert sorted(chain(*shares)) == list(range(N))


@pytest.mark.parametrize("world", [2, 3, 4])
def test_processes_draw_equally_many_different_items_of_each_training_epoch(world):
    shares = [order(loader(rank=rank, world=world)) for rank in range(world)]
    together = list(chain(*shares))
    assert {len(share) for share in shares} == {N // world} and len(set(together)) == len(together)
    assert len({len(loader(rank=rank, world=world)) for rank in range(world)}) == 1


def test_every_item_comes_to_a_process_in_some_epoch():
    seen = {label for epoch in range(20) for label in order(loader(epoch=epoch, rank=0, world=2))}
    assert seen == set(range(N))


def test_dynamic_binarisation_draws_anew_in_each_epoch_and_the_same_again_when_asked_again():
    first, again, later = (xs(of_pictures("dynamic", epoch=epoch)) for epoch in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, later)
    assert set(first.unique().tolist()) == {0.0, 1.0}


def test_dynamic_binarisation_is_the_grey_on_average():
    mean = torch.stack([xs(of_pictures("dynamic", epoch=epoch)) for epoch in range(300)]).mean(0)
    assert (mean - pictures().x / 255).abs().max() < 0.15


def test_an_evaluation_has_the_same_draws_at_every_call():
    first, again = (xs(of_pictures("dynamic", shuffle=False, epoch=epoch)) for epoch in (0, 5))
    assert torch.equal(first, again)


def test_flipping_mirrors_about_half_of_the_pictures_left_to_right_and_target_with_x():
    plain = xs(of_pictures())
    flipped = 0
    for epoch in range(20):
        batches = list(of_pictures(epoch=epoch, augment=Augmentation(flip=True)))
        assert all(torch.equal(batch.x, batch.target) for batch in batches)
        same, mirrored = ((xs(batches) == x).flatten(1).all(1) for x in (plain, plain.flip(-1)))
        assert (same | mirrored).all()
        flipped += int(mirrored.sum())
    assert 0.4 < flipped / (20 * N) < 0.6
