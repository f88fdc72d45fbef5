"""Loops over a batch's pixels, compiled by numba: one pass over memory each, and what tensor operations give."""

from __future__ import annotations

from typing import Any

import numpy as np

from robench.compiled import compiled


# PyTorch multiplies and adds in one operation where the processor can; "contract" lets the compiler do so too.
@compiled(nogil=True, fastmath={"contract"})
def normalise(pixels: Any, scale: Any, shift: Any, out: Any) -> None:
    """Fill float32 ``out`` (n, m) with uint8 ``pixels`` (n, m) times ``scale`` (m,) plus ``shift`` (m,)."""
    for row in range(pixels.shape[0]):
        for column in range(pixels.shape[1]):
            out[row, column] = np.float32(pixels[row, column]) * scale[column] + shift[column]


@compiled(nogil=True)
def weighted_sums(lanes: Any, factors: Any, out: Any) -> None:
    """Fill int64 ``out`` (n,) with the sums of ``lanes`` (n, m) times ``factors`` (m,), modulo 2^64."""
    for row in range(lanes.shape[0]):
        total = np.int64(0)
        for column in range(lanes.shape[1]):
            total += lanes[row, column] * factors[column]
        out[row] = total


def prepare() -> None:
    """Compile the loops, or load them from numba's cache."""
    some = np.zeros((1, 1), np.float32)
    normalise(np.zeros((1, 1), np.uint8), some[0], some[0], some)
    ones = np.ones((1, 1), np.int64)
    weighted_sums(ones, ones[0], np.zeros(1, np.int64))
