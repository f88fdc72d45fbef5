"""DeepAugment and Noise2Net together with AugMix and AugMax: what one changes, the other then augments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from robench.training.augmax import AugMax
from robench.training.augmix import AugMix
from robench.training.deepaugment import DeepAugmentViews
from robench.training.method import Batch, Method, Network, Step, cross_entropy
from robench.training.noise2net import noised_half


def _with_images(batch: Batch, images: torch.Tensor) -> Batch:
    """Return the batch with other images, which are not flipped and cropped a second time."""
    data = batch.data.model_copy(update={"flip": False, "pad": 0})
    return replace(batch, images=images, data=data)


@dataclass
class _OnDeepAugment(Method):
    """Puts DeepAugment's images (clean, EDSR or CAE, by lot) before another method's.

    Args:
        networks, once: as for ``DeepAugment``.
    """

    networks: list[str] = field(default_factory=list)
    once: bool = False

    def __post_init__(self) -> None:
        if parent := getattr(super(), "__post_init__", None):
            parent()
        self._views = DeepAugmentViews(self.networks, self.once)

    def locate(self, folders: Mapping[str, Path]) -> None:
        """Learn where the networks lie."""
        self._views.folders = folders

    def begin(self, images: torch.Tensor | None, seed: int) -> None:
        """Make the sets where they are made once."""
        self._views.begin(images, seed)

    def loss(self, net: Network, batch: Batch) -> Step:
        return super().loss(net, _with_images(batch, self._views.view(batch)))


@dataclass
class DeepAugmentAugMix(_OnDeepAugment, AugMix):
    """AugMix on the images of DeepAugment; options of both."""


@dataclass
class DeepAugmentAugMax(_OnDeepAugment, AugMax):
    """AugMax on the images of DeepAugment; options of both."""


@dataclass
class DeepAugmentNoise2Net(_OnDeepAugment):
    """Noise2Net on half of a batch of DeepAugment's images.

    Args:
        low, high: range of Noise2Net's epsilon.
    """

    low: float = 0.375
    high: float = 0.75

    def loss(self, net: Network, batch: Batch) -> Step:
        logits = net.raw(noised_half(net, batch, self._views.view(batch), self.low, self.high))
        return Step(cross_entropy(logits, batch.labels), logits, batch.labels)
