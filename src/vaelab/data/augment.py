"""Training items in many forms: what is done to each, anew in every epoch."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vaelab.data.items import Items
from vaelab.errors import UserError

LUMA = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R BT.601)


@dataclass(frozen=True)
class Augmentation:
    """Changes of pictures (the first four), and of sound and signals (`shift`), drawn for each of a batch.

    Attributes:
        flip: mirror half of them left to right.
        crop: pixels that they move at most, up or down and left or right; edges are mirrored.
        rotate: degrees that they turn at most, either way; edges are mirrored.
        jitter: share by which brightness, contrast and saturation grow or shrink at most.
        shift: share of an item's length that it moves in time at most, either way; ends are mirrored.
    """

    flip: bool = False
    crop: int = 0
    rotate: float = 0.0
    jitter: float = 0.0
    shift: float = 0.0

    def __post_init__(self) -> None:
        """Raise `UserError` for a setting that makes no sense."""
        if self.crop < 0:
            raise UserError(f"dataset.crop must be at least 0 pixels, not {self.crop}")
        if not 0 <= self.rotate <= 180:
            raise UserError(f"dataset.rotate must lie between 0 and 180 degrees, not {self.rotate}")
        if not 0 <= self.jitter < 1:
            raise UserError(f"dataset.jitter must be a share in [0, 1), not {self.jitter}")
        if not 0 <= self.shift < 1:
            raise UserError(f"dataset.shift must be a share in [0, 1), not {self.shift}")

    def __bool__(self) -> bool:
        return self != Augmentation()

    def check(self, items: Items) -> None:
        """Refuse items that cannot be changed so.

        Raises:
            UserError: naming the setting.
        """
        asked = {name: getattr(self, name) for name in vars(self) if getattr(self, name)}
        size, kind = items.raw.shape[2:], items.kind
        for name in asked:
            if (name == "shift") != (len(size) == 1):
                changes = "moves signals and sound" if name == "shift" else "changes pictures"
                raise UserError(f"dataset.{name} {changes}; these are {kind}s: leave it out")
        if asked and items.clean is not None:
            raise UserError(f"dataset.{next(iter(asked))} would part {kind}s from their clean partners: leave it out")
        if self.crop >= min(size):
            raise UserError(f"dataset.crop={self.crop} moves pictures of {size[0]}×{size[1]} out of sight: give less")

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """New items of encoded ones `(batch, channels, *size)`, pictures in [0, 1]; the same for the same generator."""
        draw = lambda *size: torch.rand(len(x), *size, generator=generator, device=x.device)  # noqa: E731
        if self.flip:
            x = torch.where(draw()[:, None, None, None] < 0.5, x.flip(-1), x)
        if self.rotate:
            x = rotated(x, torch.deg2rad(self.rotate * (2 * draw() - 1)))
        if self.crop:
            pixels = ((2 * self.crop + 1) * draw(2)).long() - self.crop
            x = moved(moved(x, pixels[:, 0], -2), pixels[:, 1], -1)
        if self.jitter:
            x = jittered(x, 1 + self.jitter * (2 * draw(3) - 1))
        if self.shift:
            most = round(self.shift * x.shape[-1])
            x = moved(x, ((2 * most + 1) * draw()).long() - most, -1)
        return x


def moved(x: Tensor, steps: Tensor, axis: int) -> Tensor:
    """Items moved along an axis, towards its beginning, by `steps` `(batch,)`; mirrored at both ends."""
    last = x.shape[axis] - 1
    place = torch.arange(last + 1, device=x.device) + steps[:, None]
    mirrored = last - (last - place.abs()).abs()
    shape = [1] * x.ndim
    shape[0], shape[axis] = mirrored.shape
    return x.take_along_dim(mirrored.view(shape), axis)


def rotated(x: Tensor, angle: Tensor) -> Tensor:
    """Pictures `(batch, channels, height, width)` turned anticlockwise by `angle` `(batch,)` in radians."""
    height, width = x.shape[2:]
    cos, sin, nought = angle.cos(), angle.sin(), torch.zeros_like(angle)
    # In coordinates from -1 to 1 along each side, whatever its length.
    rows = (torch.stack([cos, -sin * height / width, nought], 1), torch.stack([sin * width / height, cos, nought], 1))
    grid = F.affine_grid(torch.stack(rows, 1), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def jittered(x: Tensor, factors: Tensor) -> Tensor:
    """Pictures in [0, 1] with brightness, contrast and saturation times `factors` `(batch, 3)`, cut to [0, 1]."""
    brightness, contrast, saturation = factors[:, :, None, None, None].unbind(1)
    x = x * brightness
    grey = _grey(x)
    x = torch.lerp(grey.mean((1, 2, 3), keepdim=True), x, contrast)
    return torch.lerp(_grey(x), x, saturation).clamp(0, 1)


def _grey(x: Tensor) -> Tensor:
    """`(batch, 1, height, width)`: the luma of colours, what else there is unchanged in the mean."""
    if x.shape[1] != 3:
        return x.mean(1, keepdim=True)
    return (x * x.new_tensor(LUMA).view(3, 1, 1)).sum(1, keepdim=True)
