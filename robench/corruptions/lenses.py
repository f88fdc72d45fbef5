"""Warps: ``ripple``, ``pinch_and_twirl`` and ``caustic_refraction``.

Source: facebookresearch/augmentation-corruption, ``imagenet_c_bar/{corrupt,utils/image}.py`` (Mintun et al. 2021, MIT).
Where that computes in float32, so do the loops here: it decides on which side of a whole grey level a value falls.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from robench.compiled import compiled
from robench.corruptions._bilinear import bilinear, bilinear_single, inside
from robench.corruptions._drawn import drawn, to_byte
from robench.corruptions._pool import Image, map_images
from robench.corruptions.random import Stream

_LARGE = 224  # the side whose images have 5 x 5 twirls; others have 3 x 3
_REFRACTION = 4.0
_STRAIGHT = 1e-3
_TURN = 6.28318530718  # as published
_FULL = np.float32(255)


def ripple(images: torch.Tensor, params: tuple[float], stream: Stream) -> torch.Tensor:
    """Move rows and columns by a sine of their place.

    Args:
        images: uint8 (N, 3, H, W).
        params: (strength,): the amplitude is 0.0025 of the side times it.
        stream: draw 0: two wavelengths (0.1 to 0.3 of the side) and two phases, of rows and of columns.

    Returns:
        uint8 (N, 3, H, W), black where it reads from outside, truncated.
    """
    height, width = images.shape[-2:]
    side = min(height, width)
    u = drawn(stream, 0, 4)
    amplitude = params[0] * 0.025 / 10 * side

    def warp(image: Image, row: int) -> Image:
        moves = [
            np.arange(length) + amplitude * np.sin(2 * np.pi * np.arange(length) / wavelength + phase)
            for length, wavelength, phase in (
                (height, (0.1 + 0.2 * u[row, 0]) * side, 2 * np.pi * u[row, 2]),
                (width, (0.1 + 0.2 * u[row, 1]) * side, 2 * np.pi * u[row, 3]),
            )
        ]
        out = np.empty_like(image)
        _read_at(image, *moves, out)
        return out

    return map_images(warp, images)


def pinch_and_twirl(images: torch.Tensor, params: tuple[float], stream: Stream) -> torch.Tensor:
    """Pinch and twirl the image within discs on a grid: 5 x 5 at 224 pixels, else 3 x 3.

    Args:
        images: uint8 (N, 3, H, W).
        params: (strength,): the twirl is pi / 20 times it, in radians, and the pinch 0.04 times it, plus 0.1.
        stream: draw 0: the direction of each twirl.

    Returns:
        uint8 (N, 3, H, W), truncated.
    """
    side = min(images.shape[-2:])
    along = 5 if side == _LARGE else 3
    u = drawn(stream, 0, along * along)
    twirl, pinch = params[0] * (math.pi / 2) / 10, params[0] * 0.4 / 10 + 0.1

    def warp(image: Image, row: int) -> Image:
        angles = np.where(u[row] < 0.5, 1.0, -1.0).reshape(along, along) * twirl
        out = image.copy()
        _twirl(image, angles, side // along, pinch, out)
        return out

    return map_images(warp, images)


def caustic_refraction(images: torch.Tensor, params: tuple[float], stream: Stream) -> torch.Tensor:
    """Look at the image through a wavy surface of water, whose slopes bend the view and lighten or darken it.

    Args:
        images: uint8 (N, 3, H, W).
        params: (strength,): the view is moved by up to 0.05 of the side times it, and the light is 0.2 times it.
        stream: draw 0: time (0.5 to 2) and size (0.75 to 1.25 sides) of the waves.

    Returns:
        uint8 (N, 3, H, W), black where it reads from outside, truncated.
    """
    from scipy.ndimage import gaussian_filter

    height, width = images.shape[-2:]
    side = min(height, width)
    u = drawn(stream, 0, 2)
    reach, light = params[0] * (0.5 * side) / 10, params[0] * 2.0 / 10

    def refract(image: Image, row: int) -> Image:
        waves = np.empty((height, width))
        _caustics(0.5 + 1.5 * u[row, 0], (0.75 + 0.5 * u[row, 1]) * side, waves)
        out = np.empty_like(image)
        _refract(image.astype(np.float32) / _FULL, gaussian_filter(waves, sigma=1), reach, light, out)
        return out

    return map_images(refract, images)


@compiled(nogil=True)
def _read_at(image: Any, rows: Any, columns: Any, out: Any) -> None:
    for y in range(len(rows)):
        for x in range(len(columns)):
            for channel in range(image.shape[2]):
                out[y, x, channel] = to_byte(bilinear(image, rows[y], columns[x], channel))


@compiled(nogil=True)
def _twirl(image: Any, angles: Any, side: Any, pinch: Any, out: Any) -> None:
    """Write the twirled discs into a copy of the image; discs do not overlap, so that all read the image itself."""
    radius = side / 2
    for i in range(len(angles)):
        for j in range(len(angles)):
            middle_y, middle_x = j * side + radius, i * side + radius
            for y in range(j * side, (j + 1) * side):
                for x in range(i * side, (i + 1) * side):
                    dy, dx = y - middle_y, x - middle_x
                    distance = math.sqrt(dy * dy + dx * dx)
                    if distance > radius or round(distance, 3) == 0.0:
                        continue
                    part = distance / radius
                    grow = math.sin(math.pi * 0.5 * part) ** (-pinch)
                    angle = angles[i, j] * (1 - part) ** 2
                    cosine, sine = math.cos(angle), math.sin(angle)
                    dy, dx = dy * grow, dx * grow
                    from_y, from_x = middle_y + (dy * cosine - dx * sine), middle_x + (dy * sine + dx * cosine)
                    for channel in range(image.shape[2]):
                        if inside(image, from_y, from_x):
                            value = float(bilinear_single(image, from_y, from_x, channel))
                        else:
                            value = bilinear(image, from_y, from_x, channel)
                        out[y, x, channel] = to_byte(value)


@compiled(nogil=True, error_model="numpy")
def _caustics(time: Any, size: Any, out: Any) -> None:
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            down, across = ((y / size) % 1) * _TURN - 250, ((x / size) % 1) * _TURN - 250
            first, second = down, across
            total = 1.0
            for step in range(5):
                t = time * (1.0 - (3.5 / (step + 1)))
                moved = down + (math.cos(t - first) + math.sin(t + second))
                second = across + (math.sin(t - second) + math.cos(t + first))
                first = moved
                one, other = down / (math.sin(first + t) / 0.005), across / (math.cos(second + t) / 0.005)
                total += 1.0 / math.sqrt(one * one + other * other)
            out[y, x] = min(abs(1.17 - (total / 5.0) ** 1.4) ** 8.0, 1.0)


@compiled(inline="always")
def _wave_at(waves: Any, y: Any, x: Any) -> Any:
    return waves[y, x] if 0 <= y < waves.shape[0] and 0 <= x < waves.shape[1] else 0.0


@compiled(nogil=True)
def _bend(slope_y: Any, slope_x: Any) -> Any:
    """Return by how much a ray from straight above is moved for each unit of the normal's y and x.

    The normal is (slope_y, slope_x, 1), scaled to length 1; Snell's law gives the angle behind it.
    """
    height = 1.0 / math.sqrt(slope_y * slope_y + slope_x * slope_x + 1.0)
    if abs(height) >= 1.0 - _STRAIGHT:
        return 0.0
    tilt = math.sqrt(slope_y * slope_y + slope_x * slope_x) * height
    behind = math.asin(math.sin(math.acos(height)) / _REFRACTION)
    return height * (math.cos(behind) - math.sin(behind) * height / tilt)


@compiled(nogil=True)
def _refract(image: Any, waves: Any, reach: Any, light: Any, out: Any) -> None:
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            # North is a column to the left there, west a row above.
            north, south = _wave_at(waves, y, x - 1), _wave_at(waves, y, x + 1)
            west, east = _wave_at(waves, y - 1, x), _wave_at(waves, y + 1, x)
            bend = _bend(east - west, south - north)
            from_y = y + np.rint((east - west) * bend * reach * 1000.0) / 1000.0
            from_x = x + np.rint((south - north) * bend * reach * 1000.0) / 1000.0
            single = inside(image, from_y, from_x)
            for channel in range(image.shape[2]):
                if single:
                    shade = bilinear_single(image, from_y, from_x, channel)
                    shade = np.float32(shade + np.float32((north - south) * light))
                    value = float(np.float32(shade + np.float32((east - west) * light)))
                else:
                    value = bilinear(image, from_y, from_x, channel) + (north - south) * light
                    value += (east - west) * light
                out[y, x, channel] = to_byte(min(max(value, 0.0), 1.0) * 255)
