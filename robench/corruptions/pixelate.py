"""Pixelate: shrink with a box filter and enlarge again, bit for bit as Pillow does it."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from robench.compiled import compiled, prange
from robench.corruptions import _device, _gpu
from robench.corruptions.random import Stream

_BITS = 22  # Pillow keeps its coefficients as whole multiples of 2**-22


def pixelate(images: torch.Tensor, params: tuple[float], stream: Stream) -> torch.Tensor:
    """Resize to int(side * c) and back, by a box filter both times.

    Args:
        images: uint8 (N, 3, H, W).
        params: (c,).
        stream: not used: nothing is drawn.

    Returns:
        uint8 (N, 3, H, W).
    """
    _, _, height, width = images.shape
    small = (max(1, int(height * params[0])), max(1, int(width * params[0])))
    if not _device.has_loops(images.device):
        made = _gpu.attempt(images.device, "warp.resize", images, small)
        made = _resize(images, small) if made is None else made
        back = _gpu.attempt(images.device, "warp.resize", made, (height, width))
        return _resize(made, (height, width)) if back is None else back
    steps = ((width, small[1]), (height, small[0]), (small[1], width), (small[0], height))
    across, down, wider, higher = (taps(*step) for step in steps)
    planes = images.contiguous().numpy().reshape(-1, height, width)
    out = np.empty_like(planes)
    _pixelate(planes, across, down, wider, higher, out)
    return torch.from_numpy(out).reshape(images.shape)


@compiled(parallel=True, nogil=True)
def _pixelate(planes: Any, across: Any, down: Any, wider: Any, higher: Any, out: Any) -> None:
    for i in prange(len(planes)):
        narrow = _columns(planes[i], across[0], across[1])
        small = np.empty((len(down[0]), narrow.shape[1]), np.uint8)
        _rows(narrow, down[0], down[1], small)
        _rows(_columns(small, wider[0], wider[1]), higher[0], higher[1], out[i])


@compiled(nogil=True)
def _columns(image: Any, first: Any, weights: Any) -> Any:
    """Filter uint8 (H, W) along its rows."""
    out = np.empty((len(image), len(first)), np.uint8)
    for y in range(len(image)):
        for x in range(len(first)):
            total: Any = np.int32(1 << (_BITS - 1))
            for k in range(weights.shape[1]):
                total += weights[x, k] * np.int32(image[y, first[x] + k])
            out[y, x] = min(max(total >> _BITS, 0), 255)
    return out


@compiled(nogil=True)
def _rows(image: Any, first: Any, weights: Any, out: Any) -> None:
    """Filter uint8 (H, W) along its columns."""
    width = image.shape[1]
    total = np.empty(width, np.int32)
    for y in range(len(first)):
        total[:] = 1 << (_BITS - 1)
        for k in range(weights.shape[1]):
            weight, row = weights[y, k], image[first[y] + k]
            for x in range(width):
                total[x] += weight * np.int32(row[x])
        for x in range(width):
            out[y, x] = min(max(total[x] >> _BITS, 0), 255)


@cache
def taps(old: int, new: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Return the first pixel that each of ``new`` places reads and, int32 (new, taps), the weights from there on."""
    matrix = _box(old, new)
    most = int((matrix > 0).sum(axis=1).max())
    # A place at the end begins earlier, at weights of 0, so that all have as many.
    first = np.minimum((matrix > 0).argmax(axis=1), old - most)
    weights = np.take_along_axis(matrix, first[:, None] + np.arange(most), axis=1)
    return first, weights.astype(np.int32)


def _resize(images: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Resize uint8 images: columns, then rows, each rounded to bytes, in whole numbers held by float64."""
    x = images.double()
    if size[1] != images.shape[3]:
        x = _round(x @ _on_device(images.shape[3], size[1], images.device).T)
    if size[0] != images.shape[2]:
        x = _round(_on_device(images.shape[2], size[0], images.device) @ x)
    return x.to(torch.uint8)


def _on_device(old: int, new: int, device: torch.device) -> torch.Tensor:
    return _gpu.kept(device, ("box matrix", old, new), lambda: torch.from_numpy(_box(old, new)))


def _round(sums: torch.Tensor) -> torch.Tensor:
    return torch.floor((sums + 2.0 ** (_BITS - 1)) / 2.0**_BITS).clamp_(0, 255)


def _box(old: int, new: int) -> npt.NDArray[np.float64]:
    """Return Pillow's box coefficients (new, old) in multiples of 2**-22."""
    scale = old / new
    support = 0.5 * max(scale, 1.0)
    matrix = np.zeros((new, old))
    for i in range(new):
        centre = (i + 0.5) * scale
        first = max(0, int(centre - support + 0.5))
        last = min(old, int(centre + support + 0.5))
        place = (np.arange(first, last) - centre + 0.5) / max(scale, 1.0)
        weight = ((place > -0.5) & (place <= 0.5)).astype(float)
        matrix[i, first:last] = np.floor(weight / weight.sum() * 2**_BITS + 0.5)
    return matrix
