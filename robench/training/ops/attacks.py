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
    delta = torch.zeros_like(pixels) if start is None else start * epsilon
    low, high = -torch.as_tensor(epsilon), torch.as_tensor(epsilon)
    low, high = low.to(pixels.device), high.to(pixels.device)
    with net.frozen():
        for _ in range(steps):
            attacked = (pixels + delta).clamp(0.0, 1.0).detach().requires_grad_(True)
            loss = functional.cross_entropy(net(attacked, route), targets, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, attacked)
            moved = attacked.detach() + step_size * gradient.sign() - pixels
            delta = torch.minimum(torch.maximum(moved, low), high)
    return (pixels + delta).clamp(0.0, 1.0).detach()


def random_start(batch: Batch, label: str = "pgd") -> torch.Tensor:
    """Return uniform numbers in [-1, 1] of the images' shape, where the attack begins in units of epsilon."""
    size = batch.data.size
    return 2.0 * batch.stream(label).uniform(_START, (3, size, size)) - 1.0
