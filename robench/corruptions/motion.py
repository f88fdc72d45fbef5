"""Motion blur along a line, pixel for pixel as ImageMagick's ``MagickMotionBlurImage`` makes it.

The kernel is one half of a Gaussian, ``2 * ceil(radius) + 1`` taps long, normalised; tap i reads the pixel at
``ceil(i * (cos, sin)(angle) - 0.5)``, edges repeated. Sums are rounded to 16 bits (times 257) and then cut to 8
(divided by 257, truncated), as the PNG that the original reads back has them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from robench.compiled import compiled, prange
from robench.corruptions import _device

_HALF = np.float32(0.5 / 257)  # half of the last of 16 bits


def kernel(radius: float, sigma: float) -> npt.NDArray[np.float32]:
    """Return the taps of the blur, float32, summing to 1."""
    taps = np.arange(2 * math.ceil(radius) + 1, dtype=np.float64)
    weights = np.exp(-(taps**2) / (2.0 * sigma**2))
    return (weights / weights.sum()).astype(np.float32)


def offsets(angles: npt.NDArray[np.float64], taps: int) -> npt.NDArray[np.int64]:
    """Return (N, taps, 2) of (dy, dx) for angles in degrees."""
    radians = np.deg2rad(angles)[:, None]
    step = np.arange(taps)[None, :]
    # The same products and quotients as ImageMagick's, since a last bit decides about a pixel where half of a step
    # is whole on paper, as at 60 degrees.
    down, right = taps * np.sin(radians), taps * np.cos(radians)
    length = np.hypot(down, right)
    return np.ceil(np.stack([step * down / length, step * right / length], axis=-1) - 0.5).astype(np.int64)


def motion_blur(images: torch.Tensor, radius: float, sigma: float, angles: torch.Tensor) -> torch.Tensor:
    """Blur every image along its own direction.

    Args:
        images: uint8 (N, C, H, W).
        radius, sigma: in pixels.
        angles: (N,) in degrees; 0 reads to the right, 90 downwards.

    Returns:
        uint8 (N, C, H, W) on the same device.
    """
    weights = kernel(radius, sigma)
    shifts = offsets(angles.double().cpu().numpy(), len(weights))
    if _device.has_loops(images.device):
        source = images.contiguous().numpy()
        out = np.empty_like(source)
        _blur_cpu(source, weights, shifts, out)
        return torch.from_numpy(out)
    return _blur_gather(images, weights, torch.from_numpy(shifts).to(images.device))


def _blur_gather(images: torch.Tensor, weights: npt.NDArray[np.float32], shifts: torch.Tensor) -> torch.Tensor:
    """Do the same with one gather per tap, for devices where numba does not run."""
    n, channels, height, width = images.shape
    flat = images.reshape(n, channels, -1)
    row = torch.arange(height, device=images.device)
    column = torch.arange(width, device=images.device)
    total = torch.zeros(flat.shape, dtype=torch.float32, device=images.device)
    for tap, weight in enumerate(weights.tolist()):
        y = (row + shifts[:, tap, 0, None]).clamp_(0, height - 1)
        x = (column + shifts[:, tap, 1, None]).clamp_(0, width - 1)
        place = (y[:, :, None] * width + x[:, None, :]).reshape(n, 1, -1).expand(-1, channels, -1)
        total += weight * flat.gather(2, place).float()
    return (total + float(_HALF)).clamp_(0, 255).to(torch.uint8).reshape(images.shape)


@compiled(parallel=True, nogil=True)
def _blur_cpu(source: Any, weights: Any, shifts: Any, out: Any) -> None:
    n, channels = source.shape[:2]
    for plane in prange(n * channels):
        image, channel = plane // channels, plane % channels
        blur_plane(source[image, channel], weights, shifts[image], out[image, channel])


@compiled(nogil=True)
def blur_plane(source: Any, weights: Any, shifts: Any, out: Any) -> None:
    """Blur uint8 (H, W) by taps ``weights``, float32 (taps,), that lie at ``shifts``, int64 (taps, 2) of (dy, dx)."""
    height, width = source.shape
    total = np.empty(width, np.float32)
    for y in range(height):
        total[:] = _HALF
        for tap in range(len(weights)):
            row = source[min(max(y + shifts[tap, 0], 0), height - 1)]
            dx = shifts[tap, 1]
            weight = weights[tap]
            left, right = min(max(-dx, 0), width), max(min(width - dx, width), 0)
            for x in range(left):
                total[x] += weight * np.float32(row[0])
            for x in range(left, right):
                total[x] += weight * np.float32(row[x + dx])
            for x in range(max(right, 0), width):
                total[x] += weight * np.float32(row[width - 1])
        for x in range(width):
            out[y, x] = np.uint8(min(total[x], np.float32(255)))
