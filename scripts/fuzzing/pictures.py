"""A folder of four good pictures and one that is odd: of any mode, format, size and name, damaged, or no picture.

The good ones must come out as they do without it, with their classes. The same picture in another format that loses
nothing, another mode that holds it, or turned as its EXIF data says, must come out the same; the sums in a PNG promise
that damage is found.
"""

from __future__ import annotations

import io
import os
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from fuzzing import _doors
from fuzzing._bytes import cut, damaged, flipped, packed_zeros, with_head
from fuzzing._kind import Input, Kind, Reading, Rng, pick

IMAGES = ["experiment=images", "dataset.size=16", "dataset.channels=3", "architecture.width=4", "latent.dim=2"]
FORMATS = {
    **{".png": "PNG", ".bmp": "BMP", ".gif": "GIF", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF"},
    **{".webp": "WEBP", ".ppm": "PPM", ".pgm": "PPM", ".pbm": "PPM", ".avif": "AVIF"},
}
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "LAB", "HSV", "I", "I;16", "F")
LOSSLESS = (".png", ".bmp", ".tif", ".tiff", ".ppm", ".webp", ".TIFF")
SIDE = 24
GREYS = 4  # of 255: two ways to scale the same picture may round apart
NAMES: tuple[bytes, ...] = (
    *(b"br\xf6ken.png", b"[/b].png", b"[old].png", b"a b.png", b"a=b,c(d)&e.png", b"-rf.png", b"x" * 240 + b".png"),
    *(
        b"new\nline.png",
        b"tab\t.png",
        "日本.png".encode(),
        b"a.png.png",
        b"A.PNG",
        b"'quoted'.png",
        b"%s.png",
        b"\x1b[31m.png",
    ),
)
FOLDERS: tuple[bytes, ...] = (
    b"caf\xe9",
    b"[/b]",
    b"[bold]",
    "Müller".encode(),
    b"a b",
    b"train",
    b"test",
    b".hidden",
    b"x\ny",
)


def scene(seed: int) -> np.ndarray:
    """A smooth picture `(height, width, 3)` uint8."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def prepare(folder: Path) -> None:
    """The good pictures, and how they and the plain form of the odd one come out."""
    for k in range(4):
        good = folder / "good" / "ab"[k % 2] / f"{k}.png"
        good.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(scene(k)).save(good)
    shutil.copytree(folder / "good", folder / "all")
    for name, image in (("colour", Image.fromarray(scene(9))), ("grey", Image.fromarray(scene(9)).convert("L"))):
        image.save(folder / "all" / "a" / "x.png")
        items = _doors.load(IMAGES, root=str(folder / "all")).values
        # In the order of their names: a/0, a/2, a/x, b/1, b/3.
        np.savez(folder / f"{name}.npz", good=items[[0, 3, 1, 4]], odd=items[2])


# One odd picture --------------------------------------------------------------------------------------------------

Odd = tuple[str, bytes, str, str]  # its suffix, its bytes, words for it, and what it must look like


def saved(image: Image.Image, suffix: str, **settings: Any) -> bytes:
    """A picture as a file of that format."""
    file = io.BytesIO()
    image.save(file, FORMATS[suffix.lower()], **settings)
    return file.getvalue()


def lossless(rng: Rng) -> Odd:
    """The same picture in a format and mode that hold it whole."""
    suffix, colour = pick(rng, LOSSLESS), Image.fromarray(scene(9))
    mode = pick(rng, ("RGB", "RGBA", "L", "LA", "I;16"))
    exact = {"lossless": True} if suffix == ".webp" else {}
    if mode in ("RGB", "RGBA") or suffix in (".bmp", ".ppm", ".webp"):
        image = colour.convert("RGBA") if mode == "RGBA" and suffix != ".ppm" else colour
        return suffix, saved(image, suffix, **exact), f"{image.mode} as {suffix}", "colour"
    grey = colour.convert("L")
    image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257) if mode == "I;16" else grey.convert(mode)
    return suffix, saved(image, suffix), f"{mode} as {suffix}", "grey"


def turned(rng: Rng) -> Odd:
    """The same picture, turned, with EXIF data that turn it back."""
    number, upright = int(rng.integers(0, 12)), Image.fromarray(scene(9))
    exif = Image.Exif()
    exif[0x0112] = number
    back = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    image = upright.transpose(back[number]) if number in back else upright
    shown = Image.open(io.BytesIO(saved(image, ".png", exif=exif)))
    assert np.array_equal(np.asarray(ImageOps.exif_transpose(shown)), np.asarray(upright))
    return ".png", saved(image, ".png", exif=exif), f"EXIF orientation {number}", "colour"


def checked(rng: Rng) -> Odd:
    """A PNG with bits turned or its end missing, whose sums tell."""
    data, how = damaged(saved(Image.fromarray(scene(9)), ".png"), rng, (flipped, cut))
    return ".png", data, f"png: {how}", "colour"


def of_any_mode(rng: Rng) -> Odd:
    """A picture of any mode in the first format that takes it, with or without what else may be in it."""
    mode, image = pick(rng, MODES), Image.fromarray(scene(9))
    if mode in ("F", "I", "I;16"):
        scale = pick(rng, (1.0, 0.5, 257.0, 1000.0, -1.0, 1e30, np.nan, np.inf))
        with np.errstate(invalid="ignore", over="ignore"):
            grey = np.asarray(image.convert("L"), np.float32) * np.float32(scale)
            image = Image.fromarray(grey if mode == "F" else grey.astype(np.int32 if mode == "I" else np.uint16))
        words = f"{mode} times {scale:g}"
    elif mode in ("LAB", "HSV", "YCbCr", "CMYK", "1", "L", "LA", "P", "RGBA", "RGBX"):
        image, words = _in(image, mode), mode
    else:
        image = image.convert("RGBA").convert(mode) if mode == "RGBa" else image.convert("P").convert("RGBA")
        words = mode
    for suffix in rng.permutation(list(FORMATS)).tolist():
        try:
            return suffix, saved(image, suffix, **extras(rng, suffix)), f"{words} as {suffix}", ""
        except (OSError, KeyError, ValueError, TypeError, struct.error):
            continue
    return ".png", saved(image.convert("RGB"), ".png"), words, ""


def _in(image: Image.Image, mode: str) -> Image.Image:
    if mode == "LAB":
        from PIL import ImageCms

        srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        made = ImageCms.profileToProfile(image, srgb, lab, outputMode="LAB")
        assert made is not None
        return made
    return image.convert(mode)


def extras(rng: Rng, suffix: str) -> dict[str, Any]:
    """Settings of a format that some files have."""
    settings: list[dict[str, Any]] = [{}, {}, {"dpi": (72, 72)}]
    if suffix in (".png", ".gif"):
        settings += [{"transparency": 0}]
    if suffix == ".png":
        settings += [{"icc_profile": rng.bytes(200)}, {"exif": rng.bytes(100)}]
    if suffix in (".tif", ".tiff"):
        settings += [{"compression": pick(rng, ("tiff_lzw", "tiff_deflate", "packbits", "tiff_jpeg"))}]
    if suffix in (".jpg", ".jpeg"):
        settings += [{"progressive": True, "quality": 5}, {"exif": b"Exif\0\0" + rng.bytes(50)}]
    return pick(rng, settings)


def animated(rng: Rng) -> Odd:
    """Several pictures in one file."""
    suffix = pick(rng, (".gif", ".webp", ".tif", ".png"))
    images = [Image.fromarray(scene(20 + k)) for k in range(int(rng.integers(2, 6)))]
    if suffix == ".tif" and rng.random() < 0.5:
        images[1:] = [image.resize((7, 5)) for image in images[1:]]
    return (
        suffix,
        saved(images[0], suffix, save_all=True, append_images=images[1:]),
        f"{suffix} of several pictures",
        "",
    )


def damaged_any(rng: Rng) -> Odd:
    """A picture of any format, damaged, or with another's header or name."""
    suffix = pick(rng, list(FORMATS))
    mode = {".pbm": "1", ".pgm": "L"}.get(suffix, "RGB")
    data = saved(Image.fromarray(scene(9)).convert(mode), suffix)
    how = pick(rng, ("bytes", "bytes", "bytes", "head", "name"))
    if how == "bytes":
        data, words = damaged(data, rng)
        return suffix, data, f"{suffix}: {words}", ""
    other = pick(rng, list(FORMATS))
    if how == "head":
        head = saved(Image.fromarray(scene(8)), other) if other not in (".pbm", ".pgm") else b"P4\n9 9\n" + bytes(80)
        return suffix, with_head(data, head, rng), f"{suffix} with the head of {other}", ""
    return other, data, f"{suffix} named {other}", ""


def sized(rng: Rng) -> Odd:
    """A picture of an odd size, down to one pixel."""
    size = pick(rng, ((1, 1), (1, 500), (500, 1), (2, 3), (3000, 2), (15, 17), (4000, 3000)))
    suffix = pick(rng, (".png", ".jpg", ".gif", ".tif"))
    return suffix, saved(Image.new("RGB", size, (9, 99, 199)), suffix), f"{suffix} of {size}", ""


def bomb(rng: Rng) -> Odd:
    """A few bytes that say, truly or not, that they are a huge picture."""
    side = int(pick(rng, (12_000, 13_000, 25_000, 50_000, 2**31 - 1)))
    depth, colour, channels = pick(rng, ((8, 2, 3), (16, 6, 8), (1, 0, 1), (8, 0, 1)))
    true = side <= 25_000 and rng.random() < 0.7
    pixels = packed_zeros(side * (1 + side * channels), 15) if true else zlib.compress(bytes(1000))
    header = struct.pack(">IIBBBBB", side, side, depth, colour, 0, 0, 0)
    chunks = (b"IHDR" + header, b"IDAT" + pixels, b"IEND")
    data = b"".join(struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks)
    suffix = pick(rng, (".png", ".png", ".bmp", ".ppm"))
    if suffix == ".bmp":
        data = saved(Image.fromarray(scene(9)), suffix)
        data = data[:18] + struct.pack("<ii", side, pick(rng, (side, -side))) + data[26:]
    elif suffix == ".ppm":
        data = f"P6 {side} {side} 255\n".encode() + bytes(1000)
    return suffix, b"\x89PNG\r\n\x1a\n" + data if suffix == ".png" else data, f"{suffix} of {side}²", ""


# The folder around it ---------------------------------------------------------------------------------------------


def no_file(rng: Rng, path: Path) -> str:
    """Something named like a picture that is none; and what it is."""
    what = pick(
        rng, ("a pipe", "a folder", "an endless device", "a link to nothing", "a link to itself", "a link to a tree")
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    if what == "a pipe":
        os.mkfifo(path)
    elif what == "a folder":
        path.mkdir()
    elif what == "a link to a tree":
        path.with_suffix("").symlink_to(path.parent)
    else:
        target = {"an endless device": "/dev/zero", "a link to nothing": "nowhere", "a link to itself": path.name}
        path.symlink_to(target[what])
    return what


def make(rng: Rng, folder: Path, ready: Path) -> Input:
    """A folder with one odd picture, or one thing that is none."""
    root = folder / "root"
    shutil.copytree(ready / "good", root)
    if rng.random() < 0.08:
        words = no_file(rng, root / "a" / f"x{pick(rng, list(FORMATS))}")
        return Input(words, lambda: _doors.load(IMAGES, root=str(root)), kept(ready, ""))
    suffix, data, words, seen = pick(rng, MAKERS)(rng)
    name, inner = f"x{suffix}".encode(), b"a"
    if rng.random() < 0.15:
        name, inner = pick(rng, NAMES), pick(rng, (b"a", *FOLDERS))
        words, seen = f"{words}, named {inner + b'/' + name!a}"[:120], ""
    path = os.path.join(os.fsencode(root), inner, name)  # noqa: PTH118 - a Path is not made of bytes
    os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
    Path(os.fsdecode(path)).write_bytes(data)
    if rng.random() < 0.2:
        return Input(f"{words}, for a task", lambda: _task(os.fsdecode(path), root), alone(ready, seen))
    classes = inner == b"a"
    return Input(words, lambda: _doors.load(IMAGES, root=str(root)), kept(ready, seen, classes=classes))


def _task(path: str, root: Path) -> Reading:
    import torch

    from vaelab.data.items import Items, Signature

    signature = Signature.of(Items("picture", torch.zeros((3, 3, 16, 16), dtype=torch.uint8)))
    return _doors.read(IMAGES, Path(path), signature, root=str(root))


def alone(ready: Path, seen: str) -> Callable[[Reading], str]:
    """That the picture, if it is a known one, is the one that was written."""

    def check(reading: Reading) -> str:
        if not seen or is_same(reading.values[0], np.load(ready / f"{seen}.npz")["odd"]):
            return ""
        return "the picture is another"

    return check


def kept(ready: Path, seen: str, *, classes: bool = True) -> Callable[[Reading], str]:
    """That the good pictures are there, each with its class, and the odd one as `seen` has it, if it is there."""

    def check(reading: Reading) -> str:
        known = np.load(ready / f"{seen or 'colour'}.npz")
        if reading.values.shape[1:] != known["good"].shape[1:]:
            return f"pictures of shape {reading.values.shape[1:]} where {known['good'].shape[1:]} were asked for"
        for k, good in enumerate(known["good"]):
            places = [j for j, item in enumerate(reading.values) if is_same(item, good)]
            if not places:
                return f"the good picture {k} is another, or gone"
            if classes and reading.labels is not None and reading.labels[places[0]] != "ab"[k % 2]:
                return f"the good picture {k} has the class {reading.labels[places[0]]}"
        is_there = len(reading.values) > len(known["good"]) and not reading.notes
        if seen and is_there and not any(is_same(item, known["odd"]) for item in reading.values):
            return "the odd picture is another"
        return ""

    return check


def is_same(picture: np.ndarray, other: np.ndarray) -> bool:
    """Whether two pictures are, but for rounding."""
    return bool(np.abs(picture.astype(int) - other.astype(int)).max() <= GREYS)


MAKERS = (
    *(lossless, lossless, turned, checked, checked, of_any_mode, of_any_mode, of_any_mode, animated),
    *(damaged_any, damaged_any, damaged_any, damaged_any, sized, bomb),
)


def warm() -> None:
    """Compose what every input needs."""
    _doors.composed(*IMAGES)
    Image.init()


KIND = Kind(make, _doors.READERS, warm, prepare)
