"""Patch Gaussian (Lopes et al. 2019) and Patch Uniform (Hendrycks et al. 2020): noise in a random square."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from robench.errors import RobenchError
from robench.training.engine.batch import Batch
from robench.training.methods.base import AT_LEAST_1, NOT_NEGATIVE, OneView
from robench.training.ops.boxes import boxes

_NOISE, _SIDE = 0, 1


@dataclass
class Patch(OneView):
    """Noise added within a random square, clipped to [0, 1].

    Args:
        kind: ``gaussian`` (the original) or ``uniform`` (AugMix's baseline, since Gaussian noise is in the test).
        side: of the square in pixels; larger than the image: nearly everywhere.
        up_to: draw the side from 1 to ``side`` for every image, instead of taking ``side``.
        scale: standard deviation of the Gaussian, or half the width of the uniform distribution, in units of [0, 1].
    """

    RANGES: ClassVar[Mapping[str, tuple[float, float]]] = {
        "side": AT_LEAST_1,
        "scale": NOT_NEGATIVE,
    }

    kind: str = "gaussian"
    side: int = 25
    up_to: bool = False
    scale: float = 0.1

    def __post_init__(self) -> None:
        if self.kind not in ("gaussian", "uniform"):
            raise RobenchError(f"Patch noise is gaussian or uniform, found '{self.kind}'.")

    def view(self, batch: Batch) -> torch.Tensor:
        """Return the flipped and cropped images with noise in their squares: float32 in [0, 1]."""
        return self.noisy(batch, batch.view())

    def noisy(self, batch: Batch, images: torch.Tensor) -> torch.Tensor:
        """Return the images with noise in their squares: float32 in [0, 1]."""
        stream = batch.stream("patch")
        shape = tuple(images.shape[1:])
        if self.kind == "gaussian":
            noise = self.scale * stream.normal(_NOISE, shape)
        else:
            noise = self.scale * (2.0 * stream.uniform(_NOISE, shape) - 1.0)
        side: int | torch.Tensor = self.side
        if self.up_to:
            side = stream.integers(_SIDE, 1, self.side + 1, ())
        mask = boxes(stream, shape[1], shape[2], side, images.device)
        pixels = images.float() / 255.0
        return torch.where(mask, (pixels + noise).clamp(0.0, 1.0), pixels)
