"""Zoom blur: the mean of an image and of its enlargements."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from robench.corruptions import _device
from robench.corruptions.random import Stream


def zoom_blur(images: torch.Tensor, params: tuple[float, float], stream: Stream) -> torch.Tensor:
    """Average the image with zooms 1, 1 + step, ... below stop; ``params`` is (stop, step).

    The factors are numpy's ``arange(1, stop, step)`` with its rounding, which takes the end in for some stops; zoom 1
    is among them, so the clean image counts twice. Images must be square, as the published ones are; others are
    zoomed as the square of their shorter side would be along each axis.
    """
    factors = np.arange(1.0, params[0], params[1])
    height, width = images.shape[2:]
    if _device.has_loops(images.device) and height == width:
        return _zoom_cpu(images, factors)
    x = images.float()
    total = x.clone()
    for factor in factors:
        total += clipped_zoom(x, float(factor))
    return (total / (len(factors) + 1) + 5e-5).clamp_(0, 255).to(torch.uint8)


def clipped_zoom(x: torch.Tensor, factor: float) -> torch.Tensor:
    """Enlarge the middle of float images (N, C, H, W) by a factor of at least 1, bilinearly, to the same size.

    As the published ``clipped_zoom``: a crop of ceil(side / factor), enlarged by scipy's ``zoom`` (which puts the
    corner pixels onto each other), trimmed around its middle.
    """
    height, width = x.shape[2:]
    crop = (math.ceil(height / factor), math.ceil(width / factor))
    top, left = (height - crop[0]) // 2, (width - crop[1]) // 2
    size = (round(crop[0] * factor), round(crop[1] * factor))
    part = x[:, :, top : top + crop[0], left : left + crop[1]]
    large = functional.interpolate(part, size=size, mode="bilinear", align_corners=True)
    trim = ((size[0] - height) // 2, (size[1] - width) // 2)
    return large[:, :, trim[0] : trim[0] + height, trim[1] : trim[1] + width]


def _zoom_cpu(images: torch.Tensor, factors: npt.NDArray[np.float64]) -> torch.Tensor:
    from robench.corruptions._kernels import zoom_mean

    side = images.shape[2]
    places = [_places(side, float(factor)) for factor in factors]
    lows = np.stack([np.floor(place).astype(np.int64) for place in places])
    steps = np.stack([(place - np.floor(place)).astype(np.float32) for place in places])
    pictures = np.ascontiguousarray(images.permute(0, 2, 3, 1).numpy())
    out = np.empty_like(pictures)
    starts = np.maximum(lows.min(axis=1), 0)
    starts = np.minimum(starts, side - 1 - np.minimum(lows.max(axis=1) + 1, side - 1))
    zoom_mean(pictures, lows, steps, starts, out)
    return torch.from_numpy(out).permute(0, 3, 1, 2)


def _places(side: int, factor: float) -> npt.NDArray[np.float64]:
    """Return where each output pixel of a zoom reads, in pixels of the whole picture."""
    crop = math.ceil(side / factor)
    size = round(crop * factor)
    trim = (size - side) // 2
    within = np.arange(trim, trim + side) * ((crop - 1) / max(1, size - 1))
    return (side - crop) // 2 + np.minimum(within, crop - 1)
