"""AutoLabel for AugMix with one chain: buckets by depth and by the clean image's share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from robench.corruptions._gpu import upload
from robench.training.engine.batch import Batch
from robench.training.engine.network import Network
from robench.training.methods.autolabel import SHARE, AutoLabel, pieces, probabilities
from robench.training.methods.base import AT_LEAST_1, LEVEL, NOT_NEGATIVE, Step
from robench.training.ops import augment
from robench.training.ops.chains import ChainDistribution
from robench.training.ops.labels import spread
from robench.training.ops.losses import cross_entropy, jensen_shannon


@dataclass
class AutoLabelAugMix(AutoLabel):
    """AutoLabel for AugMix with one chain (the paper's): buckets by depth and by the clean image's share.

    Args:
        severity: as for AugMix.
        consistency: weight of a Jensen-Shannon loss between the clean and the mixed view; 0: none, and the loss is
            the cross-entropy of the mixed view alone (the text does not say that the paper uses it).
        clean: also the cross-entropy of the clean view, with its one-hot label.
        depths: greatest depth of the chain; each has ``buckets`` buckets.
    """

    RANGES: ClassVar[Mapping[str, tuple[float, float]]] = {
        "buckets": AT_LEAST_1,
        "rate": NOT_NEGATIVE,
        "severity": LEVEL,
        "consistency": NOT_NEGATIVE,
        "depths": AT_LEAST_1,
    }

    severity: float = 3.0
    consistency: float = 0.0
    clean: bool = False
    depths: int = 3

    @property
    def passes(self) -> float:
        """See ``Method.passes``."""
        return 2.0 if self.clean or self.consistency else 1.0

    @property
    def count(self) -> int:
        """``depths * buckets``: bucket ``(d, n)`` is number ``(d - 1) * buckets + n - 1``."""
        return self.depths * self.buckets

    def mixed(
        self, batch: Batch, images: torch.Tensor, share: torch.Tensor, label: str, depth: int | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return one-chain AugMix images ``share * x + (1 - share) * chain`` and the chains' depths (n,)."""
        chain = ChainDistribution(1, -1 if depth is None else depth, self.severity, uniform_depth=self.depths)
        ops, values = chain.draw(batch.stream(label).on_host(), images.shape[-1])
        weights = torch.ones(len(images), 1, device=images.device)
        depths = upload((ops[:, 0] >= 0).sum(dim=1), images.device)
        return augment.mix(images, ops, values, weights, 1.0 - share), depths

    def loss(self, net: Network, batch: Batch) -> Step:
        images = batch.view()
        share = batch.stream("autolabel").uniform(SHARE, ())
        mixed, depths = self.mixed(batch, images, share, "autolabel-chain")
        bucket = (depths - 1) * self.buckets + self.bucket_of(share)
        if not (self.clean or self.consistency):
            logits = net(mixed)
            targets = spread(batch.labels, self.labels.of(bucket), logits.shape[1])
            return Step(cross_entropy(logits, targets), logits, batch.labels)
        plain, logits = net(torch.cat([images.float() / 255.0, mixed])).chunk(2)
        targets = spread(batch.labels, self.labels.of(bucket), logits.shape[1])
        loss = cross_entropy(logits, targets)
        if self.clean:
            loss = 0.5 * (loss + cross_entropy(plain, batch.labels))
        if self.consistency:
            loss = loss + self.consistency * jensen_shannon([plain, logits])
        return Step(loss, logits, batch.labels)

    def held_out_probabilities(self, net: Network, batch: Batch, bucket: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Augment at the bucket's depth with shares from its range."""
        depth, number = bucket // self.buckets + 1, bucket % self.buckets
        label = f"autolabel-held-out-{bucket}"
        found = []
        for piece in pieces(batch):
            mixed, _ = self.mixed(piece, piece.images, self.within(piece, number), label, depth)
            found.append(probabilities(net, mixed))
        return torch.cat(found), batch.labels
