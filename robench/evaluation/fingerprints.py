"""A hash of every image's pixels, by which runs can tell whether they used the same images."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from robench.evaluation.pixels import weighted_sums


def fingerprints(images: torch.Tensor) -> torch.Tensor:
    """Return a 64-bit hash of each image's pixels; the same on every device, in every batch and memory layout.

    Eight bytes at a time are multiplied by odd random numbers and summed modulo 2^64: images that differ only
    within one such group never collide, others with probability of about 2^-64. The hash is not cryptographic.

    Args:
        images: uint8, shape (n, 3, H, W).

    Returns:
        int64, shape (n,), on the images' device.

    >>> white, black = torch.full((1, 3, 2, 2), 255, dtype=torch.uint8), torch.zeros(1, 3, 2, 2, dtype=torch.uint8)
    >>> fingerprints(torch.cat([white, black, white])).unique().numel()
    2
    """
    count, _, height, width = images.shape
    pixels = images.permute(0, 2, 3, 1).reshape(count, -1)
    if missing := -pixels.shape[1] % 8:
        pixels = torch.nn.functional.pad(pixels, (0, missing))
    if not pixels.is_contiguous() or pixels.storage_offset() % 8:
        pixels = pixels.clone(memory_format=torch.contiguous_format)
    lanes = pixels.view(torch.int64)
    factors = _factors_on(images.device, lanes.shape[1])
    return weighted_sums(lanes, factors) + (height << 32 | width)


@lru_cache(maxsize=8)
def _factors_on(device: torch.device, count: int) -> torch.Tensor:
    """Return the factors as a tensor there: copied once, as the host waits for a GPU meanwhile."""
    return torch.from_numpy(_factors(count)).to(device)


def _factors(count: int) -> np.ndarray:
    """Return odd pseudo-random int64 numbers, of SplitMix64, shape (count,)."""
    with np.errstate(over="ignore"):
        z = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) | np.uint64(1)).view(np.int64)
