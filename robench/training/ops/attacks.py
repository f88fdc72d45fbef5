"""Projected gradient descent on the input."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from robench.training.engine.batch import Batch
    from robench.training.engine.network import Network

_START = 0


def pgd(
    net: Network,
    pixels: torch.Tensor,
    targets: torch.Tensor,
    epsilon: torch.Tensor | float,
    steps: int,
    step_size: torch.Tensor | float,
    start: torch.Tensor | None = None,
    route: str | None = None,
    friendly: int | None = None,
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
        friendly: an image stops after so many steps from where it is misclassified (Zhang et al. 2020, tau), which
            needs int64 targets; None: it makes all steps.

    Returns:
        float (n, 3, H, W) in [0, 1], detached.
    """
    delta = torch.zeros_like(pixels) if start is None else start * epsilon
    high = epsilon if isinstance(epsilon, torch.Tensor) else pixels.new_full((), epsilon)
    low = -high
    wrong = torch.zeros(len(pixels), dtype=torch.int64, device=pixels.device)
    with net.frozen():
        for _ in range(steps):
            attacked = (pixels + delta).clamp(0.0, 1.0).detach().requires_grad_(True)
            logits = net(attacked, route)
            loss = functional.cross_entropy(logits, targets, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, attacked)
            moved = attacked.detach() + step_size * gradient.sign() - pixels
            moved = torch.minimum(torch.maximum(moved, low), high)
            if friendly is None:
                delta = moved
                continue
            wrong += logits.argmax(dim=1) != targets
            moving = wrong <= friendly
            if not bool(moving.any()):
                break
            delta = torch.where(moving.view(-1, 1, 1, 1), moved, delta)
    return (pixels + delta).clamp(0.0, 1.0).detach()


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
        steps: attempted.
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
            trial = trial.detach().requires_grad_(True)
            found = objective(trial)
            (gradient,) = torch.autograd.grad(found.sum(), trial)
            taken = (found.detach() >= reached).view(-1, 1, 1, 1)
            delta = torch.where(taken, trial.detach(), delta)
            sign = torch.where(taken, gradient.sign(), sign)
            reached = torch.maximum(reached, found.detach())
            size = torch.where(taken, size, size / shrink)
            if step < steps:
                mean = momentum * mean + (1.0 - momentum) * sign
                trial = clipped(delta + size * mean)
    return (pixels + delta).detach()


def random_start(batch: Batch, label: str = "pgd") -> torch.Tensor:
    """Return uniform numbers in [-1, 1] of the images' shape, where the attack begins in units of epsilon."""
    size = batch.data.size
    return 2.0 * batch.stream(label).uniform(_START, (3, size, size)) - 1.0
