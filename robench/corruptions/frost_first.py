"""The first frost textures, which the protocols of the embedded digits keep: their numbers stay comparable.

Each is made of fractal noise and of crystals drawn as anti-aliased lines, lit from one side, and brought to the mean
colour and contrast of the kind of image that the original generator lays over images. Other sets take
:mod:`robench.corruptions.frost_textures`.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import numpy.typing as npt

from robench.corruptions.ice import (
    OVERDRAW,
    Plane,
    blank,
    bundle,
    down,
    fan,
    fern,
    fractal,
    grain,
    lit,
    normal,
    soft,
    streaks,
    warped,
)

VERSION = 1
"""Results record it."""

COUNT = 5
SIZE = (360, 560)
Colour = tuple[float, float, float]


@cache
def texture(number: int) -> npt.NDArray[np.uint8]:
    """Return texture 0 to 4, uint8 (360, 560, 3), RGB."""
    makers = (_glass, _crust, _crust, _hoar, _ferns)
    rng = np.random.Generator(np.random.PCG64(20190328 + number))
    return makers[number](rng)


def _glass(rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Wavy ice over teal glass: low contrast, fine crumpled ridges, broad patches of grey."""
    ridges = lit(warped(rng, SIZE, 1.0, 0.62)) + 0.4 * lit(warped(rng, SIZE, 0.5, 0.85))
    patches = fractal(rng, SIZE, 0.45)
    cold, pale = np.array([60.0, 150.0, 175.0]), np.array([115.0, 147.0, 150.0])
    share = np.clip(0.35 + 0.28 * patches, 0, 1)[..., None]
    return _finish(cold * (1 - share) + pale * share, 0.6 * ridges + 0.6 * patches, 18.0, (77.7, 149.1, 165.7))


def _crust(rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """A white crust of needles that lie across each other."""
    canvas = blank(SIZE)
    for _ in range(700):
        bundle(rng, canvas)
    relief = down(canvas)
    relief = soft(relief, 0.8)
    relief = 0.8 * lit(relief + 0.4 * fractal(rng, SIZE, 0.75)) + 0.6 * normal(relief) + 0.6 * fractal(rng, SIZE, 0.6)
    # Light is scarce only in the gaps: the histogram leans to the white side.
    relief = -np.log1p(np.exp(-1.3 * normal(relief)))
    return _finish(np.array([201.0, 205.0, 214.0]), relief + 0.10 * grain(rng, SIZE), 22.0, (200.8, 205.4, 214.5))


def _hoar(rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Grey hoar with rows of granules and a few fans of blades."""
    canvas = blank(SIZE)
    for _ in range(260):
        fan(rng, canvas)
    strokes = streaks(rng, SIZE, (2, 11)) + streaks(rng, SIZE, (11, 2)) + 0.2 * grain(rng, SIZE)
    light = np.linspace(1.0, -0.8, SIZE[0], dtype=np.float32)[:, None]
    relief = 0.8 * normal(strokes) + 0.8 * lit(soft(down(canvas), 0.7)) + 0.5 * fractal(rng, SIZE, 0.5) + 0.5 * light
    return _finish(np.array([138.0, 153.0, 165.0]), relief, 29.0, (137.6, 152.8, 165.2))


def _ferns(rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Bright fern-like crystals on dark glass."""
    canvas = blank(SIZE)
    for _ in range(620):
        start = rng.random(2) * (SIZE[1] * OVERDRAW, SIZE[0] * OVERDRAW)
        fern(rng, canvas, start, rng.random() * 2 * math.pi, 20 + 95 * rng.random() ** 2, 2)
    crystals = soft(down(canvas), 0.6)
    dark_below = np.linspace(0.7, -0.5, SIZE[0], dtype=np.float32)[:, None]
    relief = (
        normal(crystals) + 0.55 * lit(crystals) + 0.55 * fractal(rng, SIZE, 0.5) + dark_below + 0.15 * grain(rng, SIZE)
    )
    relief = np.exp(0.35 * normal(relief))
    return _finish(np.array([112.0, 123.0, 135.0]), relief, 43.0, (112.4, 123.4, 134.8))


def _finish(base: npt.NDArray[np.floating], relief: Plane, contrast: float, colour: Colour) -> npt.NDArray[np.uint8]:
    """Shade ``base`` by the relief, with this standard deviation and mean colour."""
    shaded = base + contrast * normal(relief)[..., None]
    shaded = shaded + np.array(colour) - shaded.mean(axis=(0, 1))
    return np.clip(np.rint(shaded), 0, 255).astype(np.uint8)
