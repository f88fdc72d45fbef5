"""Spatter: drops of water or mud on the lens (hendrycks/robustness, ``ImageNet-C/create_c``).

Edges, distances and the histogram's equalisation are OpenCV's, one image at a time in a pool of threads (OpenCV lets
go of Python's lock). On a CUDA device water's masks, a third of the image's bytes, are made on the host; the
composition and mud run on the device.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt
import torch

from robench.corruptions import _device, _gpu
from robench.corruptions._pool import each_row
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
    size = (images.shape[-2], images.shape[-1])
    if mud and not _device.has_loops(images.device):
        made: torch.Tensor | None = _gpu.attempt(images.device, "weather.mud", images, stream, params, MUD)
        if made is not None:
            return made

    def mask(row: int) -> Map:
        noise = stream.row_normal(row, 0, size) * np.float32(std) + np.float32(mean)
        layer = liquid(noise, sigma, threshold)
        return mud_mask(layer, threshold, strength) if mud else water_mask(layer) * np.float32(strength)

    return composed(images, mask, mud=bool(mud))


def composed(images: torch.Tensor, mask: Callable[[int], Map], *, mud: bool) -> torch.Tensor:
    """Return uint8 images (N, 3, H, W) under water or mud, truncated.

    Args:
        images: uint8 (N, 3, H, W).
        mask: gives an image's mask, float32 (H, W), by its row in the batch; called from several threads.
        mud: mud covers the image; water is added to it.
    """
    if not _device.has_loops(images.device):
        masks: list[Map] = [np.empty(0, np.float32)] * len(images)

        def keep(row: int) -> None:
            masks[row] = mask(row)

        each_row(keep, len(images))
        layers = torch.from_numpy(np.stack(masks)).to(images.device)
        return _compose_mud(images, layers) if mud else _compose_water(images, layers)
    from robench.corruptions._colour import add_water, cover_with_mud

    lay, colour = (cover_with_mud, MUD) if mud else (add_water, WATER)
    share = np.array(colour, np.float32) / np.float32(255)
    source, out = _device.planes(images), torch.empty(images.shape, dtype=torch.uint8)
    target = out.numpy()

    def work(row: int) -> None:
        lay(source[row], mask(row), share, target[row])

    each_row(work, len(images))
    return out


def liquid(noise: Map, sigma: float, threshold: float) -> Map:
    """Return blurred noise (H, W) with everything below ``threshold`` set to 0."""
    layer = gaussian(noise, sigma)
    layer[layer < threshold] = 0
    return layer


def water_mask(layer: Map) -> Map:
    """Return how much of the water's colour is added, float32 (H, W) in [0, 1]: bright at the rims of drops.

    Without a drop it is minus infinity, which makes the image black, since the original divides by zero there. That
    happens late in sequences of small images, when the water has run off.
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


def _compose_water(images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Add the water's colour, weighted by float32 masks (N, H, W), to uint8 images (N, 3, H, W); truncate."""
    x = images.float().div_(255)
    x.addcmul_(masks[:, None], _colour(WATER, images))
    return x.clamp_(0, 1).mul_(255).to(torch.uint8)


def _compose_mud(images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
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


def _colour(triple: tuple[int, int, int], like: torch.Tensor) -> torch.Tensor:
    return (torch.tensor(triple, dtype=torch.float32, device=like.device) / 255).view(1, 3, 1, 1)
