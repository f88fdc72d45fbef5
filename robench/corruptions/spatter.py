"""Spatter: drops of water or mud on the lens (hendrycks/robustness, ``ImageNet-C/create_c``).

Edges, distances and the histogram's equalisation are OpenCV's, one image at a time in a pool of threads (OpenCV lets
go of Python's lock). On a CUDA device the masks, a third of the image's bytes, are made on the host; the composition
runs on the device.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt
import torch

from robench.corruptions._pool import _executor
from robench.corruptions.random import Stream

WATER = (175, 238, 238)
MUD = (63, 42, 20)
Map = npt.NDArray[np.float32]
_EMBOSS = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]], np.float32)
_BLUR_TRUNCATE = 4.0


def spatter(images: torch.Tensor, params: tuple[float, ...], stream: Stream) -> torch.Tensor:
    """Spatter images with water (severities 1 to 3) or mud.

    Args:
        images: uint8 (N, 3, H, W).
        params: mean and standard deviation of the liquid, sigma of its blur, threshold, the water's intensity or the
            mud's sigma, 0 for water or 1 for mud.
        stream: draw 0 the liquid.

    Returns:
        uint8 (N, 3, H, W), truncated.
    """
    mean, std, sigma, threshold, strength, mud = params
    noise = stream.normal(0, tuple(images.shape[-2:])).mul_(std).add_(mean).cpu().numpy()

    def mask(row: Map) -> Map:
        layer = liquid(row, sigma, threshold)
        return mud_mask(layer, threshold, strength) if mud else water_mask(layer) * np.float32(strength)

    masks = torch.from_numpy(np.stack(each(mask, noise))).to(images.device)
    return compose_mud(images, masks) if mud else compose_water(images, masks)


def liquid(noise: Map, sigma: float, threshold: float) -> Map:
    """Return blurred noise (H, W) with everything below ``threshold`` set to 0."""
    layer = gaussian(noise, sigma)
    layer[layer < threshold] = 0
    return layer


def water_mask(layer: Map) -> Map:
    """Return how much of the water's colour is added, float32 (H, W) in [0, 1]: bright at the rims of drops.

    Without a drop it is minus infinity, which makes the image black, since the original divides by zero there. That
    happens late in sequences of small pictures, when the water has run off.
    """
    grey = (layer * 255).astype(np.int64).astype(np.uint8)
    distance = cv2.distanceTransform(255 - cv2.Canny(grey, 50, 150), cv2.DIST_L2, 5)
    _, distance = cv2.threshold(distance, 20, 20, cv2.THRESH_TRUNC)
    rim = cv2.equalizeHist(cv2.blur(distance, (3, 3)).astype(np.uint8))
    rim = cv2.blur(cv2.filter2D(rim, cv2.CV_8U, _EMBOSS), (3, 3)).astype(np.float32)
    mask = grey * rim
    largest = mask.max()
    return mask / largest if largest > 0 else np.full_like(mask, -np.inf)


def mud_mask(layer: Map, threshold: float, sigma: float) -> Map:
    """Return how much of the pixel the mud covers, float32 (H, W): 0 or 0.8 to 1."""
    mask = gaussian((layer > threshold).astype(np.float32), sigma)
    mask[mask < 0.8] = 0
    return mask


def compose_water(images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Add the water's colour, weighted by float32 masks (N, H, W), to uint8 images (N, 3, H, W); truncate."""
    x = images.float().div_(255)
    x.addcmul_(masks[:, None], _colour(WATER, images))
    return x.clamp_(0, 1).mul_(255).to(torch.uint8)


def compose_mud(images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Cover uint8 images (N, 3, H, W) by mud, as opaque as float32 masks (N, H, W) say; truncate."""
    x = images.float().div_(255)
    x = x * (1 - masks[:, None]) + _colour(MUD, images) * masks[:, None]
    return x.clamp_(0, 1).mul_(255).to(torch.uint8)


def gaussian(image: Map, sigma: float) -> Map:
    """Blur as skimage's ``gaussian`` does: cut at 4 sigma, edges repeated."""
    radius = int(_BLUR_TRUNCATE * sigma + 0.5)
    if radius == 0:
        return image.copy()
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    taps /= taps.sum()
    return cv2.sepFilter2D(image, cv2.CV_32F, taps, taps, borderType=cv2.BORDER_REPLICATE).astype(np.float32)


def each(function: Callable[[Map], Map], rows: Map) -> list[Map]:
    """Return ``function`` of every row, computed by this process's threads."""
    return list(_executor(os.getpid()).map(function, rows)) if len(rows) > 1 else [function(row) for row in rows]


def _colour(triple: tuple[int, int, int], like: torch.Tensor) -> torch.Tensor:
    return (torch.tensor(triple, dtype=torch.float32, device=like.device) / 255).view(1, 3, 1, 1)
