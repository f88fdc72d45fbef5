"""AugMix's chains of random operations: how they are drawn, and an image mixed from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from robench.errors import RobenchError
from robench.training.ops import augment, operations, sampling

if TYPE_CHECKING:
    from robench.corruptions.random import Stream

_DEPTH, _OPERATION, _LEVEL, _SIGN, _M, _WEIGHTS = 0, 1, 2, 3, 10, 30


@dataclass(frozen=True)
class ChainDistribution:
    """How chains are drawn.

    Args:
        width: number of chains.
        depth: operations per chain; -1: one, two or three, equally likely.
        severity: the level of an operation is drawn from U(0.1, severity).
        all_ops: also contrast, color, brightness and sharpness, which overlap with the -C corruptions.
        uniform_depth: greatest depth when ``depth`` is -1.

    Raises:
        RobenchError: a width or depth that cannot be drawn.
    """

    width: int = 3
    depth: int = -1
    severity: float = 3.0
    all_ops: bool = False
    uniform_depth: int = 3

    def __post_init__(self) -> None:
        if self.width < 1 or not (self.depth == -1 or self.depth >= 1):
            raise RobenchError(
                f"AugMix's width must be at least 1, and its depth at least 1 or -1 (one to three); "
                f"found {self.width} and {self.depth}."
            )

    def draw(self, stream: Stream, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ops int64 (n, width, D) and values float64 (n, width, D) for images of side ``size``."""
        longest = self.uniform_depth if self.depth < 0 else self.depth
        known = operations.AUGMIX_ALL if self.all_ops else operations.AUGMIX
        shape = (self.width, longest)
        # The lists are the first operations by number, so a place in the list is the number itself.
        ops = stream.integers(_OPERATION, 0, len(known), shape)
        values = self.values(stream, ops, size)
        if self.depth < 0:
            depths = stream.integers(_DEPTH, 1, longest + 1, (self.width, 1))
            beyond = torch.arange(longest, device=ops.device).view(1, 1, -1) >= depths
            ops = torch.where(beyond, operations.NONE, ops)
        return ops, values

    def values(self, stream: Stream, ops: torch.Tensor, size: int) -> torch.Tensor:
        """Return fresh values float64 for the operations ``ops`` (n, width, D)."""
        shape = tuple(ops.shape[1:])
        levels = 0.1 + (self.severity - 0.1) * stream.uniform(_LEVEL, shape).double()
        return operations.augmix_values(ops, levels, stream.uniform(_SIGN, shape) < 0.5, size)


def augmix(
    images: torch.Tensor, stream: Stream, chains: ChainDistribution, alpha: float = 1.0, fill: int = 0
) -> torch.Tensor:
    """Return the AugMix of every image.

    Args:
        images: uint8 (n, 3, S, S), flipped and cropped already.
        stream: the images' random numbers.
        chains: how the chains are drawn.
        alpha: of the Dirichlet distribution of the chains' weights and of the Beta distribution of their share.
        fill: grey value outside the image.

    Returns:
        float32 (n, 3, S, S) in [0, 1].
    """
    stream = stream.on_host()  # which operations there are decides what a GPU is told to do
    ops, values = chains.draw(stream, images.shape[-1])
    weights = sampling.dirichlet(stream, _WEIGHTS, alpha, chains.width)
    m = sampling.beta(stream, _M, alpha)
    return augment.mix(images, ops, values, weights, m, fill)
