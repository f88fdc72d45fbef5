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
from robench.corruptions import _device, _gpu

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
    made: torch.Tensor | None = _gpu.attempt(images.device, "warp.motion", images, weights, shifts)
    if made is not None:
        return made
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
    taps = len(weights)
    before = min(max(-shifts[:, 1].min(), 0), width)
    behind = min(max(shifts[:, 1].max(), 0), width)
    # Rows as floats once for all taps, with the edges that they reach repeated.
    rows = np.empty((height, before + width + behind), np.float32)
    for y in range(height):
        rows[y, :before] = source[y, 0]
        for x in range(width):
            rows[y, before + x] = source[y, x]
        rows[y, before + width :] = source[y, width - 1]
    total = np.empty(width, np.float32)
    for y in range(height):
        total[:] = _HALF
        for tap in range(0, taps - taps % 4, 4):
            _add_four(rows, y, before, weights, shifts, tap, total)
        for tap in range(taps - taps % 4, taps):
            row = _shifted(rows, y, before, shifts[tap], width)
            for x in range(width):
                total[x] += weights[tap] * row[x]
        for x in range(width):
            out[y, x] = np.uint8(min(total[x], np.float32(255)))


@compiled(nogil=True)
def _shifted(rows: Any, y: Any, before: Any, shift: Any, width: Any) -> Any:
    """Return the row, (width,), that a tap reads for row ``y``."""
    dx = min(max(shift[1], -width), width)
    return rows[min(max(y + shift[0], 0), len(rows) - 1), before + dx : before + dx + width]


@compiled(nogil=True)
def _add_four(rows: Any, y: Any, before: Any, weights: Any, shifts: Any, tap: Any, total: Any) -> None:
    """Add four taps, one after the other, but to each sum while it is at hand."""
    width = len(total)
    a, b = _shifted(rows, y, before, shifts[tap], width), _shifted(rows, y, before, shifts[tap + 1], width)
    c, d = _shifted(rows, y, before, shifts[tap + 2], width), _shifted(rows, y, before, shifts[tap + 3], width)
    for x in range(width):
        found = total[x] + weights[tap] * a[x]
        found = found + weights[tap + 1] * b[x]
        found = found + weights[tap + 2] * c[x]
        total[x] = found + weights[tap + 3] * d[x]
