"""Self-supervised training of EDSR, one of the two networks that DeepAugment distorts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import nn
from torch.nn import functional

from robench.errors import RobenchError
from robench.training.engine.batch import Batch
from robench.training.engine.network import Network
from robench.training.methods.base import AT_LEAST_1, Method, Step
from robench.training.networks.edsr import EDSR
from robench.training.ops.pixels import check_sides


@dataclass
class TrainEDSR(Method):
    """L1 distance between the image and the super-resolution of its downscaled copy.

    Args:
        blocks, features: of the network.
        scale: by which it enlarges, 2 or 4; the images' side must be a multiple of it.
    """

    NORMS: ClassVar[tuple[str, ...]] = ("bn",)
    RANGES: ClassVar[Mapping[str, tuple[float, float]]] = {
        "blocks": AT_LEAST_1,
        "features": AT_LEAST_1,
    }

    blocks: int = 16
    features: int = 64
    scale: int = 4

    def __post_init__(self) -> None:
        if self.scale not in (2, 4):
            raise RobenchError(f"EDSR's scale is 2 or 4, found {self.scale}.")

    def build(self) -> nn.Module:
        """Return the network that this method trains."""
        return EDSR(self.blocks, self.features, self.scale)

    def loss(self, net: Network, batch: Batch) -> Step:
        target = batch.view().float() / 255.0
        check_sides(target, self.scale, "EDSR")
        size = (target.shape[-2] // self.scale, target.shape[-1] // self.scale)
        small = functional.interpolate(target, size, mode="bicubic", antialias=True, align_corners=False)
        return Step(functional.l1_loss(net.raw(small.clamp(0.0, 1.0)), target))
