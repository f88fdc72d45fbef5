"""Pillow's resize for bilinear and bicubic filters, only where the crop keeps it; compiled, without Python's lock.

The same two passes as Pillow's (columns first, rounded to bytes in between) with the same 22-bit fixed-point weights,
so the result is the same to the bit. (Pillow 13 does rows first where that is less work, as where one side grows and
the other shrinks; older ones never do. The two orders are a grey level apart in places.)
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from robench.compiled import compiled

_BITS = 22
_SUPPORT = {"bilinear": 1.0, "bicubic": 2.0}
Weights = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]


def resize_box(
    image: npt.NDArray[np.uint8], size: tuple[int, int], box: tuple[int, int, int, int], interpolation: str
) -> npt.NDArray[np.uint8]:
    """Scale an image and return a part of the result.

    Args:
        image: uint8 (H, W, 3).
        size: (height, width) of the whole scaled image.
        box: (top, left, height, width) of the part, in the scaled image.
        interpolation: ``bilinear`` or ``bicubic``, antialiased.

    Returns:
        uint8 (box height, box width, 3).
    """
    top, left, height, width = box
    row_start, row_weight = weights(image.shape[0], size[0], top, height, interpolation)
    column_start, column_weight = weights(image.shape[1], size[1], left, width, interpolation)
    bottom, right = row_start[-1] + row_weight.shape[1], column_start[-1] + column_weight.shape[1]
    if bottom > image.shape[0] or right > image.shape[1]:
        # Of an image of a few pixels there may be fewer than the four that are summed at a time.
        more = (max(0, bottom - image.shape[0]), max(0, right - image.shape[1]))
        image = np.pad(image, ((0, more[0]), (0, more[1]), (0, 0)))
    kept = image[row_start[0] : bottom, column_start[0] : right]
    # Summing whole lines is what vector instructions do well, so columns are made lines, and back.
    narrow = _sum_lines(_turn(kept), column_start, column_weight)
    return _sum_lines(_turn(narrow), row_start, row_weight)


def _turn(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return an image with rows and columns exchanged, in memory of its own."""
    import cv2

    turned = cv2.transpose(image).reshape(image.shape[1], image.shape[0], 3)
    return turned.astype(np.uint8, copy=False)


def _sum_lines(
    lines: npt.NDArray[np.uint8], start: npt.NDArray[np.int32], weight: npt.NDArray[np.int32]
) -> npt.NDArray[np.uint8]:
    """Return one weighted sum of lines for every row of ``weight``; ``lines`` begin at line ``start[0]``."""
    result = np.empty((len(start), lines.shape[1], 3), np.uint8)
    _sum(lines.reshape(len(lines), -1), start, weight, result.reshape(len(start), -1))
    return result


@lru_cache(maxsize=512)
def weights(old: int, new: int, first: int, count: int, interpolation: str) -> Weights:
    """Return, for output positions first..first+count, the first input position and the weights, as Pillow's.

    Returns:
        int32 (count,) and int32 (count, taps) in units of 2**-22; the taps are a multiple of four, unused ones 0.
    """
    scale = old / new
    stretch = max(scale, 1.0)
    support = _SUPPORT[interpolation] * stretch
    centre = (np.arange(first, first + count) + 0.5) * scale
    # Truncation, as of C's integers; what would be negative is 0 anyway.
    start = np.maximum(np.trunc(centre - support + 0.5), 0).astype(np.int64)
    stop = np.minimum(np.trunc(centre + support + 0.5), old).astype(np.int64)
    taps = -(-int((stop - start).max()) // 4) * 4
    shifted = np.maximum(np.minimum(start, old - taps), 0)
    at = shifted[:, None] + np.arange(taps)
    # The order of these operations is Pillow's: a last bit decides sums that lie on a half.
    value = _filter((at - centre[:, None] + 0.5) * (1.0 / stretch), interpolation)
    value[(at < start[:, None]) | (at >= stop[:, None])] = 0
    value *= 1.0 / np.cumsum(value, axis=1)[:, -1:]
    fixed = np.trunc(value * (1 << _BITS) + np.where(value < 0, -0.5, 0.5))
    return shifted.astype(np.int32), fixed.astype(np.int32)


def _filter(x: npt.NDArray[np.float64], interpolation: str) -> npt.NDArray[np.float64]:
    x = np.abs(x)
    if interpolation == "bilinear":
        return np.maximum(1.0 - x, 0.0)
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


@compiled(nogil=True, boundscheck=False)
def _sum(
    lines: npt.NDArray[np.uint8],
    start: npt.NDArray[np.int32],
    weight: npt.NDArray[np.int32],
    result: npt.NDArray[np.uint8],
) -> None:
    width = result.shape[1]
    total = np.empty(width, np.int32)
    for y in range(result.shape[0]):
        total[:] = np.int32(1 << (_BITS - 1))
        for k in range(0, weight.shape[1], 4):
            a, b, c, d = weight[y, k], weight[y, k + 1], weight[y, k + 2], weight[y, k + 3]
            at = start[y] - start[0] + k
            for j in range(width):
                total[j] += (
                    a * np.int32(lines[at, j])
                    + b * np.int32(lines[at + 1, j])
                    + c * np.int32(lines[at + 2, j])
                    + d * np.int32(lines[at + 3, j])
                )
        for j in range(width):
            result[y, j] = min(max(total[j] >> _BITS, 0), 255)
