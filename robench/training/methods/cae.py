"""Self-supervised training of the compressive autoencoder, one of the two networks that DeepAugment distorts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import nn
from torch.nn import functional

from robench.training.engine.batch import Batch
from robench.training.engine.network import Network
from robench.training.methods.base import AT_LEAST_1, Method, Step
from robench.training.networks.cae import CAE, FACTOR
from robench.training.ops.pixels import check_sides


@dataclass
class TrainCAE(Method):
    """Mean squared error between the image and its reconstruction; the image's side must be a multiple of 4.

    Args:
        width, code: of the network.
    """

    NORMS: ClassVar[tuple[str, ...]] = ("bn",)
    RANGES: ClassVar[Mapping[str, tuple[float, float]]] = {
        "width": AT_LEAST_1,
        "code": AT_LEAST_1,
    }

    width: int = 128
    code: int = 32

    def build(self) -> nn.Module:
        """Return the network that this method trains."""
        return CAE(self.width, self.code)

    def loss(self, net: Network, batch: Batch) -> Step:
        target = batch.view().float() / 255.0
        check_sides(target, FACTOR, "The autoencoder")
        return Step(functional.mse_loss(net.raw(target), target))
