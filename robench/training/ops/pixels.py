"""Flips and crops of a batch, every image its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from robench.errors import RobenchError

if TYPE_CHECKING:
    from robench.corruptions.random import Stream

FLIP, CROP_Y, CROP_X = 0, 1, 2


def check_sides(images: torch.Tensor, factor: int, network: str) -> None:
    """Check that a network that halves and doubles an image's sides gives it back its size.

    Args:
        images: (n, C, H, W).
        factor: of the sides.
        network: its name, for the message.

    Raises:
        RobenchError: a side is not a multiple of the factor.
    """
    height, width = images.shape[-2:]
    if height % factor or width % factor:
        side = max(1, round(height / factor)) * factor
        raise RobenchError(
            f"{network} takes images whose sides are multiples of {factor} pixels; these have {width}x{height}.",
            hint=f"Train on images of another size: `set='data.size={side}'`.",
        )


def flip_and_crop(images: torch.Tensor, stream: Stream, *, flip: bool, pad: int) -> torch.Tensor:
    """Mirror with probability 1/2 and crop at a random place of the image padded with black.

    Args:
        images: uint8 (n, C, H, W).
        stream: the images' random numbers.
        flip: whether to mirror at all.
        pad: pixels of padding on every side; 0: no crop.

    Returns:
        uint8 (n, C, H, W).
    """
    n, channels, height, width = images.shape
    device = images.device
    mirrored = stream.uniform(FLIP, ()) < 0.5 if flip else torch.zeros(n, dtype=torch.bool, device=device)
    rows = torch.arange(height, device=device).expand(n, height)
    columns = torch.arange(width, device=device).expand(n, width)
    if pad:
        rows = rows + stream.integers(CROP_Y, 0, 2 * pad + 1, ()).view(n, 1)
        columns = columns + stream.integers(CROP_X, 0, 2 * pad + 1, ()).view(n, 1)
        images = torch.nn.functional.pad(images, (pad, pad, pad, pad))
    last = width + 2 * pad - 1
    columns = torch.where(mirrored.view(n, 1), last - columns, columns)
    if not (pad or flip):
        return images
    number = torch.arange(n, device=device).view(n, 1, 1, 1)
    channel = torch.arange(channels, device=device).view(1, channels, 1, 1)
    return images[number, channel, rows.view(n, 1, height, 1), columns.view(n, 1, 1, width)]
