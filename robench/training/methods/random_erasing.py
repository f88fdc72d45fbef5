"""Random erasing: a rectangle of an image becomes the data set's mean colour (Zhong et al. 2020)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from robench.corruptions._gpu import kept
from robench.errors import RobenchError
from robench.training.engine.batch import Batch
from robench.training.methods.base import SHARE, OneView

_APPLY, _AREA, _ASPECT, _TOP, _LEFT = 0, 100, 200, 1, 2
_ATTEMPTS = 10


@dataclass
class RandomErasing(OneView):
    """Random erasing on flipped and cropped images, as ``torchvision.transforms.RandomErasing`` with its defaults.

    The published DeepFashion Remixed training has these defaults, after normalising, where the value 0 is the mean.

    Args:
        probability: of erasing at all, per image.
        smallest, largest: share of the image's area.
        flattest: smallest ratio of height to width; the largest is ``tallest``; log-uniform between.
    """

    RANGES: ClassVar[Mapping[str, tuple[float, float]]] = {
        "probability": SHARE,
    }

    probability: float = 0.5
    smallest: float = 0.02
    largest: float = 0.33
    flattest: float = 0.3
    tallest: float = 3.3

    def __post_init__(self) -> None:
        if not (0 <= self.smallest <= self.largest <= 1 and 0 < self.flattest <= self.tallest):
            raise RobenchError(
                "Random erasing needs smallest <= largest area (0 to 1) and flattest <= tallest ratio (above 0)."
            )

    def view(self, batch: Batch) -> torch.Tensor:
        """Return the images with their rectangles: float32 in [0, 1]."""
        return self.erased(batch, batch.view())

    def erased(self, batch: Batch, images: torch.Tensor) -> torch.Tensor:
        """Return uint8 images with their rectangles set to the mean colour: float32 in [0, 1]."""
        pixels = images.float() / 255.0
        mean = kept(images.device, ("numbers", batch.data.mean), torch.tensor, batch.data.mean).view(1, 3, 1, 1)
        return torch.where(self.mask(batch, images), mean, pixels)

    def mask(self, batch: Batch, images: torch.Tensor) -> torch.Tensor:
        """Return where the rectangles are: bool (n, 1, H, W); nowhere if none of ten fits, as in torchvision."""
        stream = batch.stream("random-erasing")
        height, width = images.shape[-2:]
        heights = torch.zeros(len(images), dtype=torch.int64, device=images.device)
        widths = torch.zeros_like(heights)
        for attempt in reversed(range(_ATTEMPTS)):  # the first that fits is written last
            share = self.smallest + (self.largest - self.smallest) * stream.uniform(_AREA + attempt, ()).double()
            low, high = math.log(self.flattest), math.log(self.tallest)
            ratio = torch.exp(low + (high - low) * stream.uniform(_ASPECT + attempt, ()).double())
            area = share * height * width
            h, w = (area * ratio).sqrt().round().long(), (area / ratio).sqrt().round().long()
            fits = (h < height) & (w < width)
            heights, widths = torch.where(fits, h, heights), torch.where(fits, w, widths)
        applied = stream.uniform(_APPLY, ()) < self.probability
        top = (stream.uniform(_TOP, ()).double() * (height - heights + 1)).long()
        left = (stream.uniform(_LEFT, ()).double() * (width - widths + 1)).long()
        rows = torch.arange(height, device=images.device).view(1, 1, -1, 1)
        columns = torch.arange(width, device=images.device).view(1, 1, 1, -1)
        top, left, heights, widths = (one.view(-1, 1, 1, 1) for one in (top, left, heights, widths))
        inside = (rows >= top) & (rows < top + heights) & (columns >= left) & (columns < left + widths)
        return inside & applied.view(-1, 1, 1, 1)
