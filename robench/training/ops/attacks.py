"""Projected gradient descent on the input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from robench.training.engine.batch import Batch
    from robench.training.engine.network import Network

_START = 0


@dataclass
class Taken:
    """Passes that a method's attack has taken so far: fewer than it may where images stop early.

    Args:
        passes: of all images together; a forward pass alone counts as a third.
        images: attacked.
    """

    passes: float = 0.0
    images: int = 0

    def add(self, passes: float, images: int) -> None:
        """Count one batch."""
        self.passes, self.images = self.passes + passes, self.images + images

    def per_image(self, most: float) -> float:
        """Return the passes per image; ``most`` before the first."""
        return self.passes / self.images if self.images else most

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {"attacked": self.passes, "images": self.images}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take back what ``state`` returned."""
        self.passes, self.images = state.get("attacked", 0.0), state.get("images", 0)


def pgd(
    net: Network,
    pixels: torch.Tensor,
    targets: torch.Tensor,
    epsilon: torch.Tensor | float,
    steps: int,
    step_size: torch.Tensor | float,
    start: torch.Tensor | None = None,
    route: str | None = None,
) -> torch.Tensor:
    """Return images within an L-infinity ball that raise the cross-entropy (Madry et al. 2018).

    Args:
        net: attacked in evaluation mode with frozen weights.
        pixels: float (n, 3, H, W) in [0, 1].
        targets: int64 (n,) or probabilities (n, K).
        epsilon: radius, one for all or (n, 1, 1, 1), in units of [0, 1].
        steps: sign-gradient steps.
        step_size: their length, one for all or per image.
        start: where in [-1, 1] times epsilon the attack begins, (n, 3, H, W); None: at the image.
        route: through dual normalisation.

    Returns:
        float (n, 3, H, W) in [0, 1], detached.
    """
    return friendly_pgd(net, pixels, targets, epsilon, steps, step_size, start, route)[0]


def friendly_pgd(
    net: Network,
    pixels: torch.Tensor,
    targets: torch.Tensor,
    epsilon: torch.Tensor | float,
    steps: int,
    step_size: torch.Tensor | float,
    start: torch.Tensor | None = None,
    route: str | None = None,
    friendly: int | None = None,
) -> tuple[torch.Tensor, float]:
    """Return what ``pgd`` does, of an attack whose images may stop early, and the passes of all images that it took.

    Args:
        net, pixels, targets, epsilon, steps, step_size, start, route: see ``pgd``.
        friendly: an image stops after so many steps from where it is misclassified (Zhang et al. 2020, tau), which
            needs int64 targets; None: it makes all steps.

    Returns:
        float (n, 3, H, W) in [0, 1], detached; and the passes, at most ``steps * n``: a forward pass alone counts as a
        third, and images that have stopped go on through the network until all have.
    """
    passes = 0.0
    delta = torch.zeros_like(pixels) if start is None else start * epsilon
    high = epsilon if isinstance(epsilon, torch.Tensor) else pixels.new_full((), epsilon)
    low = -high
    wrong = torch.zeros(len(pixels), dtype=torch.int64, device=pixels.device)
    with net.frozen():
        for _ in range(steps):
            attacked = (pixels + delta).clamp(0.0, 1.0).detach().requires_grad_(True)
            logits = net(attacked, route)
            passes += len(pixels) / 3
            if friendly is not None:
                wrong += logits.argmax(dim=1) != targets
                if not bool((wrong <= friendly).any()):
                    break
            loss = functional.cross_entropy(logits, targets, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, attacked)
            passes += len(pixels) * 2 / 3
            moved = attacked.detach() + step_size * gradient.sign() - pixels
            moved = torch.minimum(torch.maximum(moved, low), high)
            delta = moved if friendly is None else torch.where((wrong <= friendly).view(-1, 1, 1, 1), moved, delta)
    return (pixels + delta).clamp(0.0, 1.0).detach(), passes


def confident_attack(
    net: Network,
    pixels: torch.Tensor,
    labels: torch.Tensor,
    epsilon: float,
    steps: int,
    step_size: float,
    start: torch.Tensor,
    momentum: float = 0.9,
    shrink: float = 1.5,
) -> torch.Tensor:
    """Return images within an L-infinity ball on which a wrong class is as confident as can be (Stutz et al. 2020).

    The attack climbs the largest probability of a wrong class along a running mean of the gradient's signs. A step
    that lowers an image's objective is not taken, and that image's step size is divided by ``shrink`` (backtracking),
    so that the last image is the best, wherever in the ball it is. Source: ``BatchGradientDescent`` with
    ``backtrack`` of davidstutz/confidence-calibrated-adversarial-training.

    Args:
        net: attacked in evaluation mode with frozen weights.
        pixels: float (n, 3, H, W) in [0, 1].
        labels: int64 (n,).
        epsilon: radius in units of [0, 1].
        steps: attempted, each a pass; the image of the last takes a forward pass more.
        step_size: the first, in units of [0, 1].
        start: where in [-1, 1] times epsilon the attack begins, (n, 3, H, W).
        momentum: of the running mean, which begins at zero: the first step is a tenth of the step size.
        shrink: of the step size.

    Returns:
        float (n, 3, H, W) in [0, 1], detached.
    """

    def clipped(delta: torch.Tensor) -> torch.Tensor:
        return (pixels + delta.clamp(-epsilon, epsilon)).clamp(0.0, 1.0) - pixels

    def objective(delta: torch.Tensor) -> torch.Tensor:
        probabilities = net(pixels + delta).softmax(dim=1)
        return probabilities.scatter(1, labels.unsqueeze(1), 0.0).amax(dim=1)

    trial, mean = clipped(start * epsilon), torch.zeros_like(pixels)
    delta, sign = trial, torch.zeros_like(pixels)
    size = pixels.new_full((len(pixels), 1, 1, 1), step_size)
    reached = pixels.new_full((len(pixels),), -1.0)
    with net.frozen():
        for step in range(steps + 1):
            trial = trial.detach().requires_grad_(step < steps)
            found = objective(trial)
            taken = (found.detach() >= reached).view(-1, 1, 1, 1)
            delta = torch.where(taken, trial.detach(), delta)
            if step == steps:  # the last image is only looked at
                break
            (gradient,) = torch.autograd.grad(found.sum(), trial)
            sign = torch.where(taken, gradient.sign(), sign)
            reached = torch.maximum(reached, found.detach())
            size = torch.where(taken, size, size / shrink)
            mean = momentum * mean + (1.0 - momentum) * sign
            trial = clipped(delta + size * mean)
    return (pixels + delta).detach()


def random_start(batch: Batch, label: str = "pgd") -> torch.Tensor:
    """Return uniform numbers in [-1, 1] of the images' shape, where the attack begins in units of epsilon."""
    size = batch.data.size
    return 2.0 * batch.stream(label).uniform(_START, (3, size, size)) - 1.0
