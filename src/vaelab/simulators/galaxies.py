"""Galaxies as a survey sees them in three colours: barred spirals, ellipticals and spirals.

Light is added up first: a bulge and an elliptical by Sérsic's law, an exponential disc, a bar, logarithmic arms that
red noise bends, with knots of young stars in them and dust along their inner edge; then other galaxies far behind and
stars before them. The air blurs it, the sky adds noise, and an arcsinh stretch makes a picture (Lupton et al. 2004).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaelab.errors import UserError

Floats = NDArray[np.floating[Any]]

CLASSES = ("barred spiral", "elliptical", "spiral")
SMALLEST = 16  # pixels a side
USUAL = 128  # pixels a side for which seeing and noise are given

# Red, green and blue light of old stars, of a disc, of young stars, and of glowing hydrogen.
OLD, DISC, YOUNG, GLOW = (
    np.array(colour, np.float32)
    for colour in ((1.22, 0.97, 0.68), (1.1, 0.99, 0.87), (0.72, 0.97, 1.35), (1.55, 0.72, 1.05))
)
DUST = np.array((0.7, 1.0, 1.35), np.float32)  # of an optical depth in the middle of the spectrum


@dataclass(frozen=True)
class Galaxy:
    """What is known of a galaxy.

    Attributes:
        label: number of its class in `CLASSES`.
        radius: that of half the light of an elliptical, or the scale length of a disc, in sides of the picture.
        axis_ratio: the short axis by the long one: of a disc the cosine of its inclination.
        position_angle: of the long axis, in radians, anticlockwise from the right as seen.
        bulge: the bulge's share of the light of disc and bulge; 1 of an elliptical.
        redness: how much redder it is than others, from −1 to 1.
        brightness: of its surface, by the usual one.
    """

    label: int
    radius: float
    axis_ratio: float
    position_angle: float
    bulge: float
    redness: float
    brightness: float


def drawn_galaxy(label: int, rng: np.random.Generator) -> Galaxy:
    """Draw what a galaxy of a class is like."""
    elliptical = CLASSES[label] == "elliptical"
    return Galaxy(
        label=label,
        radius=rng.uniform(0.05, 0.09) if elliptical else rng.uniform(0.075, 0.125),
        # Discs lie in space at random, but none is seen from its edge, where no arm shows.
        axis_ratio=rng.uniform(0.5, 1.0) if elliptical else rng.uniform(0.4, 1.0),
        position_angle=rng.uniform(0, np.pi),
        bulge=1.0 if elliptical else rng.uniform(0.04, 0.3),
        redness=rng.uniform(-1, 1),
        brightness=float(np.exp(rng.normal(0, 0.35))),
    )


def galaxy_picture(galaxy: Galaxy, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A picture of a galaxy, `(3, size, size)`: red, green, blue. `rng` draws what is not known of it.

    Raises:
        UserError: if the picture is too small.
    """
    if size < SMALLEST:
        raise UserError(f"size={size}: galaxies need at least {SMALLEST} pixels")
    light = _elliptical(galaxy, size, rng) if CLASSES[galaxy.label] == "elliptical" else _disc(galaxy, size, rng)
    light *= galaxy.brightness * (1 + 0.12 * galaxy.redness * np.array((1, 0, -1), np.float32))[:, None, None]
    light += _neighbours(size, rng)
    light += _stars(size, rng)
    return _developed(_seen(light, size, rng))


# Light ------------------------------------------------------------------------------------------------------------


def _plane(galaxy: Galaxy, size: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Each pixel's place in a galaxy's plane, along its long axis and across, by its radius: `(size, size)` each."""
    pixel = (((np.arange(size) + 0.5) / size - 0.5) / galaxy.radius).astype(np.float32)
    right, up = rng.normal(0, 0.05, 2)  # no catalogue is quite right
    x, y = pixel[None, :] - np.float32(right), -pixel[:, None] - np.float32(up)
    cos, sin = np.float32(np.cos(galaxy.position_angle)), np.float32(np.sin(galaxy.position_angle))
    return cos * x + sin * y, (cos * y - sin * x) / np.float32(galaxy.axis_ratio)


def _sersic(radius: Floats, index: float) -> Floats:
    """Sérsic's (1963) profile, 1 at the radius of half the light, which is 1; a core keeps its peak from a pixel."""
    b = 2 * index - 1 / 3 + 0.009876 / index  # Prugniel and Simien 1997
    return np.exp(-b * ((radius**2 + 0.002) ** np.float32(0.5 / index) - 1))


def _elliptical(galaxy: Galaxy, size: int, rng: np.random.Generator) -> Floats:
    x, y = _plane(galaxy, size, rng)
    angle, boxiness = np.arctan2(y, x), rng.normal(0, 0.015)
    radius = np.hypot(x, y) * (1 + np.float32(boxiness) * np.cos(4 * angle))
    return OLD[:, None, None] * (0.75 * _sersic(radius, rng.uniform(2.2, 4.2)))


def _disc(galaxy: Galaxy, size: int, rng: np.random.Generator) -> Floats:
    """Bulge, disc, arms, knots and dust, and in a barred one the bar, from whose ends the arms begin."""
    x, y = _plane(galaxy, size, rng)
    turn = rng.uniform(0, np.pi)  # of bar and arms in the disc's plane
    bar = rng.uniform(0.9, 1.5) if CLASSES[galaxy.label] == "barred spiral" else 0.0
    radius, angle = np.hypot(x, y) + np.float32(1e-3), np.arctan2(y, x) - np.float32(turn)
    arms = _Arms(galaxy, bar, rng)
    density, lane = arms.density(radius, angle)
    fall = np.exp(-radius)
    edge = 1 / (1 + np.exp((radius - np.float32(rng.uniform(3.2, 4.2))) * 3))
    light = DISC[:, None, None] * (1.5 * fall * edge)
    light += YOUNG[:, None, None] * (arms.strength * np.exp(-radius * np.float32(0.75)) * edge * density)
    light += _knots(galaxy, arms, turn, size, rng)
    light *= np.exp(-DUST[:, None, None] * (arms.dust * lane * edge))
    old = _bulge(galaxy, x, y, rng)
    if bar:
        old += _bar(radius, angle, bar, rng)
    return light + OLD[:, None, None] * old


def _bulge(galaxy: Galaxy, x: Floats, y: Floats, rng: np.random.Generator) -> Floats:
    """Rounder than the disc, with its share of the light."""
    size = np.float32(rng.uniform(0.25, 0.45) * (0.6 + 2 * galaxy.bulge))
    across = np.float32(galaxy.axis_ratio / (0.5 + 0.5 * galaxy.axis_ratio))
    # A Sérsic profile of index 2 holds 7.1 times its value at the radius of half its light, by the square of that.
    share = 1.5 * 2 * np.pi * galaxy.bulge / (1 - galaxy.bulge) / (7.1 * np.pi * size**2)
    return np.float32(share) * _sersic(np.hypot(x, y * across) / size, 2.0)


def _bar(radius: Floats, angle: Floats, length: float, rng: np.random.Generator) -> Floats:
    """A flat ridge of so many scale lengths to either side."""
    along, across = np.abs(radius * np.cos(angle)), np.abs(radius * np.sin(angle))
    width = np.float32(length * rng.uniform(0.2, 0.32))
    place = (along / np.float32(length)) ** 3 + (across / width) ** 2
    return np.float32(rng.uniform(1.1, 2.0)) * np.exp(-(place**1.3))


class _Arms:
    """Logarithmic spirals, r = r₀ exp(φ tan pitch), of one galaxy; angles are from the bar, or where arms begin."""

    def __init__(self, galaxy: Galaxy, bar: float, rng: np.random.Generator) -> None:
        self.count = 2 if bar else int(rng.choice([2, 2, 2, 3, 4]))
        self.begin = bar or rng.uniform(0.25, 0.6)
        pitch = np.deg2rad(rng.uniform(12, 26))
        self.winding = np.float32(rng.choice([-1, 1]) / np.tan(pitch))
        self.strength = np.float32(rng.uniform(1.0, 2.2))
        self.dust = np.float32(rng.uniform(0.4, 1.3) / (0.4 + 0.6 * galaxy.axis_ratio))
        self.narrow = np.float32(rng.uniform(1.2, 3.0))
        # Red noise of ln r: waves whose height falls with their number.
        waves = np.arange(1, 6)
        self.waves = waves.astype(np.float32) * 1.6
        self.heights = (rng.normal(0, 0.28, 5) / waves).astype(np.float32)
        self.shifts = rng.uniform(0, 2 * np.pi, 5).astype(np.float32)
        self.texture = _texture(rng)

    def crest(self, radius: Floats) -> Floats:
        """The angle at which the first arm lies."""
        depth = np.log(radius / np.float32(self.begin))
        # At its beginning the arm is where the bar ends.
        bent = sum(
            h * (np.sin(w * depth + s) - np.sin(s))
            for w, h, s in zip(self.waves, self.heights, self.shifts, strict=True)
        )
        return self.winding * depth + bent

    def density(self, radius: Floats, angle: Floats) -> tuple[Floats, Floats]:
        """How much of the young stars is at a place, patchy along the arms, and how much dust."""
        phase = angle - self.crest(radius)
        patchy = _looked_up(self.texture, phase, np.log(radius))
        inside = 1 / (1 + np.exp(-(radius - np.float32(0.85 * self.begin)) * np.float32(7 / self.begin)))
        ridge = np.exp(self.narrow * (np.cos(self.count * phase) - 1))
        behind = phase + np.sign(self.winding) * np.float32(0.5 / self.count)
        lane = np.exp(3 * self.narrow * (np.cos(self.count * behind) - 1))
        return inside * patchy * (ridge + np.float32(0.12)), inside * lane * np.sqrt(patchy)


def _texture(rng: np.random.Generator, angles: int = 96, depths: int = 48) -> Floats:
    """Patches of mean 1, long along the arms, periodic: `(depths, angles)`."""
    from scipy.ndimage import gaussian_filter

    coarse, fine = (
        gaussian_filter(rng.standard_normal((depths, angles), dtype=np.float32), sigma, mode="wrap")
        for sigma in ((1.2, 5.0), (0.7, 1.4))
    )
    patches = np.exp(0.55 * coarse / coarse.std() + 0.45 * fine / fine.std())
    return patches / patches.mean()


def _looked_up(texture: Floats, phase: Floats, depth: Floats) -> Floats:
    """The texture at some phases and depths, between its points along straight lines."""
    depths, angles = texture.shape
    column = np.mod(phase, np.float32(2 * np.pi)) * np.float32(angles / (2 * np.pi))
    row = np.mod(depth * 14, depths)
    i, j = row.astype(np.int32), column.astype(np.int32)
    v, u = row - i, column - j
    flat = texture.ravel()
    i, below = (i % depths) * angles, ((i + 1) % depths) * angles
    j, right = j % angles, (j + 1) % angles
    upper = flat[i + j] * (1 - u) + flat[i + right] * u
    lower = flat[below + j] * (1 - u) + flat[below + right] * u
    return upper * (1 - v) + lower * v


# Points -----------------------------------------------------------------------------------------------------------


def _points(x: Floats, y: Floats, width: Floats, light: Floats, size: int) -> Floats:
    """Round spots: `x` to the right and `y` down in sides of the picture, `width` in pixels, `light` `(n, 3)`."""
    pixel = np.arange(size, dtype=np.float32) + 0.5
    down, across = (np.exp(-0.5 * ((pixel - size * place[:, None]) / width[:, None]) ** 2) for place in (y, x))
    light = light / (2 * np.pi * width[:, None] ** 2)
    return ((light.T[:, None, :] * down.T) @ across).astype(np.float32)


def _knots(galaxy: Galaxy, arms: _Arms, turn: float, size: int, rng: np.random.Generator) -> Floats:
    """Clusters of young stars along the arms, some of them in glowing hydrogen."""
    n = int(rng.poisson(35 * arms.strength / 1.6))
    radius = (arms.begin + rng.gamma(2.0, 0.6, n)).astype(np.float32)
    arm = rng.integers(arms.count, size=n) * (2 * np.pi / arms.count)
    angle = arms.crest(radius) + arm + rng.normal(0, 0.16, n) + turn
    x, y = radius * np.cos(angle), radius * np.sin(angle) * galaxy.axis_ratio
    cos, sin = np.cos(galaxy.position_angle), np.sin(galaxy.position_angle)
    right, up = (cos * x - sin * y) * galaxy.radius, (sin * x + cos * y) * galaxy.radius
    pixel = size / USUAL
    light = rng.pareto(1.6, n).clip(0.1, 6) * 4.0 * np.exp(-0.5 * radius) * pixel**2
    colour = np.where(rng.random(n)[:, None] < 0.35, GLOW, YOUNG)
    width = rng.uniform(0.6, 1.3, n) * max(pixel, 0.5)
    place = (0.5 + right).astype(np.float32), (0.5 - up).astype(np.float32)
    return _points(*place, width.astype(np.float32), (light[:, None] * colour).astype(np.float32), size)


def _neighbours(size: int, rng: np.random.Generator) -> Floats:
    """Small faint galaxies far behind, as round spots of some pixels."""
    n, pixel = int(rng.poisson(4)), size / USUAL
    light = rng.pareto(1.4, n).clip(0.1, 5) * 2.2 * pixel**2
    redness = rng.uniform(0, 1, n)[:, None]
    colour = redness * OLD + (1 - redness) * DISC
    width = (rng.uniform(0.8, 1.8, n) * max(pixel, 0.5)).astype(np.float32)
    x, y = rng.random((2, n), dtype=np.float32)
    return _points(x, y, width, (light[:, None] * colour).astype(np.float32), size)


def _stars(size: int, rng: np.random.Generator) -> Floats:
    """Stars of our own galaxy: their number falls as a power of their light, and they are blue to red."""
    n, pixel = int(rng.poisson(3.5)), size / USUAL
    light = rng.pareto(0.9, n).clip(0.1, 60) * 5.0 * pixel**2
    tilt = rng.normal(0, 0.22, n)[:, None]
    colour = np.exp(tilt * np.array((1, 0, -1)))
    width = np.full(n, 0.5 * max(pixel, 0.8), np.float32)
    x, y = rng.random((2, n), dtype=np.float32)
    return _points(x, y, width, (light[:, None] * colour).astype(np.float32), size)


# What becomes of it -----------------------------------------------------------------------------------------------


def _seen(light: Floats, size: int, rng: np.random.Generator) -> Floats:
    """Blurred by the air, with wings, and then noisy: of the sky everywhere, of the light where it is bright."""
    from scipy.ndimage import gaussian_filter

    pixel = size / USUAL
    seeing = rng.uniform(0.7, 1.2) * pixel
    core = gaussian_filter(light, (0, seeing, seeing), mode="nearest", truncate=3)
    wings = gaussian_filter(core, (0, 2 * seeing, 2 * seeing), mode="nearest", truncate=2.5)
    blurred = 0.85 * core + 0.15 * wings
    sky = rng.uniform(0.012, 0.035)
    deviation = pixel * np.sqrt(sky**2 + 0.0015 * blurred.clip(0))
    return blurred + deviation * rng.standard_normal(light.shape, dtype=np.float32)


def _developed(light: Floats) -> NDArray[np.uint8]:
    """An arcsinh stretch that keeps colours, with a soft shoulder in the place of white, on a dark sky."""
    intensity = light.mean(0)
    stretched = np.arcsinh(9 * np.abs(intensity)) / 3.6
    factor = stretched / np.maximum(np.abs(intensity), 1e-6)
    colour = light * factor
    white = colour / (1 + np.abs(colour) ** 3) ** np.float32(1 / 3)
    return (255 * (0.035 + 0.965 * white)).clip(0, 255).round().astype(np.uint8)
