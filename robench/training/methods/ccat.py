"""Confidence-calibrated adversarial training (Stutz et al. 2020), a baseline of AutoLabel."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from robench.training.engine.batch import Batch
from robench.training.engine.network import Network
from robench.training.methods.base import Method, Step
from robench.training.ops.attacks import pgd, random_start
from robench.training.ops.losses import cross_entropy


def ccat_targets(
    labels: torch.Tensor, distance: torch.Tensor, epsilon: float, rho: float, classes: int
) -> torch.Tensor:
    """Return labels that fade from one-hot to uniform with the distance of the perturbation.

    ``g y + (1 - g) / K`` with ``g = (1 - min(1, distance / epsilon)) ** rho`` (the power transition).

    Args:
        labels: int64 (n,).
        distance: L-infinity norm of every perturbation, (n,).
        epsilon: distance from which on the label is uniform.
        rho: sharpness; 10 in Stutz et al. and in the AutoLabel paper.
        classes: K.

    Returns:
        float32 (n, K), rows summing to 1.
    """
    share = (1.0 - (distance / epsilon).clamp(max=1.0)) ** rho
    one_hot = functional.one_hot(labels, classes).float()
    return share.unsqueeze(1) * one_hot + (1.0 - share).unsqueeze(1) / classes


@dataclass
class CCAT(Method):
    """Half of the batch clean, half attacked with labels that fade with the perturbation's size.

    Args:
        epsilon, steps, step_size: of the attack.
        rho: of the power transition.
    """

    epsilon: float = 8 / 255
    steps: int = 7
    step_size: float = 2 / 255
    rho: float = 10.0

    @property
    def passes(self) -> float:
        """See ``Method.passes``."""
        return 1.0 + 0.5 * self.steps

    def loss(self, net: Network, batch: Batch) -> Step:
        pixels = batch.view().float() / 255.0
        half = max(1, len(pixels) // 2)
        attacked_pixels, labels = pixels[:half], batch.labels[:half]
        start = random_start(batch)[:half]
        attacked = pgd(net, attacked_pixels, labels, self.epsilon, self.steps, self.step_size, start)
        distance = (attacked - attacked_pixels).abs().amax(dim=(1, 2, 3))
        logits = net(torch.cat([attacked, pixels[half:]]))
        targets = ccat_targets(labels, distance, self.epsilon, self.rho, logits.shape[1])
        share = half / len(pixels)
        loss = share * cross_entropy(logits[:half], targets)
        if half < len(pixels):
            loss = loss + (1.0 - share) * cross_entropy(logits[half:], batch.labels[half:])
        return Step(loss, logits[half:], batch.labels[half:])
