"""AutoLabel for adversarial training: a radius for every image, buckets by radius."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from robench.training.engine.batch import Batch
from robench.training.engine.network import Network
from robench.training.methods.autolabel import SHARE, AutoLabel, pieces, probabilities
from robench.training.methods.base import AT_LEAST_1, NOT_NEGATIVE, RADIUS, Step
from robench.training.ops.attacks import pgd, random_start
from robench.training.ops.labels import spread
from robench.training.ops.losses import cross_entropy


@dataclass
class AutoLabelAdversarial(AutoLabel):
    """AutoLabel for adversarial training: the radius is drawn for every image, buckets by radius.

    Args:
        epsilon: the greatest radius, in units of [0, 1].
        steps: of the attack.
        step_fraction: length of a step as a share of the radius.
    """

    RANGES: ClassVar[Mapping[str, tuple[float, float]]] = {
        "buckets": AT_LEAST_1,
        "rate": NOT_NEGATIVE,
        "epsilon": RADIUS,
        "steps": AT_LEAST_1,
        "step_fraction": NOT_NEGATIVE,
    }

    epsilon: float = 8 / 255
    steps: int = 7
    step_fraction: float = 0.25

    @property
    def passes(self) -> float:
        """See ``Method.passes``."""
        return 1.0 + self.steps

    def attacked(self, net: Network, batch: Batch, pixels: torch.Tensor, radius: torch.Tensor) -> torch.Tensor:
        """Return PGD examples within every image's own radius (n,)."""
        epsilon = radius.view(-1, 1, 1, 1)
        start = random_start(batch)
        return pgd(net, pixels, batch.labels, epsilon, self.steps, self.step_fraction * epsilon, start)

    def loss(self, net: Network, batch: Batch) -> Step:
        share = batch.stream("autolabel-radius").uniform(SHARE, ())
        attacked = self.attacked(net, batch, batch.view().float() / 255.0, share * self.epsilon)
        logits = net(attacked)
        targets = spread(batch.labels, self.labels.of(self.bucket_of(share)), logits.shape[1])
        return Step(cross_entropy(logits, targets), logits, batch.labels)

    def held_out_probabilities(self, net: Network, batch: Batch, bucket: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Attack the held-out images with radii from the bucket's range."""
        found = []
        for piece in pieces(batch):
            radius = self.within(piece, bucket) * self.epsilon
            attacked = self.attacked(net, piece, piece.images.float() / 255.0, radius)
            found.append(probabilities(net, attacked))
        return torch.cat(found), batch.labels
