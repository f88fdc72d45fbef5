"""Boxes placed at random, one per image, for Cutout, CutMix and the Patch methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from robench.corruptions.random import Stream

_ROW, _COLUMN = 900, 901


def boxes(stream: Stream, height: int, width: int, side: int | torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return a mask that is true within a square around a uniformly drawn pixel, clipped at the borders.

    Args:
        stream: the images' random numbers (uses draws 900 and 901).
        height, width: of the images.
        side: of the squares in pixels; one for all, or int64 (n,).
        device: of the mask.

    Returns:
        bool (n, 1, H, W).
    """
    row = stream.integers(_ROW, 0, height, ()).view(-1, 1, 1, 1)
    column = stream.integers(_COLUMN, 0, width, ()).view(-1, 1, 1, 1)
    length = torch.as_tensor(side, device=device).view(-1, 1, 1, 1)
    y = torch.arange(height, device=device).view(1, 1, height, 1)
    x = torch.arange(width, device=device).view(1, 1, 1, width)
    first = length // 2
    rows = (y >= row - first) & (y < row - first + length)
    return rows & (x >= column - first) & (x < column - first + length)
