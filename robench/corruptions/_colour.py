"""Colour loops compiled by numba for the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from robench.compiled import compiled, prange


@compiled(parallel=True, nogil=True)
def look_up(images: Any, table: Any, out: Any) -> None:
    """Send uint8 (N, C, H, W) through a table (N, C, 256)."""
    n_images, channels, height, width = images.shape
    for plane in prange(n_images * channels):
        n, c = plane // channels, plane % channels
        row = table[n, c]
        for y in range(height):
            for x in range(width):
                out[n, c, y, x] = row[images[n, c, y, x]]


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
