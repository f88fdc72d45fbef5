"""What frost textures are drawn with: crystals as anti-aliased lines, noise, and light from one side."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.floating[Any]]
Size = tuple[int, int]
OVERDRAW = 2  # crystals are drawn this much larger and averaged down, so that their edges are soft
AREA = 360 * 560  # pixels that the numbers of crystals are for


def number(count: int, size: Size) -> int:
    """Return how many crystals there are at this size."""
    return count * size[0] * size[1] // AREA


def fern(
    rng: np.random.Generator, canvas: Plane, start: npt.NDArray[np.float64], angle: float, length: float, depth: int
) -> None:
    """Draw a stem that bends a little, with leaves at 60 degrees on both sides that shrink towards its tip."""
    bend = rng.normal(0, 0.004)
    steps = max(int(length / 7), 2)
    point = start
    for step in range(steps):
        angle += bend * 7
        following = point + 7 * np.array([math.cos(angle), math.sin(angle)])
        line(canvas, point, following, 2 if depth == 2 else 1, 0.55 + 0.45 * rng.random())
        leaf = 0.42 * length * (1 - step / steps) * (0.6 + 0.4 * rng.random())
        if depth and leaf > 4:
            for side in (-1, 1):
                fern(rng, canvas, following, angle + side * (math.pi / 3 + rng.normal(0, 0.08)), leaf, depth - 1)
        point = following


def bundle(rng: np.random.Generator, canvas: Plane) -> None:
    """Draw a bundle of nearly parallel needles."""
    centre = rng.random(2) * canvas.shape[::-1]
    angle = rng.random() * math.pi
    for _ in range(int(rng.integers(3, 12))):
        turn = angle + rng.normal(0, 0.12)
        along = np.array([math.cos(turn), math.sin(turn)])
        begin = centre + rng.normal(0, 11, 2)
        end = begin + along * (20 + 90 * rng.random())
        line(canvas, begin, end, int(rng.integers(1, 4)), 0.25 + 0.75 * rng.random())


def fan(rng: np.random.Generator, canvas: Plane) -> None:
    """Draw blades that part from one point."""
    centre = rng.random(2) * canvas.shape[::-1]
    angle, spread, reach = rng.random() * 2 * math.pi, 0.6 + 2 * rng.random(), 14 + 34 * rng.random()
    for _ in range(int(rng.integers(6, 16))):
        turn = angle + spread * (rng.random() - 0.5)
        end = centre + reach * (0.6 + 0.4 * rng.random()) * np.array([math.cos(turn), math.sin(turn)])
        line(canvas, centre, end, int(rng.integers(2, 6)), 0.3 + 0.9 * rng.random())


def line(
    canvas: Plane, begin: npt.NDArray[np.float64], end: npt.NDArray[np.float64], thickness: int, height: float
) -> None:
    """Draw one crystal: the later one lies on top."""
    first, last = (tuple(int(v) for v in point) for point in (begin, end))
    cv2.line(canvas, first, last, float(height), thickness)  # the later crystal lies on top


def blank(size: Size) -> Plane:
    """Return an empty canvas to draw crystals on."""
    return np.zeros((size[0] * OVERDRAW, size[1] * OVERDRAW), np.float32)


def soft(plane: Plane, sigma: float) -> Plane:
    """Return the plane blurred."""
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.float32)


def streaks(rng: np.random.Generator, size: Size, box: tuple[int, int]) -> Plane:
    """Return noise averaged over boxes of this width and height."""
    return np.asarray(cv2.blur(grain(rng, size), box), np.float32)


def down(canvas: Plane) -> Plane:
    """Return a canvas at the size of its texture."""
    height, width = canvas.shape[0] // OVERDRAW, canvas.shape[1] // OVERDRAW
    return cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)


def fractal(rng: np.random.Generator, size: Size, persistence: float) -> Plane:
    """Return octaves of smooth noise, each finer one weaker by ``persistence``, standardised."""
    weight, cells = 1.0, 3
    total: Plane = np.zeros(size, np.float32)
    while cells < size[0] // 2:
        coarse = rng.standard_normal((cells + 2, cells * 2 + 2)).astype(np.float32)
        total += weight * cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)
        weight, cells = weight * persistence, cells * 2
    return normal(total)


def warped(rng: np.random.Generator, size: Size, strength: float, persistence: float) -> Plane:
    """Return ridged noise whose coordinates other noise has bent: folds like crumpled foil."""
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    dx, dy = (18 * strength * fractal(rng, size, 0.5) for _ in range(2))
    folds = 1.5 - np.abs(fractal(rng, size, persistence)) - 0.6 * np.abs(fractal(rng, size, persistence))
    return cv2.remap(folds, x + dx, y + dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT).astype(np.float32)


def grain(rng: np.random.Generator, size: Size) -> Plane:
    """Return standard normal noise."""
    return rng.standard_normal(size).astype(np.float32)


def lit(relief: Plane) -> Plane:
    """Return the relief's slope towards a lamp at the upper left, standardised."""
    down, right = np.gradient(relief)
    slope: Plane = np.add(down, right, dtype=np.float32)
    return normal(slope)


def normal(plane: Plane) -> Plane:
    """Return the plane with mean 0 and standard deviation 1."""
    return ((plane - plane.mean()) / plane.std()).astype(np.float32)
