"""Random AutoAugment* of the AugMix paper: one random chain, not mixed with the image.

The paper (section 4.2 and Table 4) has every image's policy drawn at random, with random magnitudes, from AugMix's
operations. It gives no depth; the chain here is drawn as one of AugMix's (one to three operations).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from robench.training.engine.batch import Batch
from robench.training.methods.augmix import AugMix
from robench.training.ops import augment
from robench.training.ops.chains import ChainDistribution


@dataclass
class RandomAutoAugment(AugMix):
    """One unmixed chain; with ``jsd`` the consistency loss over the clean image and two such chains."""

    jsd: bool = False

    def mixed(self, batch: Batch, clean: torch.Tensor, view: int) -> torch.Tensor:
        """Return one randomly augmented view: float32 in [0, 1]."""
        chain = ChainDistribution(1, self.depth, self.severity, self.all_ops)
        ops, values = chain.draw(batch.stream(f"random-autoaugment-{view}").on_host(), clean.shape[-1])
        return augment.apply(clean, ops[:, 0], values[:, 0], self.fill).float() / 255.0
