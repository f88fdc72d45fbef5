"""How images are put into bins: of equal width, or by their order, images of equal confidence together."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from robench.metrics.arrays import positive, stable_order
from robench.metrics.weighted import Array, Binned, Rows

BINS = 15  # the usual number of bins
BIN_SIZE = 100  # the usual number of images per bin of the RMS calibration error


def bin_index(confidence: Array, bins: int) -> npt.NDArray[np.int64]:
    """Return each confidence's equal-width bin, 0 to bins - 1; a bin holds its lower edge, the last one also 1.0.

    Args:
        confidence: float64 of any shape, in [0, 1].
        bins: number of bins.

    Raises:
        RobenchError: the number of bins is not a whole number, or below 1.

    >>> bin_index(np.array([0.0, 0.5, 1.0]), 2).tolist()
    [0, 1, 1]
    """
    bins = positive(bins, "bins", BINS)
    return np.minimum((np.asarray(confidence, np.float64) * bins).astype(np.int64), bins - 1)


def equal_width(confidence: Array, gap: Array, bins: int) -> Binned:
    """Return gaps and ones, (2, n), in bins of equal width."""
    return Binned(np.stack([gap, np.ones(len(gap))]), bin_index(confidence, bins), bins)


def class_gaps(p: Array, target: npt.NDArray[Any], bins: int) -> tuple[Rows, tuple[Any, ...]]:
    """Return the rows' order and, for every row and class, the gap and its bin; ``p`` (n, K) is overwritten."""
    bins = positive(bins, "bins", BINS)
    index = np.empty(p.shape, np.min_scalar_type(bins - 1))
    for start in range(0, len(p), 1024):  # in parts: the products would take as much memory as p, twice
        index[start : start + 1024] = bin_index(p[start : start + 1024], bins)
    p[np.arange(len(p)), target] -= 1.0
    return np.arange(len(p)), (p, index, bins)


def rising(confidence: Array, *columns: Array) -> tuple[Any, ...]:
    """Return the order of rising confidence, the columns in it, and :func:`last_of_tie` of the sorted confidences.

    Args:
        confidence: (n,); ties stay in their given order.
        columns: (n,) each.

    >>> order, hit, last = rising(np.array([0.9, 0.5, 0.9]), np.array([1.0, 0.0, 0.0]))
    >>> order.tolist(), hit.tolist(), last.tolist()
    ([1, 0, 2], [0.0, 1.0, 0.0], [True, False, True])
    """
    order = stable_order(confidence)
    return (order, *(column[order] for column in columns), last_of_tie(confidence[order]))


def last_of_tie(ordered: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return whether the next value along the last axis differs; (..., n) of bool, the last one True.

    >>> last_of_tie(np.array([1.0, np.inf, np.inf])).tolist()
    [True, False, True]
    """
    if ordered.shape[-1] == 0:
        return np.empty(ordered.shape, bool)
    differ = ordered[..., 1:] != ordered[..., :-1]  # the difference of two infinities would be NaN
    return np.concatenate([differ, np.ones((*ordered.shape[:-1], 1), bool)], axis=-1)
