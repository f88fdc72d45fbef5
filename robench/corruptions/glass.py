"""Glass blur: pixels take the value of a neighbour, one after another, between two Gaussian blurs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from robench.corruptions import _device, _gpu
from robench.corruptions._pool import map_images
from robench.corruptions.blur import gaussian_smooth, smoother
from robench.corruptions.random import Stream


def glass_blur(images: torch.Tensor, params: tuple[float, int, int], stream: Stream) -> torch.Tensor:
    """Blur, displace, blur.

    The published loop means to exchange two pixels, but both names point into the same array: the pixel takes its
    neighbour's value and the neighbour keeps it. That copy is the protocol. Pixels are visited from the lower right,
    and shifts are drawn from -d to d - 1, as there.

    Args:
        images: uint8 (N, 3, H, W).
        params: (sigma in pixels, largest shift d in pixels, iterations).
        stream: draw 0 the shifts.

    Returns:
        uint8 (N, 3, H, W), truncated.
    """
    sigma, reach, iterations = params
    height, width = images.shape[2:]
    reach = min(reach, (min(height, width) - 1) // 2)
    if not _device.has_loops(images.device):
        smooth = gaussian_smooth(images, sigma)
        made = smooth if reach <= 0 else _gpu.attempt(images.device, "warp.displace", smooth, stream, reach, iterations)
        if made is None:
            shifts = stream.integers(0, -reach, reach, (iterations, height, width, 2))
            made = displace(smooth, shifts, reach)
        return gaussian_smooth(made, sigma)
    from robench.corruptions._kernels import displace_one

    smooth_one = smoother(sigma)
    index, (k0, k1) = stream.index_array(), stream.key

    def blur(image: npt.NDArray[np.uint8], row: int) -> npt.NDArray[np.uint8]:
        image = smooth_one(image)
        if reach > 0:
            moved = np.empty(image.shape, np.uint8)
            displace_one(image, index[row], k0, k1, iterations, reach, moved)
            image = moved
        return smooth_one(image)

    return map_images(blur, images)


def displace(images: torch.Tensor, shifts: torch.Tensor, reach: int) -> torch.Tensor:
    """Copy neighbours without a loop over pixels, for GPUs: each chain of copies is followed by pointer doubling.

    A pixel takes the new value of a neighbour that was visited before it, and the old value of one that was not.
    Places 0..P-1 stand for new values, P..2P-1 for old ones; old values point to themselves.
    """
    n, channels, height, width = images.shape
    pixels = height * width
    y = torch.arange(height, device=images.device).view(1, height, 1)
    x = torch.arange(width, device=images.device).view(1, 1, width)
    place = y * width + x
    inside = (y > reach) & (y <= height - reach) & (x > reach) & (x <= width - reach)
    flat = images.reshape(n, channels, pixels)
    for t in range(shifts.shape[1]):
        sy, sx = y + shifts[:, t, ..., 1], x + shifts[:, t, ..., 0]
        source = (sy * width + sx).clamp_(0, pixels - 1)
        visited_before = (source > place) & _inside(sy, sx, height, width, reach)
        pointer = torch.where(inside, torch.where(visited_before, source, source + pixels), place + pixels)
        pointer = pointer.reshape(n, pixels)
        old = torch.arange(pixels, 2 * pixels, device=images.device).expand(n, pixels)
        pointer = torch.cat([pointer, old], dim=1)
        while bool((pointer[:, :pixels] < pixels).any()):
            pointer = pointer.gather(1, pointer)
        chosen = (pointer[:, :pixels] - pixels).unsqueeze(1).expand(-1, channels, -1)
        flat = flat.gather(2, chosen)
    return flat.reshape(n, channels, height, width)


def _inside(y: torch.Tensor, x: torch.Tensor, height: int, width: int, reach: int) -> torch.Tensor:
    return (y > reach) & (y <= height - reach) & (x > reach) & (x <= width - reach)
