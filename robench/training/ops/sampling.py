"""Random distributions drawn from the counter-based stream, per image: gamma, beta, Dirichlet."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.corruptions.random import Stream

_ROUNDS = 8


def gamma(stream: Stream, draw: int, alpha: float, shape: tuple[int, ...]) -> torch.Tensor:
    """Return Gamma(alpha, 1) numbers, float32 (N, *shape).

    Exponential for alpha = 1; else by the method of Marsaglia and Tsang (2000) with eight proposals per number
    (each is accepted with probability above 0.95, so that one in 10^11 falls back to the mode).

    Args:
        stream: the images' stream; this uses the draws ``draw`` to ``draw + 16``.
        draw: first draw number.
        alpha: shape parameter, above 0.
        shape: per image.
    """
    if not alpha > 0:
        raise RobenchError(f"The alpha of a gamma, beta or Dirichlet distribution must be above 0, found {alpha}.")
    if alpha == 1.0:
        return -torch.log1p(-stream.uniform(draw, shape))
    boosted = alpha if alpha >= 1.0 else alpha + 1.0
    d = boosted - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    result = torch.full_like(stream.uniform(draw, shape), d)
    open_ = torch.ones_like(result, dtype=torch.bool)
    for trial in range(_ROUNDS):
        x = stream.normal(draw + 1 + 2 * trial, shape)
        u = stream.uniform(draw + 2 + 2 * trial, shape)
        v = (1.0 + c * x) ** 3
        safe = v.clamp_min(1e-12)
        accepted = open_ & (v > 0) & (torch.log(u) < 0.5 * x**2 + d * (1.0 - v + torch.log(safe)))
        result = torch.where(accepted, d * v, result)
        open_ = open_ & ~accepted
    if alpha < 1.0:
        result = result * stream.uniform(draw, shape).clamp_min(1e-12) ** (1.0 / alpha)
    return result


def dirichlet(stream: Stream, draw: int, alpha: float, width: int) -> torch.Tensor:
    """Return weights from Dirichlet(alpha, ..., alpha), float32 (N, width); uses 17 draws from ``draw``."""
    parts = gamma(stream, draw, alpha, (width,)).clamp_min(1e-12)
    return parts / parts.sum(dim=1, keepdim=True)


def beta(stream: Stream, draw: int, alpha: float) -> torch.Tensor:
    """Return numbers from Beta(alpha, alpha), float32 (N,); uses 17 draws from ``draw``."""
    if alpha == 1.0:
        return stream.uniform(draw, ())
    return dirichlet(stream, draw, alpha, 2)[:, 0]
