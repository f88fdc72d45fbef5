"""Bilinear reading at any place, black outside, with the roundings of the published code of C-bar."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from robench.compiled import compiled


@compiled(inline="always")
def _at(plane: Any, y: Any, x: Any, channel: Any) -> Any:
    inside = 0 <= y < plane.shape[0] and 0 <= x < plane.shape[1]
    return float(plane[y, x, channel]) if inside else 0.0


@compiled(nogil=True)
def bilinear(image: Any, y: Any, x: Any, channel: Any) -> Any:
    """Return the value of one channel of (H, W, 3) at a place, in float64."""
    top, left = math.floor(y), math.floor(x)
    up = _at(image, top, left, channel) * (1.0 - x + left) + _at(image, top, left + 1, channel) * (x - left)
    down = _at(image, top + 1, left, channel) * (1.0 - x + left) + _at(image, top + 1, left + 1, channel) * (x - left)
    return up * (1.0 - y + top) + down * (y - top)


@compiled(nogil=True)
def bilinear_single(image: Any, y: Any, x: Any, channel: Any) -> Any:
    """Return the same in float32, where all four pixels are inside (``inside``)."""
    top, left = math.floor(y), math.floor(x)
    near_x, far_x = np.float32(1.0 - x + left), np.float32(x - left)
    near_y, far_y = np.float32(1.0 - y + top), np.float32(y - top)
    up = np.float32(image[top, left, channel]) * near_x + np.float32(image[top, left + 1, channel]) * far_x
    down = np.float32(image[top + 1, left, channel]) * near_x + np.float32(image[top + 1, left + 1, channel]) * far_x
    return up * near_y + down * far_y


@compiled(inline="always")
def inside(image: Any, y: Any, x: Any) -> Any:
    """Return whether the four pixels about a place are in the image."""
    return 0 <= y < image.shape[0] - 1 and 0 <= x < image.shape[1] - 1
