"""Adversarial training with PGD (Madry et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass

from robench.training.engine.batch import Batch
from robench.training.engine.network import Network
from robench.training.methods.base import Method, Step
from robench.training.ops.attacks import pgd, random_start
from robench.training.ops.losses import cross_entropy


@dataclass
class Adversarial(Method):
    """Cross-entropy on PGD examples.

    Args:
        epsilon: L-infinity radius in units of [0, 1].
        steps: of the attack.
        step_size: in units of [0, 1].
        friendly: tau of friendly adversarial training (FAT, Zhang et al. 2020): steps that an image still makes once it
            is misclassified; -1: it makes all of them.
    """

    epsilon: float = 8 / 255
    steps: int = 7
    step_size: float = 2 / 255
    friendly: int = -1

    @property
    def passes(self) -> float:
        """See ``Method.passes``."""
        return 1.0 + self.steps

    def loss(self, net: Network, batch: Batch) -> Step:
        pixels = batch.view().float() / 255.0
        start = random_start(batch)
        friendly = None if self.friendly < 0 else self.friendly
        attack = (self.epsilon, self.steps, self.step_size, start)
        attacked = pgd(net, pixels, batch.labels, *attack, friendly=friendly)
        logits = net(attacked)
        return Step(cross_entropy(logits, batch.labels), logits, batch.labels)
