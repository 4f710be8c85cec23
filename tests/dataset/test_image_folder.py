import os

import numpy as np
import pytest
from PIL import Image, ImageOps

from vaelab.data.items import Signature
from vaelab.dataset import image_folder
from vaelab.dataset.base import Reader, Source
from vaelab.dataset.image_folder import ImageFolder, read_picture
from vaelab.errors import UserError


def save(path, array, mode=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(array), mode=mode).save(path, **options) if mode else Image.fromarray(
        np.asarray(array)
    ).save(path, **options)


def noise(seed, height=40, width=60, channels=3):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


@pytest.fixture
def folder(tmp_path):
    for k in range(4):
        save(tmp_path / f"{k}.png", noise(k))
    return tmp_path


def only(folder, name, **options):
    """The first picture, once two others stand beside it."""
    for k in range(2):
        save(folder / f"z{k}.png", noise(k))
    items = ImageFolder(str(folder), **options).load()
    assert not any(left.name == name for left in items.left_out), items.left_out
    return items.raw[0]


def test_pictures_of_any_size_come_out_in_one(folder):
    save(folder / "tall.png", noise(7, 90, 30))
    items = ImageFolder(str(folder), size=[16, 24]).load()
    assert items.raw.shape == (5, 3, 16, 24) and items.raw.dtype.itemsize == 1
    assert items.kind == "picture" and items.label is None and items.group is None


def test_the_centre_is_kept_and_height_comes_before_width(tmp_path):
    picture = np.zeros((10, 30, 3), np.uint8)
    picture[:5, 10:20, 0] = 255  # the upper half of the middle third is red
    save(tmp_path / "a.png", picture)
    red, green, _ = only(tmp_path, "a.png", size=10)
    assert (red[:4] > 200).all() and (red[6:] < 55).all() and (green == 0).all()


def test_a_picture_that_fits_is_not_changed(tmp_path):
    picture = noise(5, 16, 24)
    save(tmp_path / "a.png", picture)
    np.testing.assert_array_equal(only(tmp_path, "a.png", size=[16, 24]), picture.transpose(2, 0, 1))


def test_shrinking_does_not_alias(tmp_path):
    stripes = np.zeros((128, 128, 3), np.uint8)
    stripes[:, ::2] = 255
    save(tmp_path / "a.png", stripes)
    assert (only(tmp_path, "a.png", size=16).float() - 127.5).abs().max() < 8


def test_class_folders_become_labels_in_order(tmp_path):
    for k, name in enumerate(["dog", "cat", "dog"]):
        save(tmp_path / name / f"{k}.png", noise(k))
    items = ImageFolder(str(tmp_path)).load()
    assert items.label_names == ("cat", "dog") and items.label.tolist() == [0, 1, 1]


def test_transparency_lies_on_white_or_on_the_background_asked_for(tmp_path):
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[:4] = (200, 0, 0, 255)
    save(tmp_path / "a.png", rgba)
    white = only(tmp_path, "a.png", size=8)
    assert white[:, 7, 0].tolist() == [255, 255, 255] and white[:, 0, 0].tolist() == [200, 0, 0]
    blue = ImageFolder(str(tmp_path), size=8, background="#0000ff").load().raw[0]
    assert blue[:, 7, 0].tolist() == [0, 0, 255]


def test_a_palette_with_a_transparent_colour_lies_on_white(tmp_path):
    image = Image.new("P", (8, 8), 1)
    image.putpalette([10, 20, 30, 200, 0, 0])
    image.paste(0, (0, 4, 8, 8))
    image.save(tmp_path / "a.png", transparency=0)
    picture = only(tmp_path, "a.png", size=8)
    assert picture[:, 7, 0].tolist() == [255, 255, 255] and picture[:, 0, 0].tolist() == [200, 0, 0]


def test_the_exif_orientation_is_respected(tmp_path):
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[:, :32] = 255  # bright on the left as stored
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise: bright on top as seen
    save(tmp_path / "a.jpg", picture, exif=exif, quality=95)
    seen = only(tmp_path, "a.jpg", size=32)[0]
    assert (seen[:12] > 200).all() and (seen[20:] < 55).all()


def test_sixteen_bit_grey_keeps_its_scale(tmp_path):
    save(tmp_path / "a.png", np.full((8, 8), 32768, np.uint16))
    assert only(tmp_path, "a.png", size=8).unique().tolist() == [128]


def test_pictures_are_grey_only_if_all_of_them_are(tmp_path):
    for k in range(3):
        save(tmp_path / f"{k}.png", noise(k)[..., 0])
    assert ImageFolder(str(tmp_path)).load().raw.shape[1] == 1
    assert ImageFolder(str(tmp_path), channels=3).load().raw.shape[1] == 3
    save(tmp_path / "colour.png", noise(9))
    assert ImageFolder(str(tmp_path)).load().raw.shape[1] == 3
    assert ImageFolder(str(tmp_path), channels=1).load().raw.shape[1] == 1


def test_broken_files_are_left_out_by_name_and_the_rest_is_loaded(folder):
    save(folder / "whole.jpg", noise(1, 200, 200))
    data = (folder / "whole.jpg").read_bytes()
    (folder / "truncated.jpg").write_bytes(data[: len(data) // 2])
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("no picture")
    items = ImageFolder(str(folder), size=8).load()
    reasons = dict(items.left_out)
    assert set(reasons) == {"truncated.jpg", "empty.png", "text.png"} and len(items) == 5
    assert "truncated" in reasons["truncated.jpg"] and str(folder) not in "".join(reasons.values())


def test_a_decompression_bomb_is_left_out(folder, monkeypatch):
    save(folder / "bomb.png", noise(1, 100, 100))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40 * 60)
    (left,) = ImageFolder(str(folder)).load().left_out
    assert left.name == "bomb.png" and "exceeds limit" in left.reason


def test_copies_of_one_picture_share_a_group_across_classes(tmp_path):
    for name, seed in {"a/1": 1, "a/2": 2, "b/1": 1, "b/3": 3}.items():
        save(tmp_path / f"{name}.png", noise(seed))
    group = ImageFolder(str(tmp_path)).load().group.tolist()
    assert group[0] == group[2] and len(set(group)) == 3


def test_fewer_than_three_pictures_are_an_error_that_names_the_reason(tmp_path):
    save(tmp_path / "a.png", noise(1))
    (tmp_path / "b.png").touch()
    with pytest.raises(UserError, match=r"1 usable pictures \(left out: b\.png: .*at least 3"):
        ImageFolder(str(tmp_path)).load()


@pytest.mark.parametrize("wrong", [{"size": 0}, {"size": [8, 8, 8]}, {"channels": 2}, {"background": "whight"}])
def test_a_setting_without_sense_is_named(folder, wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        ImageFolder(str(folder), **wrong).load()


def test_a_second_load_decodes_nothing_but_a_changed_file_everything(folder, monkeypatch):
    calls, decode = [], image_folder.decode_picture
    monkeypatch.setattr(image_folder, "decode_picture", lambda *a: calls.append(a) or decode(*a))
    first, second = (ImageFolder(str(folder)).load() for _ in range(2))
    assert len(calls) == 4 and first.raw.equal(second.raw)
    save(folder / "0.png", noise(99))
    assert not ImageFolder(str(folder)).load().raw.equal(first.raw) and len(calls) == 8


def test_a_renamed_class_takes_effect_although_the_pictures_are_cached(tmp_path):
    for k, name in enumerate(["dog", "cat", "dog"]):
        save(tmp_path / name / f"{k}.png", noise(k))
    ImageFolder(str(tmp_path)).load()
    (tmp_path / "dog").rename(tmp_path / "wolf")
    assert ImageFolder(str(tmp_path)).load().label_names == ("cat", "wolf")


def test_a_picture_of_ones_own_is_read_in_the_models_shape(folder):
    source = ImageFolder(str(folder), size=32)
    signature = Signature("picture", (1, 16, 24), None, (), {})
    assert source.read(folder / "0.png", signature).shape == (1, 1, 16, 24)
    items = source.load()
    assert source.read(folder / "0.png", Signature.of(items)).equal(items.raw[:1])
    (folder / "bad.png").write_text("x")
    with pytest.raises(UserError, match=r"bad\.png cannot be read"):
        source.read(folder / "bad.png", signature)


def test_making_a_source_touches_no_disk():
    source = ImageFolder("/nowhere/at/all")
    assert isinstance(source, Source) and isinstance(source, Reader)


def test_every_picture_has_the_name_of_its_file(tmp_path):
    for name in ("b/1", "a/2", "a/1"):
        save(tmp_path / f"{name}.png", noise(len(name)))
    (tmp_path / "a" / "0.png").write_bytes(b"no picture")
    items = ImageFolder(str(tmp_path), size=8).load()
    assert items.names == ["a/1.png", "a/2.png", "b/1.png"] and len(items) == 3


def ramp(low, high, dtype=np.float32):
    return np.linspace(low, high, 6).astype(dtype).repeat(6).reshape(6, 6).T


def greys(folder, *pictures):
    """The columns of the first of pictures that all get the same suffix, as the reader makes them grey."""
    for k, picture in enumerate([*pictures, *pictures, *pictures][: max(3, len(pictures))]):
        save(folder / f"{k}.tiff", picture)
    items = ImageFolder(str(folder), size=6).load()
    return items.raw[0, 0, 0].tolist(), items


def test_floats_up_to_one_have_white_at_one(tmp_path):
    assert greys(tmp_path, ramp(0, 1))[0] == [0, 51, 102, 153, 204, 255]


def test_floats_that_are_eight_bit_greys_stay_so(tmp_path):
    values = np.array([0, 16, 32, 65, 97, 127.5], np.float32).repeat(6).reshape(6, 6).T
    found, items = greys(tmp_path, values)
    assert found == [0, 16, 32, 65, 97, 128]
    assert items.notes == [
        "3 pictures of floating point hold values from 0 to 127.5: black is 0 and white 255 in all of them"
    ]


@pytest.mark.parametrize(("low", "high"), [(312, 4810), (-1024, 3071), (-1, 1), (0, 1.5), (2e-3, 12)])
def test_floats_of_another_unit_lie_between_the_ends_of_their_range(tmp_path, low, high):
    found, items = greys(tmp_path, ramp(low, high))
    assert found == [0, 51, 102, 153, 204, 255]
    assert items.facts == {"float_black": pytest.approx(low), "float_white": pytest.approx(high)}


def test_one_scale_holds_for_the_whole_folder(tmp_path):
    found, _ = greys(tmp_path, ramp(0, 1000), ramp(1000, 5000), ramp(0, 500))
    assert found == [0, 10, 20, 31, 41, 51]


@pytest.mark.parametrize(("highest", "white"), [(1, 1), (255, 255), (256, 4095), (4095, 4095), (4096, 65535)])
def test_sixteen_bits_are_measured_by_the_bits_that_are_used(tmp_path, highest, white):
    for k in range(3):
        save(tmp_path / f"{k}.png", np.full((8, 8), highest, np.uint16))
    items = ImageFolder(str(tmp_path), size=8).load()
    assert items.raw.unique().tolist() == [round(255 * highest / white)]
    assert items.facts == {"integer_black": 0, "integer_white": white}
    assert f"white {white} in all" in items.notes[0]


def test_signed_integers_lie_between_the_ends_of_their_range(tmp_path):
    assert greys(tmp_path, ramp(-1000, 1000, np.int32))[0] == [0, 51, 102, 153, 204, 255]


def test_pictures_without_contrast_are_black_and_not_a_division_by_zero(tmp_path):
    assert greys(tmp_path, ramp(-3, -3))[0] == [0] * 6


def test_floats_and_integers_in_one_folder_have_scales_of_their_own(tmp_path):
    save(tmp_path / "a.tiff", ramp(0, 1))
    save(tmp_path / "b.png", ramp(0, 65535, np.uint16))
    save(tmp_path / "c.png", ramp(0, 255, np.uint8))
    items = ImageFolder(str(tmp_path), size=6).load()
    assert [picture[0, 0].tolist() for picture in items.raw] == [[0, 51, 102, 153, 204, 255]] * 3
    assert len(items.notes) == 2


def test_pictures_of_eight_bits_have_nothing_to_tell(folder):
    items = ImageFolder(str(folder)).load()
    assert not items.facts and not items.notes


@pytest.mark.parametrize("value", [np.nan, np.inf, -3.4e38])
def test_values_that_are_no_number_leave_the_picture_out(folder, value):
    broken = ramp(0, 1)
    broken[2, 3] = value
    save(folder / "a.tiff", broken)
    assert "NaN, infinity" in dict(ImageFolder(str(folder)).load().left_out)["a.tiff"]


def test_a_picture_of_ones_own_is_scaled_as_the_models_data_were(tmp_path):
    _, items = greys(tmp_path, ramp(0, 1000), ramp(1000, 5000), ramp(0, 500))
    signature = Signature.of(items)
    assert read_picture(tmp_path / "0.tiff", signature).equal(items.raw[:1])
    save(tmp_path / "own.tiff", ramp(0, 10000))
    assert read_picture(tmp_path / "own.tiff", signature)[0, 0, 0].tolist() == [0, 102, 204, 255, 255, 255]


def test_a_picture_of_more_bits_than_the_models_data_has_its_own_scale(tmp_path):
    save(tmp_path / "own.tiff", ramp(-1024, 3071))
    own = read_picture(tmp_path / "own.tiff", Signature("picture", (1, 6, 6), None, (), {}))
    assert own[0, 0, 0].tolist() == [0, 51, 102, 153, 204, 255]


@pytest.mark.parametrize("suffix", ["tiff", "gif", "webp", "png"])
def test_of_several_pages_or_frames_the_first_is_taken_and_told(folder, suffix):
    frames = [Image.fromarray(np.full((8, 8, 3), grey, np.uint8)) for grey in (200, 100, 0)]
    options = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(folder / f"a.{suffix}", save_all=True, append_images=frames[1:], **options)
    items = ImageFolder(str(folder), size=8).load()
    assert items.notes == ["of 1 files with several pages or frames only the first one is taken"]
    assert items.raw[-1].unique().tolist() == [200]


def lay(root, *names):
    """Pictures of these names, each another one."""
    for k, name in enumerate(names):
        save(root / name, noise(k, 8, 8))


def test_folders_of_a_split_are_the_split_and_no_classes(tmp_path):
    lay(tmp_path, *(f"{split}/{name}/{k}.png" for split in ("Train", "test") for name in ("cat", "dog") for k in "123"))
    items = ImageFolder(str(tmp_path), size=8).load()
    assert items.label_names == ("cat", "dog") and items.label.tolist() == [0] * 3 + [1] * 3 + [0] * 3 + [1] * 3
    assert items.fold.tolist() == [0] * 6 + [2] * 6
    assert "train 6, no val, test 6; what is missing is drawn from train" in items.notes[0]


def test_a_given_split_survives_the_cache(tmp_path):
    lay(tmp_path, *(f"{split}/{k}.png" for split in ("train", "val", "test") for k in "12"))
    first, second = (ImageFolder(str(tmp_path), size=8).load() for _ in range(2))
    assert first.label is None and first.fold.tolist() == second.fold.tolist() == [2, 2, 0, 0, 1, 1]


def test_a_broken_picture_takes_no_fold_with_it(tmp_path):
    lay(tmp_path, *(f"{split}/{k}.png" for split in ("train", "test") for k in "123"))
    (tmp_path / "test" / "0.png").write_text("broken")
    (tmp_path / "train" / "2.png").write_text("broken")
    assert ImageFolder(str(tmp_path), size=8).load().fold.tolist() == [2, 2, 2, 0, 0]


def test_names_that_are_not_utf8_are_printable_and_the_files_are_read(tmp_path):
    lay(tmp_path, *(os.fsdecode(b"caf\xe9/") + f"{k}.png" for k in "12"), "tea/1.png")
    (tmp_path / os.fsdecode(b"br\xf6ken.png")).write_text("broken")
    items = ImageFolder(str(tmp_path), size=8).load()
    assert items.label_names == (r"caf\xe9", "tea") and items.label.tolist() == [0, 0, 1]
    assert [left.name for left in items.left_out] == [r"br\xf6ken.png"]
    str(items.left_out).encode()  # what goes into left_out.txt and onto the terminal


def test_a_picture_too_large_for_the_memory_is_left_out_before_it_is_unpacked(folder, monkeypatch):
    save(folder / "large.png", noise(1, 100, 60))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100 * 59)
    unpacked, transpose = [], ImageOps.exif_transpose
    monkeypatch.setattr(ImageOps, "exif_transpose", lambda image: unpacked.append(image.size) or transpose(image))
    (left,) = ImageFolder(str(folder)).load().left_out
    assert left.name == "large.png" and "exceeds limit" in left.reason
    assert unpacked == [(60, 40)] * 4


def test_a_large_jpeg_that_is_unpacked_small_is_read(folder, monkeypatch):
    save(folder / "large.jpg", noise(1, 400, 400))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300 * 300)
    assert not ImageFolder(str(folder), size=32).load().left_out


def test_what_fails_for_lack_of_memory_is_read_when_there_is_some(folder, monkeypatch):
    decode = image_folder.decode_picture

    def short(path, *rest):
        if path.name == "0.png":
            raise MemoryError
        return decode(path, *rest)

    monkeypatch.setattr(image_folder, "decode_picture", short)
    (left,) = ImageFolder(str(folder)).load().left_out
    assert left == ("0.png", "there is not enough memory to unpack it")
    monkeypatch.setattr(image_folder, "decode_picture", decode)
    assert not ImageFolder(str(folder)).load().left_out


def test_pipes_and_devices_among_the_pictures_are_left_out(folder):
    os.mkfifo(folder / "pipe.png")
    (folder / "endless.png").symlink_to("/dev/zero")
    items = ImageFolder(str(folder)).load()
    assert len(items) == 4 and {left.name for left in items.left_out} == {"pipe.png", "endless.png"}
    with pytest.raises(UserError, match="no regular file"):
        read_picture(folder / "pipe.png", Signature.of(items))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 3000), (3000, 1), (2, 7)])
def test_a_picture_of_any_proportion_fills_its_square(folder, height, width):
    save(folder / "a.png", np.full((height, width, 3), 90, np.uint8))
    assert ImageFolder(str(folder), size=16).load().raw[-1].unique().tolist() == [90]


def test_a_png_whose_content_is_not_that_of_its_sum_is_left_out(tmp_path):
    rng = np.random.default_rng(0)
    for k in range(4):
        Image.fromarray(rng.integers(0, 255, (8, 8), dtype=np.uint8)).save(tmp_path / f"{k}.png")
    content = bytearray((tmp_path / "3.png").read_bytes())
    # The sum of the picture's own chunk lies right before the twelve bytes of the end.
    content[-13] ^= 1
    (tmp_path / "3.png").write_bytes(content)
    items = ImageFolder(str(tmp_path), size=8).load()
    assert len(items) == 3 and [left.name for left in items.left_out] == ["3.png"]
