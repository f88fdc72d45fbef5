"""``sparkles`` and ``inverse_sparkles``: stars with rays of uneven lengths, and a tunnel of the same kind.

Source: facebookresearch/augmentation-corruption, ``imagenet_c_bar/corrupt.py`` (Mintun et al. 2021, MIT).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from robench.compiled import compiled
from robench.corruptions._drawn import drawn, to_byte
from robench.corruptions._pool import Image, map_images
from robench.corruptions.random import Stream

STARS = 5
RAYS = (50, 200)
_UNEVENNESS = 0.25  # standard deviation of a ray's length in radii


def sparkles(images: torch.Tensor, params: tuple[float], stream: Stream) -> torch.Tensor:
    """Lay five white stars over the image.

    Args:
        images: uint8 (N, 3, H, W).
        params: (strength,): the radius is a hundredth of the side times it; rays are of one pixel at least.
        stream: draw 0: the stars' rows and columns, then their numbers of rays (50 to 199); draw 1, normal: the rays.

    Returns:
        uint8 (N, 3, H, W), truncated.
    """
    height, width = images.shape[-2:]
    u = drawn(stream, 0, 3 * STARS)
    radius = params[0] * 0.1 / 10 * min(height, width)

    def lay(image: Image, row: int) -> Image:
        centres = u[row, : 2 * STARS].reshape(STARS, 2) * (height, width)
        rays = ray_counts(u[row, 2 * STARS :])
        lengths = np.maximum(1, ray_lengths(stream, row, radius, STARS))
        out = np.empty_like(image)
        _lay_stars(image, centres, rays, lengths, out)
        return out

    return map_images(lay, images)


def inverse_sparkles(images: torch.Tensor, params: tuple[float], stream: Stream) -> torch.Tensor:
    """Lay white over all but the inside of one star.

    Args:
        images: uint8 (N, 3, H, W).
        params: (strength,): how steeply the image fades beyond the rays, which are about a quarter of the side long.
        stream: draw 0: the centre's row and column, between a quarter and three quarters of the image, and the number
            of rays (50 to 199); draw 1, normal: the rays.

    Returns:
        uint8 (N, 3, H, W), truncated.
    """
    height, width = images.shape[-2:]
    u = drawn(stream, 0, 3)
    steepness = (100 - (100 - params[0] * 65 / 10)) / 50

    def fade(image: Image, row: int) -> Image:
        down, across = (0.25 + 0.5 * u[row, 0]) * height, (0.25 + 0.5 * u[row, 1]) * width
        lengths = ray_lengths(stream, row, 0.25 * min(height, width), 1)[0]
        out = np.empty_like(image)
        _fade_outside(image, down, across, int(ray_counts(u[row, 2:])[0]), lengths, steepness, out)
        return out

    return map_images(fade, images)


def ray_counts(u: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return whole numbers from 50 to 199 for numbers in [0, 1)."""
    return (RAYS[0] + u * (RAYS[1] - RAYS[0])).astype(np.int64)


def ray_lengths(stream: Stream, row: int, radius: float, stars: int) -> npt.NDArray[np.float64]:
    """Return the lengths of rays in pixels, float64 (stars, 199), of which a star uses the first ones."""
    noise = stream.row_normal(row, 1, (stars, RAYS[1] - 1)).astype(np.float64)
    return np.asarray(radius + _UNEVENNESS * radius * noise)


@compiled(inline="always", error_model="numpy")
def _light(dy: Any, dx: Any, rays: Any, lengths: Any, steepness: Any) -> Any:
    """Return how bright a star is at a place beside its centre, in [0, 1]."""
    turn = (math.atan2(dx, dy) + math.pi) / (2 * math.pi) * rays
    ray = int(turn)
    part = turn - ray
    length, following = lengths[ray % rays], lengths[(ray + 1) % rays]
    length = length + part * (following - length)
    strength = length * length / (dy * dy + dx * dx + 1e-4)
    if steepness != 1.0:
        strength = strength**steepness
    part -= 0.5
    return min(max((1 - part * part) * strength, 0.0), 1.0)


@compiled(nogil=True, error_model="numpy")
def _lay_stars(image: Any, centres: Any, rays: Any, lengths: Any, out: Any) -> None:
    height, width, channels = image.shape
    lights = np.empty(len(centres))
    for y in range(height):
        for x in range(width):
            for star in range(len(centres)):
                lights[star] = _light(y - centres[star, 0], x - centres[star, 1], rays[star], lengths[star], 1.0)
            for channel in range(channels):
                value = float(image[y, x, channel])
                for star in range(len(centres)):
                    value = float(np.float32(value))  # as there, between two stars
                    value += lights[star] * (255 - value)
                out[y, x, channel] = to_byte(value)


@compiled(nogil=True, error_model="numpy")
def _fade_outside(image: Any, down: Any, across: Any, rays: Any, lengths: Any, steepness: Any, out: Any) -> None:
    height, width, channels = image.shape
    for y in range(height):
        for x in range(width):
            light = _light(y - down, x - across, rays, lengths, steepness)
            for channel in range(channels):
                out[y, x, channel] = to_byte(255 + light * (float(image[y, x, channel]) - 255))
