"""Cubic splines: ``circular_motion_blur`` and ``transverse_chromatic_abberation``.

Source: facebookresearch/augmentation-corruption, ``imagenet_c_bar/corrupt.py`` (Mintun et al. 2021, MIT), which calls
SciPy's ``rotate`` and ``zoom``: cubic B-splines, mirrored at the edges, black outside. Names keep the published
spelling.
"""

from __future__ import annotations

import math
from itertools import permutations
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from robench.compiled import compiled
from robench.corruptions._drawn import drawn, to_byte
from robench.corruptions._pool import Image, map_images
from robench.corruptions.random import Stream

TURNS = 21
ORDERS = tuple(permutations(range(3)))
_FULL = np.float32(255)


def circular_motion_blur(images: torch.Tensor, params: tuple[float], stream: Stream) -> torch.Tensor:
    """Average 21 turned copies of the image, those that are turned least with the largest weight.

    Args:
        images: uint8 (N, 3, H, W).
        params: (strength,): the image is turned by up to 1.5 degrees times it, both ways.
        stream: not used: nothing is drawn.

    Returns:
        uint8 (N, 3, H, W), truncated.
    """
    from scipy.ndimage import spline_filter

    places = 2 * np.arange(TURNS) / (TURNS - 1) - 1
    angles = np.radians(places * (params[0] * 15 / 10))
    shares = np.exp(-2 * places**2)

    def blur(image: Image, row: int) -> Image:
        planes = image.astype(np.float32) / _FULL
        # The splines' coefficients are the same for every turn.
        knots = np.stack([spline_filter(planes[..., channel], order=3) for channel in range(3)], axis=2)
        out = np.empty_like(image)
        _average_turns(knots, angles, shares.astype(np.float32), np.float32(sum(shares)), out)
        return out

    return map_images(blur, images)


def transverse_chromatic_abberation(images: torch.Tensor, params: tuple[float], stream: Stream) -> torch.Tensor:
    """Enlarge one channel, and a second one by half as much, about the middle.

    All three are slightly blurred: they are taken for a spline's coefficients, as published.

    Args:
        images: uint8 (N, 3, H, W).
        params: (strength,): the enlargement is 1 plus 0.05 times it.
        stream: draw 0: which channel is enlarged how.

    Returns:
        uint8 (N, 3, H, W), rounded.
    """
    height, width = images.shape[-2:]
    strength = params[0] * 0.5 / 10
    u = drawn(stream, 0, 1)
    reads = [(*_zoomed(height, scale), *_zoomed(width, scale)) for scale in (1.0, 1.0 + strength / 2, 1.0 + strength)]

    def enlarge(image: Image, row: int) -> Image:
        out = np.empty_like(image)
        for channel, chosen in enumerate(ORDERS[int(len(ORDERS) * u[row, 0])]):
            _read_plane(image, channel, *reads[chosen], out)
        return out

    return map_images(enlarge, images)


def _zoomed(length: int, scale: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return which four pixels each of the middle pixels of an enlarged row reads, int64 (n, 4), and their weights."""
    whole = round(length * scale)
    step = (length - 1) / (whole - 1)
    places = np.minimum((np.arange(length) + (whole - length) // 2) * step, length - 1)
    first = np.floor(places).astype(np.int64)
    reads = first[:, None] + np.arange(-1, 3)
    period = 2 * (length - 1)
    reads = np.abs(reads) % period
    return np.where(reads >= length, period - reads, reads), np.array([_weights(t) for t in places - first])


@compiled(inline="always")
def _weights(t: Any) -> Any:
    """Return the four cubic B-splines at a place between two pixels, in [0, 1)."""
    s = 1.0 - t
    first = s * s * s / 6.0
    second = (t * t * (t - 2.0) * 3.0 + 4.0) / 6.0
    third = (s * s * (s - 2.0) * 3.0 + 4.0) / 6.0
    return first, second, third, 1.0 - first - second - third


@compiled(inline="always")
def _mirrored(place: Any, length: Any) -> Any:
    period = 2 * (length - 1)
    place = abs(place) % period
    return period - place if place >= length else place


@compiled(nogil=True)
def _average_turns(knots: Any, angles: Any, shares: Any, total: Any, out: Any) -> None:
    height, width, channels = knots.shape
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
    sums = np.zeros((height, width, channels), np.float32)
    columns = np.empty(4, np.int64)
    for turn in range(len(angles)):
        cosine, sine = math.cos(angles[turn]), math.sin(angles[turn])
        shift_y = middle_y - (cosine * middle_y + sine * middle_x)
        shift_x = middle_x - (cosine * middle_x - sine * middle_y)
        for y in range(height):
            for x in range(width):
                from_y, from_x = cosine * y + sine * x + shift_y, cosine * x - sine * y + shift_x
                if from_y < 0 or from_x < 0 or from_y > height - 1 or from_x > width - 1:
                    continue
                top, left = math.floor(from_y), math.floor(from_x)
                rows, weights = _weights(from_y - top), _weights(from_x - left)
                for i in range(4):
                    columns[i] = _mirrored(left - 1 + i, width)
                for channel in range(channels):
                    value = 0.0
                    for j in range(4):
                        row = _mirrored(top - 1 + j, height)
                        for i in range(4):
                            value += knots[row, columns[i], channel] * rows[j] * weights[i]
                    sums[y, x, channel] += shares[turn] * np.float32(value)
    for y in range(height):
        for x in range(width):
            for channel in range(channels):
                mean = np.float32(np.float32(sums[y, x, channel] / total) * np.float32(255))
                out[y, x, channel] = to_byte(float(mean))


@compiled(nogil=True)
def _read_plane(
    image: Any, channel: Any, rows: Any, row_weights: Any, columns: Any, column_weights: Any, out: Any
) -> None:
    for y in range(len(rows)):
        for x in range(len(columns)):
            value = 0.0
            for j in range(4):
                for i in range(4):
                    pixel = float(image[rows[y, j], columns[x, i], channel])
                    value += pixel * row_weights[y, j] * column_weights[x, i]
            out[y, x, channel] = np.uint8(min(max(value + 0.5, 0.0), 255.0))
