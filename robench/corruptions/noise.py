"""Gaussian, shot, impulse and speckle noise: independent draws per pixel and channel."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch

from robench.corruptions import _device, _gpu
from robench.corruptions.random import Stream, quantile_tables

# Poisson counts further than this many standard deviations (and this many counts) above the mean do not occur.
_TAIL_DEVIATIONS, _TAIL_COUNTS = 8.0, 20


def gaussian_noise(images: torch.Tensor, params: tuple[float], stream: Stream) -> torch.Tensor:
    """Add normal noise to every value, and clip.

    Args:
        images: uint8 (N, 3, H, W).
        params: (sigma,), in units of [0, 1].
        stream: draw 0 the noise.

    Returns:
        uint8 (N, 3, H, W), truncated.
    """
    if _device.has_loops(images.device):
        return _normal_noise(images, params[0], stream, relative=False)
    made = _gpu.attempt(images.device, "random.noise", images, stream, params[0], "gaussian")
    if made is not None:
        return made
    noise = stream.normal(0, tuple(images.shape[1:]))
    return to_uint8(images.float() / 255.0 + params[0] * noise)


def speckle_noise(images: torch.Tensor, params: tuple[float], stream: Stream) -> torch.Tensor:
    """Add normal noise in proportion to the value, and clip.

    Args:
        images: uint8 (N, 3, H, W).
        params: (sigma,), of the noise of a value of 1.
        stream: draw 0 the noise.

    Returns:
        uint8 (N, 3, H, W), truncated.
    """
    if _device.has_loops(images.device):
        return _normal_noise(images, params[0], stream, relative=True)
    made = _gpu.attempt(images.device, "random.noise", images, stream, params[0], "speckle")
    if made is not None:
        return made
    noise = stream.normal(0, tuple(images.shape[1:]))
    x = images.float() / 255.0
    return to_uint8(x + x * params[0] * noise)


def impulse_noise(images: torch.Tensor, params: tuple[float], stream: Stream) -> torch.Tensor:
    """Set a fraction of the values to 0 or 255, half each.

    Args:
        images: uint8 (N, 3, H, W).
        params: (fraction,).
        stream: draw 0 which values.

    Returns:
        uint8 (N, 3, H, W).
    """
    if _device.has_loops(images.device):
        from robench.corruptions._noise_loops import impulses

        values, out, flat = _flat(images)
        impulses(values, stream.index_array(), *stream.key, float(params[0]), flat)
        return out
    made = _gpu.attempt(images.device, "random.noise", images, stream, params[0], "impulse")
    if made is not None:
        return made
    u = stream.uniform(0, tuple(images.shape[1:]))
    black = torch.zeros_like(images)
    salted = torch.where(u < params[0] / 2, torch.full_like(images, 255), black)
    return torch.where(u < params[0], salted, images)


def shot_noise(images: torch.Tensor, params: tuple[float], stream: Stream) -> torch.Tensor:
    """Draw Poisson(x * rate) / rate for every value, and clip.

    There are 256 different means, so each has a table of its distribution, and a count is found in it by
    inversion: exact to 2**-24.

    Args:
        images: uint8 (N, 3, H, W).
        params: (rate,), counts at full brightness.
        stream: draw 0 the counts.

    Returns:
        uint8 (N, 3, H, W), truncated.
    """
    rate = float(params[0])
    tables, guide, values = poisson_tables(rate)
    if _device.has_loops(images.device):
        from robench.corruptions._noise_loops import shot

        levels, out, flat = _flat(images)
        drawn_for = (stream.index_array(), *stream.key)
        shot(levels, *drawn_for, tables, guide, values, flat)
        return out
    made = _gpu.attempt(images.device, "random.shot", images, stream, rate)
    if made is not None:
        return made
    u = stream.uniform(0, tuple(images.shape[1:]))
    level = images.long()
    # All tables in one rising row: level + cumulative probability, so that one search serves every pixel.
    row = torch.from_numpy((tables + np.arange(256)[:, None]).ravel()).to(images.device)
    width = tables.shape[1]
    count = torch.searchsorted(row, (level.double() + u.double()).contiguous(), right=True) - level * width
    return torch.from_numpy(values).to(images.device)[count.clamp_(0, width - 1)]


def to_uint8(x: torch.Tensor) -> torch.Tensor:
    """Return float images in [0, 1] as uint8 in [0, 255]: clipped, and truncated as the published writer does.

    >>> to_uint8(torch.tensor([-0.1, 0.5, 0.999, 2.0])).tolist()
    [0, 127, 254, 255]
    """
    return (x.clamp(0.0, 1.0) * 255.0).to(torch.uint8)


def _normal_noise(images: torch.Tensor, strength: float, stream: Stream, *, relative: bool) -> torch.Tensor:
    """Draw and apply stretch by stretch, so that no noise is stored."""
    from robench.corruptions._noise_loops import normal_noise

    values, out, flat = _flat(images)
    drawn_for = (stream.index_array(), *stream.key)
    normal_noise(values, *drawn_for, float(strength), relative, *quantile_tables(), flat)
    return out


def _flat(images: torch.Tensor) -> tuple[np.ndarray, torch.Tensor, np.ndarray]:
    """Return images as uint8 (N, values), and a new batch of their shape to fill, itself and as (N, values)."""
    out = torch.empty(images.shape, dtype=torch.uint8)
    return images.flatten(1).numpy(), out, out.flatten(1).numpy()


@cache
def poisson_tables(rate: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the tables of :func:`shot_noise` by level.

    Cumulative probabilities (256, counts) float64; the first count whose probability exceeds each 256th (256, 257)
    int32; and each count's value, uint8 (counts,).
    """
    from scipy.special import pdtr  # scipy.stats, whose poisson.cdf this is, takes a second to import

    top = math.ceil(rate + _TAIL_DEVIATIONS * math.sqrt(rate) + _TAIL_COUNTS)
    counts = np.arange(top + 1)
    cumulative = pdtr(counts[None, :], (np.arange(256) / 255.0 * rate)[:, None])
    cumulative[:, -1] = 1.0
    parts = np.arange(257) / 256.0
    guide = np.stack([np.searchsorted(row, parts, side="right") for row in cumulative]).clip(max=top)
    values = (np.clip(counts / rate, 0.0, 1.0) * 255.0).astype(np.uint8)
    return cumulative, guide.astype(np.int32), values
