"""Sine waves and plasma over the image: ``single_frequency_greyscale``, ``cocentric_sine_waves``, ``plasma_noise``.

Source: facebookresearch/augmentation-corruption, ``imagenet_c_bar/corrupt.py`` (Mintun et al. 2021, MIT): its formulas
in loops of robench's own. Names keep the published spelling.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from robench.compiled import compiled
from robench.corruptions._drawn import drawn, to_byte
from robench.corruptions._pool import Image, map_images
from robench.corruptions.random import Stream


def single_frequency_greyscale(images: torch.Tensor, params: tuple[float], stream: Stream) -> torch.Tensor:
    """Add a plane sine wave, the same to every channel.

    Args:
        images: uint8 (N, 3, H, W).
        params: (strength,): the amplitude is 19.6 times it, in grey levels.
        stream: draw 0: one frequency in radians per pixel, in (-pi, pi); the other, at most as large; which is the
            columns'; the phase.

    Returns:
        uint8 (N, 3, H, W), truncated.
    """
    u = drawn(stream, 0, 4)
    amplitude = params[0] * 196 / 10

    def add(image: Image, row: int) -> Image:
        first = (2 * u[row, 0] - 1) * math.pi
        second = (2 * u[row, 1] - 1) * abs(first)
        across, down = (second, first) if u[row, 2] < 0.5 else (first, second)
        out = np.empty_like(image)
        _add_wave(image, across, down, 2 * math.pi * u[row, 3], amplitude, out)
        return out

    return map_images(add, images)


def cocentric_sine_waves(images: torch.Tensor, params: tuple[float], stream: Stream) -> torch.Tensor:
    """Add wavy rings about a point: brightness rises within each ring and falls at its edge.

    Args:
        images: uint8 (N, 3, H, W).
        params: (strength,): the rings' range is 12.8 times it, in grey levels.
        stream: draw 0: the centre's column and row, waves around it (0 to 10), their amplitude and the width of a ring
            (both up to a tenth of the side).

    Returns:
        uint8 (N, 3, H, W), truncated.
    """
    height, width = images.shape[-2:]
    side = min(height, width)
    u = drawn(stream, 0, 5)
    strength = params[0] * 128 / 10

    def add(image: Image, row: int) -> Image:
        out = np.empty_like(image)
        # 1 - u: no ring is of width 0
        widths = side / 10 * u[row, 3], side / 10 * (1 - u[row, 4])
        _add_rings(image, width * u[row, 0], height * u[row, 1], 10 * u[row, 2], *widths, strength, out)
        return out

    return map_images(add, images)


def plasma_noise(images: torch.Tensor, params: tuple[float], stream: Stream) -> torch.Tensor:
    """Mix in coloured plasma: sines of coordinates that other sines have moved several times.

    Args:
        images: uint8 (N, 3, H, W).
        params: (strength,): the plasma's amplitude is 6.4 times it, in grey levels, and the image loses as much.
        stream: draw 0: time (0 to 6 pi), moves (4 to 6), sharpness (0.5 to 1), scale (0.075 to 0.2 of the side).

    Returns:
        uint8 (N, 3, H, W), truncated.
    """
    side = min(images.shape[-2:])
    u = drawn(stream, 0, 4)
    amplitude = params[0] * 64 / 10

    def mix(image: Image, row: int) -> Image:
        time, moves = 6 * math.pi * u[row, 0], 4 + int(3 * u[row, 1])
        sharpness, scale = 0.5 + 0.5 * u[row, 2], (0.075 + 0.125 * u[row, 3]) * side
        out = np.empty_like(image)
        _mix_plasma(image, time, moves, sharpness, scale, amplitude, out)
        return out

    return map_images(mix, images)


@compiled(nogil=True)
def _add_wave(image: Any, across: Any, down: Any, phase: Any, amplitude: Any, out: Any) -> None:
    height, width, channels = image.shape
    for y in range(height):
        for x in range(width):
            wave = amplitude * math.sin(x * across + y * down + phase)
            for channel in range(channels):
                out[y, x, channel] = to_byte(image[y, x, channel] + wave)


@compiled(nogil=True, error_model="numpy")
def _add_rings(image: Any, x0: Any, y0: Any, waves: Any, swing: Any, ring: Any, strength: Any, out: Any) -> None:
    height, width, channels = image.shape
    for y in range(height):
        for x in range(width):
            dx, dy = x - x0, y - y0
            angle = math.atan2(dx, dy) * waves
            place = ((math.sqrt(dx * dx + dy * dy) + math.sin(angle) * swing) % ring) / ring - 0.5
            for channel in range(channels):
                out[y, x, channel] = to_byte(image[y, x, channel] + strength * place)


@compiled(nogil=True, error_model="numpy")
def _mix_plasma(image: Any, time: Any, moves: Any, sharpness: Any, scale: Any, amplitude: Any, out: Any) -> None:
    height, width = image.shape[:2]
    kept = 1 - amplitude / 255
    for y in range(height):
        for x in range(width):
            across, down = x / scale, y / scale
            frequency, slowness, decay = 1.0, 1.0, 1.0
            for _ in range(moves):
                first = math.cos(down * frequency + time / slowness) / decay
                second = math.sin(across * frequency + time / slowness) / decay
                across += first - 0.3 * second
                down += second + 0.3 * first
                frequency *= 1.93
                slowness *= 1.15
                decay *= 2.25 - sharpness
            out[y, x, 0] = to_byte(kept * image[y, x, 0] + amplitude * math.sin(across - time))
            middle = math.sin((across + down + math.sin(time)) * 0.5)
            out[y, x, 1] = to_byte(kept * image[y, x, 1] + amplitude * middle)
            out[y, x, 2] = to_byte(kept * image[y, x, 2] + amplitude * math.sin(down + time))
