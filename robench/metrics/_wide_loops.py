"""Kernels of many resamples at once: a row of images' weights is read once for ``WIDE`` resamples, and added to all.

Resamples stand side by side in the fastest axis, so that the compiler adds to several of them by one instruction, and
weights take half a byte, so that those of a block of resamples stay in the cache while all rows of many cells go by.
Loops are called block by block, by several threads at once.
Rows come in any order (that of their bins, that of rising confidence). Those of a tile are put side by side first,
which waits for all of them at once and not for each; their sums stay in registers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from robench.compiled import compiled

WIDE = 64  # resamples in a block
EIGHTS = WIDE // 8  # words of eight bytes that the weights of a row take
PACKED = EIGHTS // 2  # the same, half a byte each: the second half of the resamples stands in the upper bits
TILE = 16  # rows of a tile
MOST = 15  # draws of an image that half a byte holds
LOWER = np.uint64(0x0F0F0F0F0F0F0F0F)


@compiled(nogil=True)
def pack(weights: Any, block: Any) -> None:
    """Fill ``block``, uint8 (images, WIDE / 2), with weights (WIDE, images) of at most ``MOST``."""
    half = block.shape[1]
    for start in range(0, weights.shape[1], 64):  # lines of the cache that are read stay until they are used up
        for j in range(half):
            for i in range(start, min(start + 64, weights.shape[1])):
                block[i, j] = weights[j, i] | weights[j + half, i] << 4


@compiled()
def gather(weights: Any, rows: Any, start: Any, stop: Any, tile: Any) -> None:
    """Copy packed weights (images, PACKED) of the rows ``start`` to ``stop`` into a tile, (TILE, EIGHTS) words."""
    for i in range(start, stop):
        row = np.intp(rows[i])
        for q in range(PACKED):
            both = weights[row, q]
            tile[i - start, q] = both & LOWER
            tile[i - start, q + PACKED] = both >> np.uint64(4) & LOWER


@compiled(fastmath={"contract"})
def add(tile: Any, values: Any, held: Any) -> None:
    """Add a tile's values (TILE,), weighted by ``tile`` (TILE, WIDE), to ``held`` (WIDE,)."""
    a, b, c, d, e, f, g, h = values[0], values[1], values[2], values[3], values[4], values[5], values[6], values[7]
    i, j, k, l, m, n, o, p = (  # noqa: E741 sixteen of a kind
        values[8], values[9], values[10], values[11], values[12], values[13], values[14], values[15],
    )  # fmt: skip
    for w in range(WIDE):
        first = tile[0, w] * a + tile[1, w] * b + tile[2, w] * c + tile[3, w] * d
        second = tile[4, w] * e + tile[5, w] * f + tile[6, w] * g + tile[7, w] * h
        third = tile[8, w] * i + tile[9, w] * j + tile[10, w] * k + tile[11, w] * l
        fourth = tile[12, w] * m + tile[13, w] * n + tile[14, w] * o + tile[15, w] * p
        held[w] += (first + second) + (third + fourth)


@compiled(nogil=True)
def tiles_of(order: Any, rows: Any, starts: Any, values: Any) -> Any:
    """Return rows (tiles, TILE), values (tiles, k, TILE) and where each bin's tiles begin, of rows in ``order``.

    Bins begin with a tile of their own; what is left of a bin's last tile is filled up with values of 0.

    Args:
        order: (n,) the rows, those of a bin together.
        rows: (n,) which image each row is of.
        starts: (bins + 1,) where each bin begins in ``order``, and n.
        values: (k, n) float64.
    """
    first = np.zeros(starts.shape[0], np.int64)
    for m in range(starts.shape[0] - 1):
        first[m + 1] = first[m] + (starts[m + 1] - starts[m] + TILE - 1) // TILE
    tiled_rows = np.zeros((first[-1], TILE), np.uint32)
    tiled = np.zeros((first[-1], values.shape[0], TILE))
    for m in range(starts.shape[0] - 1):
        for i in range(starts[m], starts[m + 1]):
            t, r = first[m] + (i - starts[m]) // TILE, (i - starts[m]) % TILE
            tiled_rows[t, r] = rows[order[i]]
            for j in range(values.shape[0]):
                tiled[t, j, r] = values[j, order[i]]
    return tiled_rows, tiled, first


@compiled(nogil=True)
def sums(weights: Any, rows: Any, starts: Any, values: Any, found: Any) -> None:
    """Fill ``found`` (WIDE, bins, k) with sums of weighted values within bins, of a block of resamples.

    Args:
        weights: packed, uint64 (images, PACKED).
        rows: (tiles, TILE) which image each row is of.
        starts: (bins + 1,) where each bin's tiles begin, and their number.
        values: (tiles, k, TILE) float64.
        found: float64.
    """
    k = values.shape[1]
    words, tile, held = np.zeros((TILE, EIGHTS), np.uint64), np.zeros((TILE, WIDE)), np.zeros((k, WIDE))
    small, large = words.view(np.uint8).reshape(-1), tile.reshape(-1)
    for m in range(starts.shape[0] - 1):
        held[:] = 0.0
        for t in range(starts[m], starts[m + 1]):
            gather(weights, rows[t], 0, TILE, words)
            for i in range(TILE * WIDE):
                large[i] = small[i]
            for j in range(k):
                add(tile, values[t, j], held[j])
        for w in range(WIDE):
            for j in range(k):
                found[w, m, j] = held[j, w]
