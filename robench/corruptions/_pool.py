"""A thread pool over images, for libraries that work on one image at a time and let go of the interpreter lock."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import numpy.typing as npt
import torch

from robench import cpu

Image = npt.NDArray[np.uint8]


def map_images(function: Callable[[Image, int], Image], images: torch.Tensor) -> torch.Tensor:
    """Apply ``function(image, row)`` to every image of a batch.

    Args:
        function: from uint8 (H, W, 3), contiguous, and the row in the batch, to the same.
        images: uint8 (N, 3, H, W) on any device; others than the CPU are copied to the host and back.

    Returns:
        uint8 (N, 3, H, W) in channels_last memory on the images' device.
    """
    planes = images.cpu().numpy()
    number, channels, height, width = planes.shape
    out = np.empty((number, height, width, channels), np.uint8)

    def work(row: int) -> None:
        out[row] = function(_interleaved(planes[row]), row)

    each_row(work, number)
    return torch.from_numpy(out).permute(0, 3, 1, 2).to(images.device)


def each_row(work: Callable[[int], None], number: int) -> None:
    """Call ``work`` for the rows 0 to number - 1, in this process's threads."""

    def some(rows: range) -> None:
        for row in rows:
            work(row)

    threads = cpu.threads()
    step = max(1, -(-number // (4 * threads)))
    pieces = [range(start, min(start + step, number)) for start in range(0, number, step)]
    if threads == 1 or len(pieces) < 2:
        for piece in pieces:
            some(piece)
    else:
        list(_executor(os.getpid()).map(some, pieces))


def _interleaved(planes: Image) -> Image:
    """Return (C, H, W) as contiguous (H, W, C); what is in that order already is not copied."""
    image = planes.transpose(1, 2, 0)
    if image.flags.c_contiguous:
        return image
    import cv2

    # Several times faster than numpy's copy, and each thread does its own.
    return np.asarray(cv2.merge([np.ascontiguousarray(plane) for plane in planes]), np.uint8)


@cache
def _executor(process: int) -> ThreadPoolExecutor:
    """Return this process's pool; a forked child makes one of its own."""
    import cv2

    cv2.setNumThreads(1)  # one pool is enough: images are shared out, not their rows
    return ThreadPoolExecutor(cpu.threads(), thread_name_prefix="robench-corrupt")
