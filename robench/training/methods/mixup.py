"""Mixup: convex combinations of two images and of their labels (Zhang et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from robench.training.engine.batch import Batch
from robench.training.engine.network import Network
from robench.training.methods.base import POSITIVE, Method, Step
from robench.training.ops import sampling
from robench.training.ops.losses import paired_cross_entropy

_SHARE, _PARTNER = 0, 40


def partners(batch: Batch, label: str) -> torch.Tensor:
    """Return a random permutation of the batch: int64 (n,), the place of every image's partner."""
    return batch.stream(label).uniform(_PARTNER, ()).argsort()


def shares(batch: Batch, label: str, alpha: float, per_image: bool) -> torch.Tensor:
    """Return the share of the first image: float32 (n,) from Beta(alpha, alpha), one for all or one each."""
    share = sampling.beta(batch.stream(label), _SHARE, alpha)
    return share if per_image else share[:1].expand_as(share)


@dataclass
class Mixup(Method):
    """Mixup within the batch.

    Args:
        alpha: of the Beta distribution.
        per_image: draw a share for every image; the published code draws one for the batch.
    """

    RANGES: ClassVar[Mapping[str, tuple[float, float]]] = {
        "alpha": POSITIVE,
    }

    alpha: float = 1.0
    per_image: bool = False

    def loss(self, net: Network, batch: Batch) -> Step:
        pixels = batch.view().float() / 255.0
        partner = partners(batch, "mixup")
        share = shares(batch, "mixup", self.alpha, self.per_image)
        weight = share.view(-1, 1, 1, 1)
        logits = net(weight * pixels + (1.0 - weight) * pixels[partner])
        loss = paired_cross_entropy(logits, batch.labels, partner, share)
        # The logged accuracy is that of the image with the larger share.
        return Step(loss, logits, torch.where(share >= 0.5, batch.labels, batch.labels[partner]))
