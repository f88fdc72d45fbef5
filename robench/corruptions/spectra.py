"""Noise of a given spectrum: ``blue_noise_sample`` and ``brownish_noise``.

Source: facebookresearch/augmentation-corruption, ``imagenet_c_bar/corrupt.py`` (Mintun et al. 2021, MIT).
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import numpy.typing as npt
import torch

from robench.corruptions._pool import Image, map_images
from robench.corruptions.random import Stream

Floats = npt.NDArray[np.float64]


def blue_noise_sample(images: torch.Tensor, params: tuple[float], stream: Stream) -> torch.Tensor:
    """Blacken pixels, spread evenly: those where blue noise of variance 1 is below a threshold.

    Args:
        images: uint8 (N, 3, H, W).
        params: (strength,): the threshold is 0.3 times it, less 2.5.
        stream: draw 0 the phases.

    Returns:
        uint8 (N, 3, H, W).
    """
    height, width = images.shape[-2:]
    threshold = params[0] * 3 / 10 - 2.5
    amplitudes = _distances(height, width)

    def blacken(image: Image, row: int) -> Image:
        kept = spectral_noise(phases(stream, row, 0, height, width), amplitudes) > threshold
        return np.asarray(image * kept[..., None])

    return map_images(blacken, images)


def brownish_noise(images: torch.Tensor, params: tuple[float], stream: Stream) -> torch.Tensor:
    """Add coloured noise whose amplitude falls with the square of the frequency.

    Args:
        images: uint8 (N, 3, H, W).
        params: (strength,): the standard deviation is 6.4 times it, in grey levels.
        stream: draws 0 to 2 the phases of the channels.

    Returns:
        uint8 (N, 3, H, W), truncated.
    """
    height, width = images.shape[-2:]
    deviation = params[0] * 64 / 10
    amplitudes = 1 / (_distances(height, width) ** 2 + 1)

    def add(image: Image, row: int) -> Image:
        layers = [spectral_noise(phases(stream, row, draw, height, width), amplitudes) for draw in range(3)]
        return np.clip(image + deviation * np.stack(layers, axis=2), 0, 255).astype(np.uint8)

    return map_images(add, images)


def phases(stream: Stream, row: int, draw: int, height: int, width: int) -> Floats:
    """Return the phases of the left half of an image's spectrum, in radians, float64 (H, W // 2 or W // 2 + 1).

    An odd width has a column in the middle, whose lower half repeats the upper one in reverse, about 0.
    """
    half, odd = width // 2, width % 2
    count = height * half + odd * (height // 2)
    found = 2 * math.pi * stream.row_uniform(row, draw, (count,)).astype(np.float64)
    left = found[: height * half].reshape(height, half)
    if not odd:
        return left
    upper = found[height * half :]
    return np.column_stack([left, np.concatenate([upper, np.zeros(height % 2), upper[::-1]])])


def spectral_noise(left: Floats, amplitudes: Floats) -> Floats:
    """Return noise of variance 1, float64 (H, W).

    Args:
        left: phases of the left half of the spectrum, from :func:`phases`; the other half repeats it, turned by half a
            turn, as published (not with the opposite sign, as a real image's spectrum has it: the real part counts).
        amplitudes: float64 (H, W), frequency 0 at (H / 2, W / 2).
    """
    from scipy import fft

    height, width = amplitudes.shape
    turned = np.exp(1j * left)
    spectrum = np.concatenate([turned, turned[::-1, : width // 2][:, ::-1]], axis=1)
    spectrum *= amplitudes
    noise = fft.ifft2(np.roll(spectrum, (height // 2, width // 2), axis=(0, 1)), overwrite_x=True).real
    return np.asarray(noise / noise.std())


@cache
def _distances(height: int, width: int) -> Floats:
    """Return every place's distance from (H / 2, W / 2), float64 (H, W)."""
    y, x = np.arange(height) - height / 2, np.arange(width) - width / 2
    return np.hypot(y[:, None], x)
