"""Pixelate: shrink with a box filter and enlarge again, bit for bit as Pillow does it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from robench.corruptions._pool import map_pictures
from robench.corruptions.random import Stream

_BITS = 22  # Pillow keeps its coefficients as whole multiples of 2**-22


def pixelate(images: torch.Tensor, params: tuple[float], stream: Stream) -> torch.Tensor:
    """Resize to int(side * c) and back, box filter both times; ``params`` is (c,)."""
    _, _, height, width = images.shape
    small = (max(1, int(height * params[0])), max(1, int(width * params[0])))
    if images.device.type != "cpu":
        return _resize(_resize(images, small), (height, width))
    from PIL import Image

    box = Image.Resampling.BOX

    def shrink(picture: npt.NDArray[np.uint8], row: int) -> npt.NDArray[np.uint8]:
        shrunk = Image.fromarray(picture).resize(small[::-1], box)
        return np.asarray(shrunk.resize((width, height), box))

    return map_pictures(shrink, images)


def _resize(images: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Resize uint8 images: columns, then rows, each rounded to bytes, in whole numbers held by float64."""
    x = images.double()
    if size[1] != images.shape[3]:
        x = _round(x @ _box(images.shape[3], size[1], images.device).T)
    if size[0] != images.shape[2]:
        x = _round(_box(images.shape[2], size[0], images.device) @ x)
    return x.to(torch.uint8)


def _round(sums: torch.Tensor) -> torch.Tensor:
    return torch.floor((sums + 2.0 ** (_BITS - 1)) / 2.0**_BITS).clamp_(0, 255)


def _box(old: int, new: int, device: torch.device) -> torch.Tensor:
    """Return Pillow's box coefficients (new, old) in multiples of 2**-22."""
    scale = old / new
    support = 0.5 * max(scale, 1.0)
    matrix = np.zeros((new, old))
    for i in range(new):
        centre = (i + 0.5) * scale
        first = max(0, int(centre - support + 0.5))
        last = min(old, int(centre + support + 0.5))
        place = (np.arange(first, last) - centre + 0.5) / max(scale, 1.0)
        weight = ((place > -0.5) & (place <= 0.5)).astype(float)
        matrix[i, first:last] = np.floor(weight / weight.sum() * 2**_BITS + 0.5)
    return torch.from_numpy(matrix).to(device)
