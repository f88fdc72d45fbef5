"""Training with Gaussian or speckle noise (the speckle baseline is that of Hendrycks et al. 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch

from robench.corruptions._gpu import kept
from robench.errors import RobenchError
from robench.training.engine.batch import Batch
from robench.training.methods.base import NOT_NEGATIVE, SHARE, OneView

_APPLY, _STD, _NOISE = 0, 1, 2


@dataclass
class Noise(OneView):
    """Noise on the whole image with a given probability, clipped to [0, 1].

    Args:
        kind: ``gaussian`` (x + n) or ``speckle`` (x + x n).
        std: standard deviations, of which one is drawn for every image and channel.
        probability: of noise at all, per image.
    """

    RANGES: ClassVar[Mapping[str, tuple[float, float]]] = {
        "std": NOT_NEGATIVE,
        "probability": SHARE,
    }

    kind: str = "speckle"
    std: list[float] = field(default_factory=lambda: [0.15, 0.2, 0.35, 0.45, 0.6])
    probability: float = 0.5

    def __post_init__(self) -> None:
        if self.kind not in ("gaussian", "speckle"):
            raise RobenchError(f"Noise is gaussian or speckle, found '{self.kind}'.")

    def view(self, batch: Batch) -> torch.Tensor:
        """Return the flipped and cropped images with noise: float32 in [0, 1]."""
        return self.noisy(batch, batch.view())

    def noisy(self, batch: Batch, images: torch.Tensor) -> torch.Tensor:
        """Return the noisy images: float32 in [0, 1]."""
        stream = batch.stream("noise")
        pixels = images.float() / 255.0
        table = kept(images.device, ("numbers", *self.std), torch.tensor, self.std)
        std = table[stream.integers(_STD, 0, len(self.std), (images.shape[1], 1, 1))]
        noise = std * stream.normal(_NOISE, tuple(images.shape[1:]))
        added = noise if self.kind == "gaussian" else pixels * noise
        applied = (stream.uniform(_APPLY, ()) < self.probability).view(-1, 1, 1, 1)
        return torch.where(applied, (pixels + added).clamp(0.0, 1.0), pixels)
