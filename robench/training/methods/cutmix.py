"""CutMix: a box of one image replaced by another's, labels mixed by area (Yun et al. 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from robench.training.engine.batch import Batch
from robench.training.engine.network import Network
from robench.training.methods.base import POSITIVE, SHARE, Method, Step
from robench.training.methods.mixup import partners, shares
from robench.training.ops.boxes import boxes
from robench.training.ops.losses import paired_cross_entropy

_APPLY = 60


@dataclass
class CutMix(Method):
    """CutMix within the batch.

    Args:
        alpha: of the Beta distribution of the kept area.
        probability: of mixing a batch at all (0.5 for CIFAR, 1 for ImageNet in the published code).
        per_image: draw area and box for every image; the published code draws one of each for the batch.
    """

    RANGES: ClassVar[Mapping[str, tuple[float, float]]] = {
        "alpha": POSITIVE,
        "probability": SHARE,
    }

    alpha: float = 1.0
    probability: float = 0.5
    per_image: bool = False

    def loss(self, net: Network, batch: Batch) -> Step:
        pixels = batch.view()
        stream = batch.stream("cutmix")
        height, width = pixels.shape[-2:]
        share = shares(batch, "cutmix-share", self.alpha, self.per_image)
        side = ((1.0 - share).sqrt() * min(height, width)).long()
        mask = boxes(stream, height, width, side, pixels.device)
        mixed = stream.uniform(_APPLY, ()) < self.probability
        if not self.per_image:
            mask, mixed = mask[:1].expand_as(mask), mixed[:1].expand_as(mixed)
        mask = mask & mixed.view(-1, 1, 1, 1)
        partner = partners(batch, "cutmix")
        # The box may be clipped at the border, so the labels follow the area that was kept.
        kept = 1.0 - mask.float().mean(dim=(1, 2, 3))
        logits = net(torch.where(mask, pixels[partner], pixels))
        loss = paired_cross_entropy(logits, batch.labels, partner, kept)
        return Step(loss, logits, torch.where(kept >= 0.5, batch.labels, batch.labels[partner]))
