"""Five textures of frost, drawn by rule: ice on glass, a white crust of needles (twice), hoar, and fern frost.

Each is drawn from fractal noise and from crystals as anti-aliased lines, lit from one side, and then brought to the
statistics of the photograph of its kind that the original generator lays over images (see
:mod:`robench.corruptions.frost_matching`), so that it is as hard for a network. A texture is the same on every machine
up to the last bit of a float.
"""

from __future__ import annotations

import math
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from robench.corruptions.frost_matching import known, match
from robench.corruptions.ice import (
    Plane,
    Size,
    blank,
    bundle,
    down,
    fan,
    fern,
    fractal,
    grain,
    lit,
    normal,
    number,
    soft,
    streaks,
    warped,
)

VERSION = 2
"""Raised when a texture changes; results record it."""

COUNT = 5
_KINDS = (0, 1, 1, 2, 3)  # the original's second and third image are one
# What coarse, middle and fine detail (periods of about 50, 15 and 5 pixels) are multiplied by in the end. Equal
# statistics do not make equally hard: networks erred up to 5 points more or less often under one of these textures than
# under the original (a ResNet-20 at 32 pixels, an EfficientNet-Lite0 at 224; benchmarks/frost.py).
_GAINS = ((0.6, 0.85, 1.0), (1.0, 1.0, 1.0), (1.0, 1.0, 1.1), (1.0, 1.1, 1.1), (1.3, 1.2, 0.8))
_SCALES = (8.0, 2.5, 0.8)  # standard deviations, in pixels, of the Gaussians between which the detail lies


@cache
def texture(number: int) -> npt.NDArray[np.uint8]:
    """Return texture 0 to 4, uint8 (H, W, 3), RGB, of the size of the original's image of that number."""
    wanted = known()[_KINDS[number]]
    rng = np.random.Generator(np.random.PCG64(20190328 + number))
    relief = (_glass, _crust, _hoar, _ferns)[_KINDS[number]](rng, wanted.size)
    tints = [grain(rng, wanted.size) + 0.5 * fractal(rng, wanted.size, 0.7) for _ in range(2)]
    drawn = normal(relief) + 0.1 * grain(rng, wanted.size)
    return _tempered(match([plane.astype(np.float32) for plane in (drawn, *tints)], wanted), _GAINS[number])


def _tempered(image: npt.NDArray[np.uint8], gains: tuple[float, float, float]) -> npt.NDArray[np.uint8]:
    """Return the image with its coarse, middle and fine detail multiplied."""
    detail = image.astype(np.float32)
    soft = [cv2.GaussianBlur(detail, (0, 0), sigma) for sigma in _SCALES]
    out = soft[0].astype(np.float32)
    for gain, coarse, fine in zip(gains, soft, [*soft[1:], detail], strict=True):
        out += gain * (fine - coarse)
    return np.clip(np.rint(out), 0, 255).astype(np.uint8)


def _glass(rng: np.random.Generator, size: Size) -> Plane:
    """Wavy ice over glass: fine crumpled ridges."""
    return lit(warped(rng, size, 1.0, 0.62)) + 0.4 * lit(warped(rng, size, 0.5, 0.85))


def _crust(rng: np.random.Generator, size: Size) -> Plane:
    """A white crust of needles that lie across each other."""
    canvas = blank(size)
    for _ in range(number(700, size)):
        bundle(rng, canvas)
    relief = soft(down(canvas), 0.8)
    return 0.8 * lit(relief + 0.4 * fractal(rng, size, 0.75)) + 0.6 * normal(relief) + 0.6 * fractal(rng, size, 0.6)


def _hoar(rng: np.random.Generator, size: Size) -> Plane:
    """Hoar of granules, in rows here and there, with fans of blades."""
    canvas = blank(size)
    for _ in range(number(330, size)):
        fan(rng, canvas)
    rows = streaks(rng, size, (2, 11)) + streaks(rng, size, (11, 2))
    noise = grain(rng, size)
    granules = normal(soft(noise, 0.7) - soft(noise, 2.5))
    blades = lit(soft(down(canvas), 0.7))
    return 0.35 * normal(rows) + 0.9 * granules + 0.7 * blades + 0.5 * fractal(rng, size, 0.5)


def _ferns(rng: np.random.Generator, size: Size) -> Plane:
    """Bright fern-like crystals on dark glass."""
    canvas = blank(size)
    for _ in range(number(620, size)):
        start = rng.random(2) * canvas.shape[::-1]
        fern(rng, canvas, start, rng.random() * 2 * math.pi, 20 + 95 * rng.random() ** 2, 2)
    crystals = soft(down(canvas), 0.6)
    rest = 0.55 * fractal(rng, size, 0.5) + 0.15 * grain(rng, size)
    return normal(crystals) + 0.55 * lit(crystals) + rest
