"""The spatial attack stAdv: every pixel moves a little, smoothly, so that the loss rises.

Xiao, Zhu, Li, He, Liu, Song: Spatially Transformed Adversarial Examples, ICLR 2018. There a flow is found by L-BFGS
with a penalty on its roughness; in training we climb a few normalised gradient steps within a largest shift.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from robench.training.engine.network import Network

_TINY = 1e-12


def warp(pixels: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    """Return ``out[y, x] = pixels[y + flow_y, x + flow_x]``, bilinear, the border's pixels repeated outside.

    Args:
        pixels: float (n, 3, H, W).
        flow: float (n, H, W, 2), x before y, in pixels.
    """
    n, _, height, width = pixels.shape
    identity = torch.eye(2, 3, device=pixels.device, dtype=pixels.dtype).expand(n, 2, 3)
    grid = functional.affine_grid(identity, [n, 1, height, width], align_corners=False)
    shift = flow * flow.new_tensor([2.0 / width, 2.0 / height])
    return functional.grid_sample(pixels, grid + shift, padding_mode="border", align_corners=False)


def roughness(flow: torch.Tensor) -> torch.Tensor:
    """Return how much neighbouring pixels' shifts differ, (n,): the paper's flow loss (equation 4).

    The sum, over the pairs of pixels that are neighbours in a row or column, of the distance between their shifts
    (the paper counts every pair twice).
    """
    down = flow[:, 1:] - flow[:, :-1]
    right = flow[:, :, 1:] - flow[:, :, :-1]
    # A distance has no gradient at 0, where the attack begins.
    apart = [(step.square().sum(dim=3) + _TINY).sqrt().sum(dim=(1, 2)) for step in (down, right)]
    return apart[0] + apart[1]


def spatial_attack(
    net: Network,
    pixels: torch.Tensor,
    labels: torch.Tensor,
    *,
    steps: int,
    largest: float,
    smoothness: float,
    route: str | None = None,
) -> torch.Tensor:
    """Return images whose pixels are shifted so that the cross-entropy rises.

    Args:
        net: attacked in evaluation mode with frozen weights.
        pixels: float (n, 3, H, W) in [0, 1].
        labels: int64 (n,).
        steps: of gradient ascent; each moves an image's fastest pixel by ``1.5 largest / steps``.
        largest: shift of a pixel along x or y, in pixels.
        smoothness: weight of ``roughness`` against the cross-entropy (tau).
        route: through dual normalisation.

    Returns:
        float (n, 3, H, W) in [0, 1], detached.
    """
    n, _, height, width = pixels.shape
    flow = pixels.new_zeros(n, height, width, 2)
    step_size = 1.5 * largest / max(1, steps)
    with net.frozen():
        for _ in range(steps):
            flow.requires_grad_(True)
            loss = functional.cross_entropy(net(warp(pixels, flow), route), labels, reduction="sum")
            (gradient,) = torch.autograd.grad(loss - smoothness * roughness(flow).sum(), flow)
            fastest = gradient.abs().amax(dim=(1, 2, 3), keepdim=True).clamp_min(_TINY)
            flow = (flow.detach() + step_size * gradient / fastest).clamp(-largest, largest)
    return warp(pixels, flow.detach()).detach()
