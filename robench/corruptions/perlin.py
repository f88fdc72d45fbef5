"""``perlin_noise``: turbulence of five octaves of Perlin's gradient noise, mixed into the image.

Source: facebookresearch/augmentation-corruption, ``imagenet_c_bar/{corrupt,utils/perlin_noise}.py`` (Mintun et al.
2021, MIT), after Perlin's lattice of 256 gradients with a permutation.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from robench.compiled import compiled
from robench.corruptions._drawn import to_byte
from robench.corruptions._pool import Image, map_images
from robench.corruptions.random import Stream

LATTICE = 256
DRAWS = 3 * LATTICE
_OCTAVES = 5
_SHIFT = 16.0 * LATTICE  # the published one, which makes coordinates positive


def perlin_noise(images: torch.Tensor, params: tuple[float], stream: Stream) -> torch.Tensor:
    """Mix in grey turbulence with a lattice of 7 x 7 cells in its first octave.

    Args:
        images: uint8 (N, 3, H, W).
        params: (strength,): the turbulence's share is 0.05 times it.
        stream: draw 0: 256 gradients and the exchanges that shuffle them.

    Returns:
        uint8 (N, 3, H, W), truncated.
    """
    step = 1 / (32 * min(images.shape[-2:]) / 224)
    share = params[0] * 0.5 / 10

    def mix(image: Image, row: int) -> Image:
        gradients, places = lattice(stream.row_uniform(row, 0, (DRAWS,)))
        out = np.empty_like(image)
        _mix_turbulence(image, gradients, places, step, share, out)
        return out

    return map_images(mix, images)


def lattice(u: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return gradients of length 1, float64 (256, 2), and a permutation, int64 (256,).

    A gradient whose two whole numbers are 0 stays 0; the published code divides by its length, and the pixels about it
    (of one image in a thousand) have no value.

    Args:
        u: float32 (768,) in [0, 1).
    """
    whole = np.floor(u[: 2 * LATTICE].astype(np.float64) * (2 * LATTICE)).reshape(LATTICE, 2) - LATTICE
    length = np.hypot(whole[:, 0], whole[:, 1])
    places = np.arange(LATTICE)
    chosen = (u[2 * LATTICE :].astype(np.float64) * LATTICE).astype(np.int64)
    for last, other in zip(range(LATTICE - 1, -1, -1), chosen, strict=True):
        places[last], places[other] = places[other], places[last]
    return whole / np.where(length > 0, length, 1)[:, None], places


@compiled(inline="always")
def _smooth(t: Any) -> Any:
    return t * t * (3.0 - 2.0 * t)


@compiled(nogil=True)
def _gradient_noise(down: Any, across: Any, gradients: Any, places: Any) -> Any:
    """Return the noise at one point, its coordinates in cells of the lattice."""
    t, s = down + _SHIFT, across + _SHIFT
    top, left = int(t) % LATTICE, int(s) % LATTICE
    below, right = (top + 1) % LATTICE, (left + 1) % LATTICE
    dy, dx = t % 1.0, s % 1.0
    first, second = places[top], places[below]
    top_left, below_left = places[(first + left) % LATTICE], places[(second + left) % LATTICE]
    top_right, below_right = places[(first + right) % LATTICE], places[(second + right) % LATTICE]
    weight_y, weight_x = _smooth(dy), _smooth(dx)
    u = dy * gradients[top_left, 0] + dx * gradients[top_left, 1]
    v = (dy - 1.0) * gradients[below_left, 0] + dx * gradients[below_left, 1]
    a = u + weight_y * (v - u)
    u = dy * gradients[top_right, 0] + (dx - 1.0) * gradients[top_right, 1]
    v = (dy - 1.0) * gradients[below_right, 0] + (dx - 1.0) * gradients[below_right, 1]
    b = u + weight_y * (v - u)
    return 1.5 * (a + weight_x * (b - a))


@compiled(nogil=True)
def _mix_turbulence(image: Any, gradients: Any, places: Any, step: Any, share: Any, out: Any) -> None:
    height, width, channels = image.shape
    for y in range(height):
        for x in range(width):
            total, frequency = 0.0, 1.0
            for _ in range(_OCTAVES):
                noise = _gradient_noise(frequency * (y * step), frequency * (x * step), gradients, places)
                total += math.fabs(noise) / frequency
                frequency *= 2.0
            grey = min(max(0.5 * total + 0.5, 0.0), 1.0)
            for channel in range(channels):
                # the image's share is float32 there
                kept = np.float64(np.float32(1 - share) * np.float32(image[y, x, channel]))
                out[y, x, channel] = to_byte(kept + 255 * share * grey)
