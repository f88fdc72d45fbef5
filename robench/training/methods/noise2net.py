"""Noise2Net: half of every batch passes through random networks (Hendrycks et al. 2021).

As in ``train_noise2net.py`` of hendrycks/imagenet-r, the first half of the batch, on normalised pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from robench.errors import RobenchError
from robench.training.engine.batch import Batch
from robench.training.engine.network import Network
from robench.training.methods.base import NOT_NEGATIVE, Method, Step
from robench.training.networks.noise2net import draw_shape, noise2net
from robench.training.ops.losses import cross_entropy


@torch.no_grad()
def noised_half(net: Network, batch: Batch, pixels: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """Return normalised inputs of which the first half went through Noise2Net."""
    inputs = net.normalise(pixels)
    half = len(inputs) // 2
    if half:
        noised = noise2net(inputs[:half].contiguous(), batch, draw_shape(batch), low, high)
        inputs = torch.cat([noised, inputs[half:]]).contiguous(memory_format=torch.channels_last)
    return inputs


@dataclass
class Noise2Net(Method):
    """Cross-entropy with half of the batch passed through random networks.

    Args:
        low, high: range of epsilon.
    """

    RANGES: ClassVar[Mapping[str, tuple[float, float]]] = {
        "low": NOT_NEGATIVE,
        "high": NOT_NEGATIVE,
    }

    low: float = 0.375
    high: float = 0.75

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise RobenchError(f"Noise2Net's low must not be above high; found {self.low:g} and {self.high:g}.")

    def loss(self, net: Network, batch: Batch) -> Step:
        logits = net.raw(noised_half(net, batch, batch.view(), self.low, self.high))
        return Step(cross_entropy(logits, batch.labels), logits, batch.labels)
