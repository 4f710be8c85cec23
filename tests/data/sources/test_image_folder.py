import numpy as np
import pytest
from PIL import Image

from vaelab.data.items import Signature
from vaelab.data.sources import image_folder
from vaelab.data.sources.base import Reader, Source
from vaelab.data.sources.image_folder import ImageFolder
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
