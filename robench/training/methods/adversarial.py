"""Adversarial training with PGD (Madry et al. 2018)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from robench.training.engine.batch import Batch
from robench.training.engine.network import Network
from robench.training.methods.base import AT_LEAST_1, RADIUS, Method, Step
from robench.training.ops.attacks import Taken, friendly_pgd, random_start
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

    RANGES: ClassVar[Mapping[str, tuple[float, float]]] = {
        "epsilon": RADIUS,
        "steps": AT_LEAST_1,
        "step_size": RADIUS,
        "friendly": (-1.0, math.inf),
    }

    epsilon: float = 8 / 255
    steps: int = 7
    step_size: float = 2 / 255
    friendly: int = -1
    _taken: Taken = field(default_factory=Taken, init=False, repr=False)

    @property
    def passes(self) -> float:
        """See ``Method.passes``."""
        return 1.0 + self.steps

    @property
    def passes_taken(self) -> float:
        """See ``Method.passes_taken``: a friendly attack ends where all images of a batch have stopped."""
        return 1.0 + self._taken.per_image(self.steps)

    def state(self) -> dict[str, Any]:
        return self._taken.state()

    def load_state(self, state: dict[str, Any]) -> None:
        self._taken.load_state(state)

    def loss(self, net: Network, batch: Batch) -> Step:
        pixels = batch.view().float() / 255.0
        start = random_start(batch)
        friendly = None if self.friendly < 0 else self.friendly
        attack = (self.epsilon, self.steps, self.step_size, start)
        attacked, passes = friendly_pgd(net, pixels, batch.labels, *attack, friendly=friendly)
        self._taken.add(passes, len(pixels))
        logits = net(attacked)
        return Step(cross_entropy(logits, batch.labels), logits, batch.labels)
