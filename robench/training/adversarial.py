"""Adversarial training with PGD (Madry et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from robench.training.attacks import pgd
from robench.training.method import Batch, Method, Network, Step, cross_entropy

_START = 0


def random_start(batch: Batch, label: str = "pgd") -> torch.Tensor:
    """Return uniform numbers in [-1, 1] of the images' shape, the attack's beginning in units of epsilon."""
    size = batch.data.size
    return 2.0 * batch.stream(label).uniform(_START, (3, size, size)) - 1.0


@dataclass
class Adversarial(Method):
    """Cross-entropy on PGD examples.

    Args:
        epsilon: L-infinity radius in units of [0, 1].
        steps: of the attack.
        step_size: in units of [0, 1].
    """

    epsilon: float = 8 / 255
    steps: int = 7
    step_size: float = 2 / 255

    def loss(self, net: Network, batch: Batch) -> Step:
        pixels = batch.view().float() / 255.0
        start = random_start(batch)
        attacked = pgd(net, pixels, batch.labels, self.epsilon, self.steps, self.step_size, start)
        logits = net(attacked)
        return Step(cross_entropy(logits, batch.labels), logits, batch.labels)
