"""Zoom blur: the mean of an image and of its enlargements."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from robench.corruptions import _device, _gpu
from robench.corruptions.random import Stream


def zoom_blur(images: torch.Tensor, params: tuple[float, float], stream: Stream) -> torch.Tensor:
    """Average an image with its zooms 1, 1 + step, ... below stop.

    The factors are numpy's ``arange(1, stop, step)`` with its rounding, which takes the end in for some stops; zoom 1
    is among them, so the clean image counts twice. Images must be square, as the published ones are; others are
    zoomed as the square of their shorter side would be along each axis.

    Args:
        images: uint8 (N, 3, H, W).
        params: (stop, step).
        stream: not used: nothing is drawn.

    Returns:
        uint8 (N, 3, H, W), truncated.
    """
    factors = np.arange(1.0, params[0], params[1])
    height, width = images.shape[2:]
    if _device.has_loops(images.device):
        return _zoom_cpu(images, factors) if height == width else _zoom_oblong_cpu(images, factors)
    if height == width:
        made: torch.Tensor | None = _gpu.attempt(images.device, "warp.zoom", images, factors)
        if made is not None:
            return made
    x = images.float()
    total = x.clone()
    for factor in factors:
        total += clipped_zoom(x, float(factor))
    return (total / (len(factors) + 1) + 5e-5).clamp_(0, 255).to(torch.uint8)


def clipped_zoom(x: torch.Tensor, factor: float) -> torch.Tensor:
    """Enlarge the middle of images by a factor, bilinearly, to the same size.

    As the published ``clipped_zoom``: a crop of ceil(side / factor), enlarged by scipy's ``zoom`` (which puts the
    corner pixels onto each other), trimmed around its middle.

    Args:
        x: float (N, C, H, W).
        factor: at least 1.

    Returns:
        float (N, C, H, W).
    """
    height, width = x.shape[2:]
    (top, left, crop_h, crop_w), size, trim = zoom_places(height, width, factor)
    part = x[:, :, top : top + crop_h, left : left + crop_w]
    large = functional.interpolate(part, size=size, mode="bilinear", align_corners=True)
    return large[:, :, trim[0] : trim[0] + height, trim[1] : trim[1] + width].contiguous()


def zoom_places(
    height: int, width: int, factor: float
) -> tuple[tuple[int, int, int, int], tuple[int, int], tuple[int, int]]:
    """Return how :func:`clipped_zoom` crops (top, left, height, width), the size it enlarges to, and what it trims.

    >>> zoom_places(32, 32, 1.25)
    ((3, 3, 26, 26), (32, 32), (0, 0))
    """
    crop_h, crop_w = math.ceil(height / factor), math.ceil(width / factor)
    size = (max(round(crop_h * factor), height), max(round(crop_w * factor), width))
    crop = ((height - crop_h) // 2, (width - crop_w) // 2, crop_h, crop_w)
    return crop, size, ((size[0] - height) // 2, (size[1] - width) // 2)


def _zoom_cpu(images: torch.Tensor, factors: npt.NDArray[np.float64]) -> torch.Tensor:
    from robench.corruptions._kernels import zoom_mean

    side = images.shape[2]
    lows, steps = zoom_tables(side, factors)
    rows = np.ascontiguousarray(images.permute(0, 2, 3, 1).numpy())
    out = np.empty_like(rows)
    starts = np.maximum(lows.min(axis=1), 0)
    starts = np.minimum(starts, side - 1 - np.minimum(lows.max(axis=1) + 1, side - 1))
    zoom_mean(rows, lows, steps, starts, out)
    return torch.from_numpy(out).permute(0, 3, 1, 2)


def zoom_tables(side: int, factors: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return the first of the two pixels that every pixel of every zoom reads along an axis, and the second's weight.

    Both are (zooms, side).
    """
    places = [_places(side, float(factor)) for factor in factors]
    lows = np.stack([np.floor(place).astype(np.int64) for place in places])
    return lows, np.stack([(place - np.floor(place)).astype(np.float32) for place in places])


def _zoom_oblong_cpu(images: torch.Tensor, factors: npt.NDArray[np.float64]) -> torch.Tensor:
    from robench.corruptions._weather import zoom_mean_oblong

    places = [zoom_places(images.shape[2], images.shape[3], float(factor)) for factor in factors]
    table = np.array([(*crop, *size, *trim) for crop, size, trim in places], np.int64)
    out = torch.empty(images.shape, dtype=torch.uint8)
    zoom_mean_oblong(images.numpy(), table, out.numpy())
    return out


def _places(side: int, factor: float) -> npt.NDArray[np.float64]:
    """Return where each output pixel of a zoom reads, in pixels of the whole image."""
    crop = math.ceil(side / factor)
    size = round(crop * factor)
    trim = (size - side) // 2
    within = np.arange(trim, trim + side) * ((crop - 1) / max(1, size - 1))
    return (side - crop) // 2 + np.minimum(within, crop - 1)
