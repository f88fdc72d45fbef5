"""Colour loops compiled by numba for the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from robench.compiled import compiled, prange
from robench.corruptions._fused import fma


@compiled(parallel=True, nogil=True)
def pull_to_mean(images: Any, share: Any, out: Any) -> None:
    """Send every plane of uint8 (N, C, H, W) through its table of (level - mean) * share + mean, in float64."""
    n_images, channels, height, width = images.shape
    for plane in prange(n_images * channels):
        n, c = plane // channels, plane % channels
        total = 0
        for y in range(height):
            for x in range(width):
                total += images[n, c, y, x]
        mean = total / (255.0 * height * width)
        table = np.empty(256, np.uint8)
        for level in range(256):
            value = (level / 255.0 - mean) * share + mean
            table[level] = np.uint8(min(max(value, 0.0), 1.0) * 255.0)
        for y in range(height):
            for x in range(width):
                out[n, c, y, x] = table[images[n, c, y, x]]


@compiled(nogil=True)
def add_water(image: Any, mask: Any, colour: Any, out: Any) -> None:
    """Add a colour, float32 (3,), weighted by float32 (H, W), to uint8 (3, H, W)."""
    full = np.float32(255.0)
    for c in range(3):
        for y in range(mask.shape[0]):
            for x in range(mask.shape[1]):
                value = fma(mask[y, x], colour[c], np.float32(image[c, y, x]) / full)
                out[c, y, x] = np.uint8(min(max(value, np.float32(0.0)), np.float32(1.0)) * full)


@compiled(nogil=True)
def cover_with_mud(image: Any, mask: Any, colour: Any, out: Any) -> None:
    """Cover uint8 (3, H, W) by a colour, float32 (3,), as opaque as float32 (H, W) says."""
    full = np.float32(255.0)
    for c in range(3):
        for y in range(mask.shape[0]):
            for x in range(mask.shape[1]):
                seen = np.float32(image[c, y, x]) / full * (np.float32(1.0) - mask[y, x])
                value = seen + colour[c] * mask[y, x]
                out[c, y, x] = np.uint8(min(max(value, np.float32(0.0)), np.float32(1.0)) * full)


@compiled(parallel=True, nogil=True)
def shift_hsv(images: Any, factor: Any, offset: Any, value_offset: Any, out: Any) -> None:
    """Change saturation and value of uint8 (N, 3, H, W) in HSV, in float64."""
    n_images, _, height, width = images.shape
    for n in prange(n_images):
        for y in range(height):
            for x in range(width):
                red = images[n, 0, y, x] / 255.0
                green = images[n, 1, y, x] / 255.0
                blue = images[n, 2, y, x] / 255.0
                value = max(red, green, blue)
                chroma = value - min(red, green, blue)
                hue, saturation = 0.0, 0.0
                if chroma > 0.0:
                    saturation = chroma / value
                    if blue == value:
                        hue = 4.0 + (red - green) / chroma
                    elif green == value:
                        hue = 2.0 + (blue - red) / chroma
                    else:
                        hue = (green - blue) / chroma
                    hue = (hue / 6.0) % 1.0
                saturation = min(max(saturation * factor + offset, 0.0), 1.0)
                value = min(max(value + value_offset, 0.0), 1.0)
                sector = np.floor(hue * 6.0)
                f = hue * 6.0 - sector
                p = value * (1.0 - saturation)
                q = value * (1.0 - f * saturation)
                t = value * (1.0 - (1.0 - f) * saturation)
                which = int(sector) % 6
                if which == 0:
                    red, green, blue = value, t, p
                elif which == 1:
                    red, green, blue = q, value, p
                elif which == 2:
                    red, green, blue = p, value, t
                elif which == 3:
                    red, green, blue = p, q, value
                elif which == 4:
                    red, green, blue = t, p, value
                else:
                    red, green, blue = value, p, q
                out[n, 0, y, x] = np.uint8(min(max(red, 0.0), 1.0) * 255.0)
                out[n, 1, y, x] = np.uint8(min(max(green, 0.0), 1.0) * 255.0)
                out[n, 2, y, x] = np.uint8(min(max(blue, 0.0), 1.0) * 255.0)
