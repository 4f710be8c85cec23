from contextlib import suppress

import pytest
import torch
from entries import load, names

from vaelab.architecture.base import Architecture
from vaelab.config import build
from vaelab.data.batch import Batch
from vaelab.errors import UserError
from vaelab.report.judge import figures, look, measures, quick_measures
from vaelab.variant.base import HasCode, Inpaints
from vaelab.variant.masked import MASKS, Masked, fitting_patch

DIGITS = ["variant=masked"]


@pytest.fixture
def digits(tiny):
    return tiny("digits", *DIGITS)


def batch(run, n=64):
    return run.data().batch("test", n)


@pytest.mark.parametrize(
    ("experiment", "own"),
    [("sine", []), ("radio", []), ("channel", []), ("digits", []), ("audio", []), ("digits", ["architecture=conv2d"])],
)
def test_hidden_numbers_never_reach_the_net(tiny, experiment, own):
    variant = tiny(experiment, "variant=masked", *own).variant
    x = torch.rand(6, *variant.shape)
    hidden = variant.drawn(6)
    told, filled = variant.told_of(x, hidden), variant.fill(x, hidden)
    for other in (x + 5 * hidden, x.masked_fill(hidden, torch.nan)):
        assert torch.equal(variant.told_of(other, hidden), told)
        assert torch.equal(variant.fill(other, hidden), filled)
    # What is visible does.
    assert not torch.allclose(variant.told_of(x + ~hidden, hidden), told)


def test_what_is_visible_stays_and_what_is_hidden_is_what_the_net_tells(digits):
    variant, x = digits.variant, batch(digits).x
    hidden = variant.drawn(len(x))
    filled = variant.fill(x, hidden)
    assert torch.equal(filled[~hidden], x[~hidden])
    assert torch.equal(filled[hidden], variant.told_of(x, hidden)[hidden])


def field_of(architecture):
    """Its net of a mask beside a signal, or a picture if it takes no signals; and the item's shape."""
    with suppress(UserError):
        return Masked.nets(architecture, (2, 32), None, False)["field"]().eval(), (2, 32)
    return Masked.nets(architecture, (2, 16, 16), None, False)["field"]().eval(), (2, 16, 16)


@pytest.mark.parametrize("name", names("architecture"))
def test_every_architecture_has_a_net_that_sees_the_mask_beside_the_item(name):
    architecture = build(load("architecture", name), Architecture)
    net, shape = field_of(architecture)
    x, time = torch.rand(3, 3, *shape[1:]), torch.zeros(3)
    told = net(x, time)
    assert told.shape == x.shape
    x[:, 2] += 1
    assert not torch.equal(net(x, time)[:, :2], told[:, :2])


def test_the_loss_sees_hidden_numbers_alone(digits):
    variant, seen = digits.variant, batch(digits)
    hidden = variant.drawn(len(seen.x))
    loss = variant.errors(seen, hidden)
    elsewhere = seen._replace(target=seen.target + 7 * ~hidden)
    assert torch.equal(variant.errors(elsewhere, hidden), loss)
    assert not torch.allclose(variant.errors(seen._replace(target=seen.target + hidden), hidden), loss)
    made = variant.told_of(seen.x, hidden)
    by_hand = [((made[k] - seen.target[k])[hidden[k]] ** 2).mean() for k in range(len(seen.x))]
    assert torch.allclose(loss, torch.stack(by_hand))


def test_a_step_minimises_the_mean_error_with_masks_of_its_own(digits):
    variant, seen = digits.variant, batch(digits)
    torch.manual_seed(3)
    loss, terms = variant.step(seen, 0)
    torch.manual_seed(3)
    assert torch.equal(loss, variant.errors(seen, variant.drawn(len(seen.x))).mean())
    assert torch.equal(terms["error"], loss) and loss.requires_grad


def test_what_is_noisy_is_filled_with_what_is_clean(tiny):
    run = tiny("radio", "variant=masked")
    seen = batch(run)
    hidden = run.variant.drawn(len(seen.x))
    assert not torch.equal(seen.x, seen.target)
    perfect = Batch(seen.x, run.variant.told_of(seen.x, hidden), *seen[2:])
    assert run.variant.errors(perfect, hidden).max() == 0


@pytest.mark.parametrize(("share", "count"), [(0.75, 12), (0.5, 8), (0.01, 1), (0.99, 15)])
def test_a_share_of_whole_patches_is_hidden_and_never_all_or_none(tiny, share, count):
    variant = tiny("digits", *DIGITS, f"variant.mask={share}").variant
    hidden = variant.drawn(500)
    assert hidden.shape == (500, 1, 8, 8) and hidden.dtype == torch.bool
    patches = hidden.view(500, 4, 2, 4, 2).float().mean((2, 4))
    assert set(patches.unique().tolist()) == {0, 1}
    assert patches.flatten(1).sum(1).unique().tolist() == [count]
    # Each patch as often as any other.
    assert (patches.mean(0) - count / 16).abs().max() < 0.1


def test_items_in_one_step_have_masks_of_their_own(digits):
    assert len(digits.variant.drawn(50).flatten(1).unique(dim=0)) > 40


def test_patches_at_the_end_of_an_item_may_be_smaller(tiny):
    variant = tiny("sine", "variant=masked", "variant.patch=7").variant
    assert variant.grid == (5,) and variant.drawn(4).shape == (4, 1, 32)
    sums = variant.drawn(200).sum((1, 2)).unique().tolist()
    assert sums == [4 + 3 * 7, 4 * 7]


def test_items_are_judged_with_the_same_masks_whatever_stands_beside_them(tiny, digits):
    item = torch.tensor([5, 700, 38, 5])
    hidden = digits.variant.hidden(item)
    assert torch.equal(hidden[1:2], digits.variant.hidden(item[1:2]))
    assert torch.equal(hidden[0], hidden[3])
    assert torch.equal(tiny("digits", *DIGITS).variant.hidden(item), hidden)
    assert not torch.equal(tiny("digits", *DIGITS, "seed=1").variant.hidden(item), hidden)
    assert len(digits.variant.hidden(torch.arange(10 * MASKS)).flatten(1).unique(dim=0)) == MASKS


def test_validation_tells_the_mean_error_of_all_items_the_same_each_time(tiny, trainer_of):
    run = tiny("digits", *DIGITS)
    trainer, data = trainer_of(), run.data()
    first, again = (trainer.validate(run.variant, data, verbose=False)[0]["val/error"] for _ in range(2))
    seen = data.batch("val")
    by_hand = run.variant.eval().errors(seen, run.variant.hidden(seen.item)).mean()
    assert first == again == pytest.approx(by_hand.item(), rel=1e-5)


@pytest.mark.parametrize(
    ("experiment", "kinds_own"),
    [("digits", "masked_psnr_db"), ("audio", "masked_error_db"), ("sine", "masked_error"), ("radio", "masked_error")],
)
def test_it_is_judged_beside_fills_that_need_no_net(tiny, experiment, kinds_own):
    run = tiny(experiment, "variant=masked")
    seen = look(run.variant, run.data().loader("test", 20))
    told = measures(run.variant, seen, run.data())
    ways = ("", "baseline/mean_", "baseline/mean_item_", "baseline/harmonic_", "baseline/biharmonic_")
    assert set(told) == {f"{way}{name}" for way in ways for name in {"masked_error", kinds_own}}
    hidden = run.variant.hidden(seen.item)
    low, high = (0, 1) if experiment in ("digits", "audio") else (-torch.inf, torch.inf)
    made = run.variant.told_of(seen.x, hidden).clamp(low, high)
    by_hand = torch.stack(
        [((a - b)[m.expand_as(a)] ** 2).mean() for a, b, m in zip(made, seen.target, hidden, strict=True)]
    )
    assert told["masked_error"] == pytest.approx(by_hand.mean().item(), rel=1e-5)
    assert quick_measures(run.variant, seen, run.data())["masked_error"] == pytest.approx(told["masked_error"])


@pytest.mark.parametrize("experiment", ["digits", "audio", "sine", "radio", "channel"])
def test_what_was_hidden_is_drawn_of_every_kind(tiny, experiment):
    run = tiny(experiment, "variant=masked")
    assert "filled" in figures(run.variant, look(run.variant, run.data().loader("test", 5)))


def test_it_fills_and_has_neither_samples_nor_codes(digits):
    assert isinstance(digits.variant, Inpaints) and not isinstance(digits.variant, HasCode)
    assert not digits.variant.has_samples


def test_it_learns_what_can_be_told(tiny, trainer_of):
    run = tiny("sine", "variant=masked", "variant.mask=0.3", "dataset.waves=500", "optimizer.lr=0.003")
    item = run.data().batch("test", 50)
    before = run.variant.errors(item, run.variant.hidden(item.item)).mean()
    trainer_of(max_epochs=15).fit(run.variant.train(), run.data())
    after = run.variant.eval().errors(item, run.variant.hidden(item.item)).mean()
    assert after < before / 5


@pytest.mark.parametrize(
    ("size", "patch"),
    [((8, 8), 2), ((28, 28), 4), ((64, 64), 8), ((256, 87), 11), ((128,), 16), ((2,), 1), ((1, 9), 1)],
)
def test_patches_that_nobody_chose_suit_the_item(size, patch):
    assert fitting_patch(size, None) == patch


@pytest.mark.parametrize(
    ("size", "patch", "words"),
    [
        ((8, 8), 9, "variant.patch=9 leaves no two patches, or is larger than an item of 8 x 8: give at most 7"),
        ((8, 8), 8, "give at most 7"),
        ((8, 20), 9, "give at most 8"),
        ((8, 8), 0, "variant.patch must be at least 1"),
        ((1,), None, "one of 1 has no parts"),
    ],
)
def test_patches_that_cannot_be_are_refused(size, patch, words):
    with pytest.raises(UserError, match=words):
        fitting_patch(size, patch)


@pytest.mark.parametrize("mask", [0, 1, -0.5, 1.5])
def test_a_share_that_hides_nothing_or_all_is_refused(tiny, mask):
    with pytest.raises(UserError, match=r"variant.mask must lie between 0 and 1"):
        tiny("digits", *DIGITS, f"variant.mask={mask}")
