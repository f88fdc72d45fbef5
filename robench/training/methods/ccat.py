"""Confidence-calibrated adversarial training (Stutz et al. 2020), a baseline of AutoLabel."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.nn import functional

from robench.errors import RobenchError
from robench.training.engine.batch import Batch
from robench.training.engine.network import Network
from robench.training.methods.base import AT_LEAST_1, NOT_NEGATIVE, RADIUS, Method, Step
from robench.training.ops.attacks import confident_attack, pgd, random_start
from robench.training.ops.losses import cross_entropy

_NORM, _KIND, _NOISE = 0, 1, 2


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
        attack: ``confident``: the original's (``confident_attack``), begun at the image itself, at Gaussian noise of
            standard deviation epsilon / (2 ln D) for D numbers per image, or in a random direction with a norm drawn
            from U(0, epsilon), a third of the images each (the published code draws which for a batch); ``pgd``:
            plain PGD on the cross-entropy, whose images lie at the ball's border, so that their labels are uniform.
        epsilon, steps, step_size: of the attack.
        rho: of the power transition.
    """

    RANGES: ClassVar[Mapping[str, tuple[float, float]]] = {
        "epsilon": RADIUS,
        "steps": AT_LEAST_1,
        "step_size": RADIUS,
        "rho": NOT_NEGATIVE,
    }

    attack: str = "confident"
    epsilon: float = 8 / 255
    steps: int = 7
    step_size: float = 2 / 255
    rho: float = 10.0

    @property
    def passes(self) -> float:
        """See ``Method.passes``; the original's attack looks once more at the images of its last step."""
        return 1.0 + 0.5 * (self.steps + (1 / 3 if self.attack == "confident" else 0))

    def __post_init__(self) -> None:
        if self.attack not in ("confident", "pgd"):
            raise RobenchError(f"CCAT's attack must be confident or pgd, found '{self.attack}'.")

    def attacked(
        self, net: Network, batch: Batch, pixels: torch.Tensor, labels: torch.Tensor, start: torch.Tensor
    ) -> torch.Tensor:
        """Return adversarial examples of the first images of the batch: float32 (m, 3, H, W) in [0, 1]."""
        attack = (self.epsilon, self.steps, self.step_size)
        if self.attack == "pgd":
            return pgd(net, pixels, labels, *attack, start)
        return confident_attack(net, pixels, labels, *attack, self.confident_start(batch)[: len(pixels)])

    def confident_start(self, batch: Batch) -> torch.Tensor:
        """Return where the original's attack begins, in units of epsilon: float32 (n, 3, S, S)."""
        stream, size = batch.stream("ccat"), batch.data.size
        noise = stream.normal(_NOISE, (3, size, size))
        direction = noise / noise.abs().amax(dim=(1, 2, 3), keepdim=True).clamp_min(1e-12)
        norm = stream.uniform(_NORM, ()).view(-1, 1, 1, 1)
        kind = stream.integers(_KIND, 0, 3, ()).view(-1, 1, 1, 1)
        gaussian = noise / (2.0 * math.log(noise[0].numel()))
        return torch.where(kind == 0, torch.zeros_like(noise), torch.where(kind == 1, gaussian, norm * direction))

    def loss(self, net: Network, batch: Batch) -> Step:
        pixels = batch.view().float() / 255.0
        half = max(1, len(pixels) // 2)
        attacked_pixels, labels = pixels[:half], batch.labels[:half]
        start = random_start(batch)[:half]
        attacked = self.attacked(net, batch, attacked_pixels, labels, start)
        distance = (attacked - attacked_pixels).abs().amax(dim=(1, 2, 3))
        logits = net(torch.cat([attacked, pixels[half:]]))
        targets = ccat_targets(labels, distance, self.epsilon, self.rho, logits.shape[1])
        share = half / len(pixels)
        loss = share * cross_entropy(logits[:half], targets)
        if half < len(pixels):
            loss = loss + (1.0 - share) * cross_entropy(logits[half:], batch.labels[half:])
        return Step(loss, logits[half:], batch.labels[half:])
