"""Cutout: a square of every image becomes the data set's mean colour (DeVries and Taylor 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from robench.corruptions._gpu import kept
from robench.training.engine.batch import Batch
from robench.training.methods.base import NOT_NEGATIVE, OneView
from robench.training.ops.boxes import boxes


def cutout(pixels: torch.Tensor, batch: Batch, length: int, label: str = "cutout") -> torch.Tensor:
    """Return the images with a square of ``length`` pixels around a random pixel set to the mean colour.

    The published code masks normalised images with zero, which is the mean. The square may reach over the
    border.

    Args:
        pixels: uint8, or float in [0, 1], (n, 3, H, W).
        batch: gives the random numbers and the mean.
        length: side of the square; 0: the images as they are.
        label: of the random stream.

    Returns:
        float32 (n, 3, H, W) in [0, 1].
    """
    floats = pixels.float() / 255.0 if pixels.dtype == torch.uint8 else pixels
    if length == 0:
        return floats
    height, width = floats.shape[-2:]
    mask = boxes(batch.stream(label), height, width, length, floats.device)
    mean = kept(floats.device, ("numbers", batch.data.mean), torch.tensor, batch.data.mean).view(1, 3, 1, 1)
    return torch.where(mask, mean, floats)


@dataclass
class Cutout(OneView):
    """Cutout on flipped and cropped images.

    Args:
        length: side of the square in pixels (16 for CIFAR-10, 8 for CIFAR-100 in the paper).
    """

    RANGES: ClassVar[Mapping[str, tuple[float, float]]] = {
        "length": NOT_NEGATIVE,
    }

    length: int = 16

    def view(self, batch: Batch) -> torch.Tensor:
        """Return the images with their squares: float32 in [0, 1]."""
        return cutout(batch.view(), batch, self.length)
