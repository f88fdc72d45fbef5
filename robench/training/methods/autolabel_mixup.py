"""AutoLabel for mixup: buckets by the minor image's share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from robench.training.engine.batch import Batch
from robench.training.engine.network import Network
from robench.training.methods.autolabel import AutoLabel, probabilities
from robench.training.methods.base import AT_LEAST_1, NOT_NEGATIVE, POSITIVE, Step
from robench.training.methods.mixup import partners, shares
from robench.training.ops.labels import spread_two
from robench.training.ops.losses import cross_entropy


@dataclass
class AutoLabelMixup(AutoLabel):
    """AutoLabel for mixup: buckets by the minor image's share.

    Args:
        alpha: of mixup's Beta distribution (1 in the paper).
        per_image: draw a share for every image; the paper draws one per step, as mixup does.
    """

    RANGES: ClassVar[Mapping[str, tuple[float, float]]] = {
        "buckets": AT_LEAST_1,
        "rate": NOT_NEGATIVE,
        "alpha": POSITIVE,
    }

    alpha: float = 1.0
    per_image: bool = False

    def loss(self, net: Network, batch: Batch) -> Step:
        pixels = batch.view().float() / 255.0
        share = shares(batch, "autolabel-mixup", self.alpha, self.per_image)
        minor = torch.minimum(share, 1.0 - share)
        partner = partners(batch, "autolabel-partners")
        weight = share.view(-1, 1, 1, 1)
        logits = net(weight * pixels + (1.0 - weight) * pixels[partner])
        own_major = share >= 0.5
        major = torch.where(own_major, batch.labels, batch.labels[partner])
        other = torch.where(own_major, batch.labels[partner], batch.labels)
        value = self.labels.of(self.bucket_of(2.0 * minor))
        targets = spread_two(major, other, minor, value, logits.shape[1])
        return Step(cross_entropy(logits, targets), logits, major)

    def held_out_probabilities(self, net: Network, batch: Batch, bucket: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Mix held-out images with one another; the class that prevails counts as right."""
        pixels = batch.images.float() / 255.0
        partner = partners(batch, f"autolabel-held-out-{bucket}")
        minor = (0.5 * self.within(batch, bucket)).view(-1, 1, 1, 1)
        return probabilities(net, (1.0 - minor) * pixels + minor * pixels[partner]), batch.labels
