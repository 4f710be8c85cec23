import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from vaelab.errors import UserError
from vaelab.task.base import Output, check_able
from vaelab.task.inpaint import Inpaint


@pytest.fixture
def digits(tiny):
    return tiny("digits", "variant=masked")


@pytest.fixture
def digit(digits, tmp_path):
    """A picture file, and a mask of it."""
    pixels = digits.data().items.raw[3, 0].numpy()
    Image.fromarray(pixels).save(tmp_path / "digit.png")
    missing = np.zeros((8, 8), bool)
    missing[2:5, 3:6] = True
    Image.fromarray(255 * missing.astype(np.uint8)).save(tmp_path / "mask.png")
    return pixels, missing


def ask(run, folder, **settings):
    Inpaint(**settings)(run, Output(folder))
    return np.load(next(folder.glob("*_filled.npy")))


def test_missing_pixels_are_filled_and_all_others_stay(digits, digit, tmp_path):
    (pixels, missing), out = digit, tmp_path / "out"
    filled = ask(digits, out, file=f"{tmp_path}/digit.png", mask=f"{tmp_path}/mask.png")
    assert filled.shape == (1, 1, 8, 8) and filled.dtype == np.uint8
    assert np.array_equal(filled[0, 0][~missing], pixels[~missing])
    x = torch.from_numpy(pixels).float()[None, None] / 255
    hidden = torch.from_numpy(missing)[None, None]
    by_hand = (digits.variant.told_of(x, hidden).clamp(0, 1) * 255).round()
    assert np.array_equal(filled[0, 0][missing], by_hand[hidden].detach().numpy())
    assert np.array_equal(np.asarray(Image.open(out / "digit_filled_000.png")), filled[0, 0])
    assert (out / "digit_filled_stages.png").is_file()


def test_what_stands_where_something_is_missing_changes_nothing(digits, digit, tmp_path):
    (pixels, missing), mask = digit, f"{tmp_path}/mask.png"
    filled = ask(digits, tmp_path / "one", file=f"{tmp_path}/digit.png", mask=mask)
    Image.fromarray(np.where(missing, 255 - pixels, pixels)).save(tmp_path / "other.png")
    assert np.array_equal(ask(digits, tmp_path / "two", file=f"{tmp_path}/other.png", mask=mask), filled)


def test_a_rectangle_does_what_a_mask_of_it_does(digits, digit, tmp_path):
    file = f"{tmp_path}/digit.png"
    by_mask = ask(digits, tmp_path / "one", file=file, mask=f"{tmp_path}/mask.png")
    assert np.array_equal(ask(digits, tmp_path / "two", file=file, hide=[[2, 4], [3, 5]]), by_mask)
    rows = ask(digits, tmp_path / "three", file=file, hide=[[2, 4], None])
    assert np.array_equal(rows[0, 0, [0, 1, 5, 6, 7]], digit[0][[0, 1, 5, 6, 7]])


def test_a_trace_is_filled_in_its_own_units_at_the_level_of_what_is_visible(tiny, tmp_path):
    run = tiny("radio", "variant=masked")
    traces = run.data().items.raw[:2].clone()
    traces[:, :, 10:20] = 1e6
    np.savetxt(tmp_path / "t.csv", traces[:, 0].numpy(), delimiter=",")
    filled = ask(run, tmp_path / "out", file=f"{tmp_path}/t.csv", hide=[[10, 19]])
    assert filled.shape == traces.shape
    assert np.allclose(np.delete(filled, slice(10, 20), 2), np.delete(traces.numpy(), slice(10, 20), 2), rtol=1e-4)
    assert np.abs(filled).max() < 1e4


def test_each_item_may_have_a_mask_of_its_own(tiny, tmp_path):
    run = tiny("sine", "variant=masked")
    waves, masks = run.data().items.raw[:2, 0].numpy(), np.zeros((2, 32))
    masks[0, 3:9] = masks[1, 20:] = 1
    np.save(tmp_path / "w.npy", waves)
    np.save(tmp_path / "m.npy", masks)
    filled = ask(run, tmp_path / "out", file=f"{tmp_path}/w.npy", mask=f"{tmp_path}/m.npy")
    assert np.array_equal(filled[:, 0] != waves, masks > 0)


def test_sound_is_filled_in_its_spectrogram_and_written_as_sound(tiny, tmp_path):
    run = tiny("audio", "variant=masked")
    rate = run.variant.kind.sample_rate
    soundfile.write(tmp_path / "s.wav", run.data().items.raw[0, 0].numpy(), rate)
    filled = ask(run, tmp_path / "out", file=f"{tmp_path}/s.wav", hide=[None, [5, 9]])
    wave, read = soundfile.read(tmp_path / "out" / "s_filled_000.wav")
    assert filled.shape == (1, *run.signature.raw_shape) and (read, len(wave)) == (rate, filled.shape[-1])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"file": ""}, "task.file has no value"),
        ({}, r"give task.mask=FILE or task.hide=\[\[2,4\],\[2,4\]\], one of them"),
        ({"mask": "m.npy", "hide": [[0, 1], None]}, "one of them"),
        ({"hide": [[0, 8], [0, 1]]}, r"is no part of 8 x 8: give first and last along each axis, \[\[2,4\],\[2,4\]\]"),
        ({"hide": [[3, 2], None]}, "is no part of 8 x 8"),
        ({"hide": [[1, 2, 3], None]}, "is no part of 8 x 8"),
        ({"hide": [[0, 1]]}, "is no part of 8 x 8"),
        ({"hide": [None, None]}, "task.hide says that of an item is missing all"),
        ({"mask": "none.npy"}, "task.mask says that of an item is missing nothing"),
        ({"mask": "three.npy"}, "three.npy has 3 masks, and .*digit.png 1 items: give one, or as many"),
        ({"mask": "small.npy"}, r"small.npy is of shape \(5, 5\): give an array of 8 x 8 numbers"),
    ],
)
def test_what_does_not_say_what_is_missing_is_refused(digits, digit, tmp_path, settings, words):
    for name, shape in (("none", (8, 8)), ("three", (3, 8, 8)), ("small", (5, 5))):
        np.save(tmp_path / f"{name}.npy", np.zeros(shape))
    if "mask" in settings:
        settings = settings | {"mask": f"{tmp_path}/{settings['mask']}"}
    with pytest.raises(UserError, match=words):
        Inpaint(**{"file": f"{tmp_path}/digit.png"} | settings)(digits, Output(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_run_that_fills_nothing_is_refused_and_one_that_does_has_this_task(tiny, digits):
    words = "task=inpaint needs a way to fill what is missing, and variant=image has none"
    with pytest.raises(UserError, match=words):
        check_able(Inpaint(), "inpaint", tiny("digits").variant)
    check_able(Inpaint(), "inpaint", digits.variant)
    from vaelab.task.reconstruct import Reconstruct

    with pytest.raises(UserError, match=r"there are task=.*inpaint"):
        check_able(Reconstruct(), "reconstruct", digits.variant)
