"""Kernels of many resamples at once: a row of images' weights is read once for ``WIDE`` resamples, and added to all.

Resamples stand side by side in the fastest axis, so that the compiler adds to several of them by one instruction. Rows
come in any order (that of their bins, that of rising confidence), and the weights of a row are anywhere in memory:
those of a few rows are first put side by side (a tile), which waits for all of them at once and not for each.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from robench.compiled import compiled, prange

WIDE = 64  # resamples in a block: a row of bytes is a line of the cache
TILE = 128  # rows that are put side by side


@compiled()
def _gather(weights: Any, rows: Any, start: Any, stop: Any, tile: Any) -> None:
    """Copy the weights (images, WIDE) of some rows' images into a tile."""
    for i in range(start, stop):
        row = np.intp(rows[i])
        for b in range(WIDE):
            tile[i - start, b] = weights[row, b]


@compiled()
def _add(held: Any, four: Any, values: Any, start: Any) -> None:
    """Add four rows' values (rows, k), weighted by ``four`` (4, WIDE), to ``held`` (k, WIDE)."""
    for j in range(values.shape[1]):
        a, b, c, d = values[start, j], values[start + 1, j], values[start + 2, j], values[start + 3, j]
        for w in range(WIDE):
            held[j, w] += four[0, w] * a + four[1, w] * b + four[2, w] * c + four[3, w] * d


@compiled(parallel=True)
def sums_each(blocks: Any, rows: Any, starts: Any, values: Any) -> Any:
    """Return sums of weighted values within bins, (resamples, bins, k), padded like ``blocks``.

    Args:
        blocks: weights, (blocks, images, WIDE).
        rows: (n,) which image each row is of; rows of a bin stand together.
        starts: (bins + 1,) where each bin's rows begin, and n.
        values: (n, k) float64.
    """
    bins, k = starts.shape[0] - 1, values.shape[1]
    found = np.zeros((blocks.shape[0] * WIDE, bins, k))
    for block in prange(blocks.shape[0]):
        weights = blocks[block]
        tile = np.zeros((TILE, WIDE), weights.dtype)
        four = np.zeros((4, WIDE))
        held = np.zeros((k, WIDE))
        for m in range(bins):
            held[:] = 0.0
            for start in range(starts[m], starts[m + 1], TILE):
                stop = min(start + TILE, starts[m + 1])
                _gather(weights, rows, start, stop, tile)
                whole = start + (stop - start) // 4 * 4
                for i in range(start, whole, 4):
                    for r in range(4):
                        for w in range(WIDE):
                            four[r, w] = tile[i - start + r, w]
                    _add(held, four, values, i)
                for i in range(whole, stop):
                    for j in range(k):
                        for w in range(WIDE):
                            held[j, w] += tile[i - start, w] * values[i, j]
            for w in range(WIDE):
                for j in range(k):
                    found[block * WIDE + w, m, j] = held[j, w]
    return found


NEVER = 2**30  # draws: more than there are
# what is kept of each resample, in numbers of draws and in sums of gaps
LEFT, NEXT, LIMIT, START = range(4)
INSIDE, CARRIED, SQUARES, SQUARES_WHOLE = range(4)


@compiled()
def _drawn(weights: Any, times: Any, total: Any) -> None:
    """Fill ``total`` (WIDE,) with how many rows are drawn, of images with ``times`` rows each."""
    for i in range(weights.shape[0]):
        for w in range(WIDE):
            total[w] += weights[i, w] * times[i]


@compiled()
def _step(count: Any, held: Any, hits: Any, drawn: Any, gap: Any) -> None:
    """Take a row's draws (WIDE,): what is left until the next bin begins, whether it does, and the gaps' sum."""
    for w in range(WIDE):
        left = count[LEFT, w] - np.int32(drawn[w])
        count[LEFT, w] = left
        hits[w] = left <= 0
    for w in range(WIDE):
        held[INSIDE, w] += drawn[w] * gap


@compiled()
def _cut(count: Any, held: Any, w: Any, gap: Any, size: Any) -> None:
    """End the published code's bins, which are cut within a row that is drawn more than once."""
    seen = count[NEXT, w] - count[LEFT, w]
    while seen >= count[NEXT, w]:
        over = (seen - count[NEXT, w]) * gap
        inside = held[INSIDE, w] + held[CARRIED, w] - over
        held[SQUARES, w] += inside * inside
        held[CARRIED, w] = over - held[INSIDE, w]
        count[NEXT, w] = count[NEXT, w] + size if count[NEXT, w] < count[LIMIT, w] else NEVER
    count[LEFT, w] = count[NEXT, w] - seen


@compiled()
def _end(count: Any, held: Any, w: Any) -> None:
    """End a bin at the end of a group of equal confidences."""
    seen = count[NEXT, w] - count[LEFT, w]
    held[SQUARES_WHOLE, w] += held[INSIDE, w] * held[INSIDE, w] / (seen - count[START, w])
    held[CARRIED, w] += held[INSIDE, w]
    held[INSIDE, w] = 0.0
    count[START, w] = seen


@compiled()
def _cut_full(count: Any, held: Any, hits: Any, late: Any, gap: Any, size: Any) -> bool:
    """End the bins that are full, note them in ``late``, and return whether there are any."""
    eight, found = hits.view(np.uint64), False
    for part in range(WIDE // 8):
        if eight[part] != 0:
            found = True
            for w in range(8 * part, 8 * part + 8):
                if hits[w] != 0:
                    _cut(count, held, w, gap, size)
                    late[w] = 1
    return found


@compiled()
def _end_late(count: Any, held: Any, late: Any) -> None:
    """End the bins that waited for the end of a group of equal confidences."""
    eight = late.view(np.uint64)
    for part in range(WIDE // 8):
        if eight[part] != 0:
            for w in range(8 * part, 8 * part + 8):
                if late[w] != 0:
                    late[w] = 0
                    _end(count, held, w)


@compiled()
def _pass(weights: Any, rows: Any, gap: Any, last: Any, size: Any, count: Any, held: Any) -> None:
    """Take all rows, tile by tile."""
    tile = np.zeros((TILE, WIDE), weights.dtype)
    hits, late = np.zeros(WIDE, np.uint8), np.zeros(WIDE, np.uint8)
    waiting = False
    for start in range(0, rows.shape[0], TILE):
        stop = min(start + TILE, rows.shape[0])
        _gather(weights, rows, start, stop, tile)
        for i in range(start, stop):
            _step(count, held, hits, tile[i - start], gap[i])
            waiting |= _cut_full(count, held, hits, late, gap[i], size)
            if waiting and last[i]:
                waiting = False
                _end_late(count, held, late)


@compiled()
def _rms(weights: Any, times: Any, rows: Any, gap: Any, last: Any, size: Any, out: Any) -> None:
    """Fill ``out`` (WIDE, 2) with both RMS calibration errors of a block of resamples."""
    total = np.zeros(WIDE, np.int32)
    _drawn(weights, times, total)
    count, held = np.zeros((4, WIDE), np.int32), np.zeros((4, WIDE))
    for w in range(WIDE):
        count[LIMIT, w] = max(total[w] // size - 1, 0) * size
        count[NEXT, w] = size if count[LIMIT, w] > 0 else NEVER
        count[LEFT, w] = count[NEXT, w]
    _pass(weights, rows, gap, last, size, count, held)
    for w in range(WIDE):
        if total[w] >= size:
            out[w, 0] = np.sqrt(held[SQUARES, w] / size / total[w])
        if total[w] > count[START, w]:
            held[SQUARES_WHOLE, w] += held[INSIDE, w] * held[INSIDE, w] / (total[w] - count[START, w])
        if total[w] > 0:
            out[w, 1] = np.sqrt(held[SQUARES_WHOLE, w] / total[w])


@compiled(parallel=True)
def rms_each(blocks: Any, times: Any, rows: Any, gap: Any, last: Any, size: int) -> Any:
    """Return both RMS calibration errors of every resample, (resamples, 2), padded like ``blocks``.

    Args:
        blocks: weights, (blocks, images, WIDE).
        times: int32 (images,) rows of each image.
        rows, gap, last, size: as of :func:`robench.metrics._loops.rms`.
    """
    found = np.full((blocks.shape[0] * WIDE, 2), np.nan)
    for block in prange(blocks.shape[0]):
        _rms(blocks[block], times, rows, gap, last, size, found[block * WIDE : (block + 1) * WIDE])
    return found
