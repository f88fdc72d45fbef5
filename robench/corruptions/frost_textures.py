"""Five textures of frost, drawn by rule: ice on glass, a white crust of needles (twice), hoar, and fern frost.

Each is made of fractal noise and of crystals drawn as anti-aliased lines, lit from one side, and brought to the mean
colour and contrast of the kind of image that the original generator lays over images. A texture is the same on
every machine up to the last bit of a float.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

VERSION = 1
"""Raised when a texture changes; results record it."""

HEIGHT, WIDTH = 360, 560
Plane = npt.NDArray[np.floating[Any]]
Colour = tuple[float, float, float]
_OVERDRAW = 2  # crystals are drawn this much larger and averaged down, so that their edges are soft


@cache
def texture(number: int) -> npt.NDArray[np.uint8]:
    """Return texture 0 to 4, uint8 (360, 560, 3), RGB."""
    makers = (_glass, _crust, _crust, _hoar, _ferns)
    rng = np.random.Generator(np.random.PCG64(20190328 + number))
    return makers[number](rng)


def _glass(rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Wavy ice over teal glass: low contrast, fine crumpled ridges, broad patches of grey."""
    ridges = _lit(_warped(rng, 1.0, 0.62)) + 0.4 * _lit(_warped(rng, 0.5, 0.85))
    patches = _fractal(rng, 0.45)
    cold, pale = np.array([60.0, 150.0, 175.0]), np.array([115.0, 147.0, 150.0])
    share = np.clip(0.35 + 0.28 * patches, 0, 1)[..., None]
    return _finish(cold * (1 - share) + pale * share, 0.6 * ridges + 0.6 * patches, 18.0, (77.7, 149.1, 165.7))


def _crust(rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """A white crust of needles that lie across each other."""
    canvas = _blank()
    for _ in range(700):
        _bundle(rng, canvas)
    relief = _down(canvas)
    relief = _soft(relief, 0.8)
    relief = 0.8 * _lit(relief + 0.4 * _fractal(rng, 0.75)) + 0.6 * _normal(relief) + 0.6 * _fractal(rng, 0.6)
    # Light is scarce only in the gaps: the histogram leans to the white side.
    relief = -np.log1p(np.exp(-1.3 * _normal(relief)))
    return _finish(np.array([201.0, 205.0, 214.0]), relief + 0.10 * _grain(rng), 22.0, (200.8, 205.4, 214.5))


def _hoar(rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Grey hoar with rows of granules and a few fans of blades."""
    canvas = _blank()
    for _ in range(260):
        _fan(rng, canvas)
    strokes = _streaks(rng, (2, 11)) + _streaks(rng, (11, 2)) + 0.2 * _grain(rng)
    light = np.linspace(1.0, -0.8, HEIGHT, dtype=np.float32)[:, None]
    relief = 0.8 * _normal(strokes) + 0.8 * _lit(_soft(_down(canvas), 0.7)) + 0.5 * _fractal(rng, 0.5) + 0.5 * light
    return _finish(np.array([138.0, 153.0, 165.0]), relief, 29.0, (137.6, 152.8, 165.2))


def _ferns(rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Bright fern-like crystals on dark glass."""
    canvas = _blank()
    for _ in range(620):
        start = rng.random(2) * (WIDTH * _OVERDRAW, HEIGHT * _OVERDRAW)
        _fern(rng, canvas, start, rng.random() * 2 * math.pi, 20 + 95 * rng.random() ** 2, 2)
    crystals = _soft(_down(canvas), 0.6)
    dark_below = np.linspace(0.7, -0.5, HEIGHT, dtype=np.float32)[:, None]
    relief = _normal(crystals) + 0.55 * _lit(crystals) + 0.55 * _fractal(rng, 0.5) + dark_below + 0.15 * _grain(rng)
    relief = np.exp(0.35 * _normal(relief))
    return _finish(np.array([112.0, 123.0, 135.0]), relief, 43.0, (112.4, 123.4, 134.8))


def _fern(
    rng: np.random.Generator, canvas: Plane, start: npt.NDArray[np.float64], angle: float, length: float, depth: int
) -> None:
    """Draw a stem that bends a little, with leaves at 60 degrees on both sides that shrink towards its tip."""
    bend = rng.normal(0, 0.004)
    steps = max(int(length / 7), 2)
    point = start
    for step in range(steps):
        angle += bend * 7
        following = point + 7 * np.array([math.cos(angle), math.sin(angle)])
        _line(canvas, point, following, 2 if depth == 2 else 1, 0.55 + 0.45 * rng.random())
        leaf = 0.42 * length * (1 - step / steps) * (0.6 + 0.4 * rng.random())
        if depth and leaf > 4:
            for side in (-1, 1):
                _fern(rng, canvas, following, angle + side * (math.pi / 3 + rng.normal(0, 0.08)), leaf, depth - 1)
        point = following


def _bundle(rng: np.random.Generator, canvas: Plane) -> None:
    """Draw a bundle of nearly parallel needles."""
    centre = rng.random(2) * canvas.shape[::-1]
    angle = rng.random() * math.pi
    for _ in range(int(rng.integers(3, 12))):
        turn = angle + rng.normal(0, 0.12)
        along = np.array([math.cos(turn), math.sin(turn)])
        begin = centre + rng.normal(0, 11, 2)
        end = begin + along * (20 + 90 * rng.random())
        _line(canvas, begin, end, int(rng.integers(1, 4)), 0.25 + 0.75 * rng.random())


def _fan(rng: np.random.Generator, canvas: Plane) -> None:
    """Draw blades that part from one point."""
    centre = rng.random(2) * canvas.shape[::-1]
    angle, spread, reach = rng.random() * 2 * math.pi, 0.6 + 2 * rng.random(), 14 + 34 * rng.random()
    for _ in range(int(rng.integers(6, 16))):
        turn = angle + spread * (rng.random() - 0.5)
        end = centre + reach * (0.6 + 0.4 * rng.random()) * np.array([math.cos(turn), math.sin(turn)])
        _line(canvas, centre, end, int(rng.integers(2, 6)), 0.3 + 0.9 * rng.random())


def _line(
    canvas: Plane, begin: npt.NDArray[np.float64], end: npt.NDArray[np.float64], thickness: int, height: float
) -> None:
    first, last = (tuple(int(v) for v in point) for point in (begin, end))
    cv2.line(canvas, first, last, float(height), thickness)  # the later crystal lies on top


def _blank() -> Plane:
    return np.zeros((HEIGHT * _OVERDRAW, WIDTH * _OVERDRAW), np.float32)


def _soft(plane: Plane, sigma: float) -> Plane:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.float32)


def _streaks(rng: np.random.Generator, box: tuple[int, int]) -> Plane:
    return np.asarray(cv2.blur(_grain(rng), box), np.float32)


def _down(canvas: Plane) -> Plane:
    return cv2.resize(canvas, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA).astype(np.float32)


def _fractal(rng: np.random.Generator, persistence: float) -> Plane:
    """Return octaves of smooth noise, each finer one weaker by ``persistence``, standardised."""
    weight, cells = 1.0, 3
    total: Plane = np.zeros((HEIGHT, WIDTH), np.float32)
    while cells < HEIGHT // 2:
        coarse = rng.standard_normal((cells + 2, cells * 2 + 2)).astype(np.float32)
        total += weight * cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        weight, cells = weight * persistence, cells * 2
    return _normal(total)


def _warped(rng: np.random.Generator, strength: float, persistence: float) -> Plane:
    """Return ridged noise whose coordinates other noise has bent: folds like crumpled foil."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    dx, dy = (18 * strength * _fractal(rng, 0.5) for _ in range(2))
    folds = 1.5 - np.abs(_fractal(rng, persistence)) - 0.6 * np.abs(_fractal(rng, persistence))
    return cv2.remap(folds, x + dx, y + dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT).astype(np.float32)


def _grain(rng: np.random.Generator) -> Plane:
    return rng.standard_normal((HEIGHT, WIDTH)).astype(np.float32)


def _lit(relief: Plane) -> Plane:
    """Return the relief's slope towards a lamp at the upper left, standardised."""
    down, right = np.gradient(relief)
    slope: Plane = np.add(down, right, dtype=np.float32)
    return _normal(slope)


def _normal(plane: Plane) -> Plane:
    return ((plane - plane.mean()) / plane.std()).astype(np.float32)


def _finish(base: npt.NDArray[np.floating], relief: Plane, contrast: float, colour: Colour) -> npt.NDArray[np.uint8]:
    """Shade ``base`` by the relief, with this standard deviation and mean colour."""
    shaded = base + contrast * _normal(relief)[..., None]
    shaded = shaded + np.array(colour) - shaded.mean(axis=(0, 1))
    return np.clip(np.rint(shaded), 0, 255).astype(np.uint8)
