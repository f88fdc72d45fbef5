"""Both RMS calibration errors, and the expected one, of many resamples at once; see :mod:`robench.metrics._wide_loops`.

A bin ends wherever a resample has drawn another hundred images, at another row in every resample. Of a tile's rows
only the numbers of draws are added up row by row, in bytes; gaps are added up for the tile, and once more, for the
resamples whose bin ends within it, up to the row where it does. Bins of equal width end at the same row in every
resample, behind which a tile begins.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from robench.compiled import compiled
from robench.metrics._wide_loops import EIGHTS, TILE, WIDE, add, gather

NEVER = 2**30  # draws: more than there are
# what is kept of each resample, in numbers of draws and in sums of gaps
SEEN, NEXT, LIMIT, START = range(4)
INSIDE, CARRIED, SQUARES, SQUARES_WHOLE, WITHIN, SIZES, TOTAL = range(7)


@compiled(nogil=True)
def tiles_of_groups(last: Any, edge: Any) -> Any:
    """Return where tiles begin, and the number of rows, and where each row's group of equal confidences ends.

    A tile holds whole groups, at most ``TILE`` rows, or a single group that is larger; it ends behind an ``edge``.
    """
    n = last.shape[0]
    starts, ends = np.zeros(n + 1, np.int64), np.zeros(n, np.int64)
    for i in range(n - 1, -1, -1):
        ends[i] = i if last[i] else ends[i + 1]
    tiles, i = 0, 0
    while i < n:
        end = ends[i]  # of the last group that fits
        while not edge[end] and end + 1 < n and ends[end + 1] < i + TILE:
            end = ends[end + 1]
        i = end + 1
        tiles += 1
        starts[tiles] = i
    return starts[: tiles + 1], ends


@compiled()
def _add_up(tile: Any, n: Any, drawn: Any) -> None:
    """Fill ``drawn`` with the draws up to each row, a byte each: (TILE + 1, EIGHTS) words, of a tile (TILE, EIGHTS)."""
    for i in range(n):
        for q in range(EIGHTS):
            drawn[i + 1, q] = drawn[i, q] + tile[i, q]


@compiled()
def _most(drawn: Any) -> Any:
    most = np.uint8(0)
    for w in range(WIDE):
        most = max(most, drawn[w])
    return most


@compiled()
def _ending(drawn: Any, n: Any, count: Any, need: Any, at: Any, hits: Any, which: Any) -> Any:
    """List the resamples whose bin ends within the tile, and count the rows before the one where it does."""
    for w in range(WIDE):
        left = count[NEXT, w] - count[SEEN, w]
        hits[w] = drawn[n, w] >= left
        need[w] = min(left, 255)
    for w in range(WIDE):
        at[w] = 0
    for i in range(1, n + 1):
        for w in range(WIDE):
            at[w] += np.uint8(drawn[i, w] < need[w])
    found: Any = 0
    for w in range(WIDE):
        which[found] = w
        found += np.intp(hits[w])
    return found


@compiled(inline="always", fastmath={"contract"})  # a call with so many arrays takes as long as the rest
def _end(tile: Any, drawn: Any, gap: Any, end: Any, w: Any, r: Any, count: Any, held: Any, size: Any) -> None:
    """End a resample's bin at the tile's row ``r``: the published one within it, the other one at its group's end."""
    part = 0.0
    for i in range(r + 1):
        part += tile[i, w] * gap[i]
    over = (count[SEEN, w] + np.int32(drawn[r + 1, w]) - count[NEXT, w]) * gap[r]
    published = held[INSIDE, w] + held[CARRIED, w] + part - over
    held[CARRIED, w] = over - part
    for i in range(r + 1, end + 1):
        part += tile[i, w] * gap[i]
    seen = count[SEEN, w] + np.int32(drawn[end + 1, w])
    whole = held[INSIDE, w] + part
    held[SQUARES, w] += published * published
    held[SQUARES_WHOLE, w] += whole * whole / (seen - count[START, w])
    held[INSIDE, w] = -part  # the whole tile is added afterwards
    held[CARRIED, w] += part
    count[START, w] = seen
    count[NEXT, w] = count[NEXT, w] + size if count[NEXT, w] < count[LIMIT, w] else NEVER


@compiled()
def _end_width(held: Any) -> None:
    """End a bin of equal width."""
    for w in range(WIDE):
        held[SIZES, w] += abs(held[WITHIN, w])
        held[TOTAL, w] += held[WITHIN, w]
        held[WITHIN, w] = 0.0


@compiled(fastmath={"contract"})
def _one_by_one(
    tile: Any, start: Any, n: Any, gap: Any, last: Any, edge: Any, count: Any, held: Any, late: Any, size: Any
) -> None:
    """Take rows one by one: of groups that are larger than a tile, and of images that are drawn very often."""
    for i in range(n):
        row = start + i
        for w in range(WIDE):
            held[INSIDE, w] += tile[i, w] * gap[row]
            held[WITHIN, w] += tile[i, w] * gap[row]
            seen = count[SEEN, w] + np.int32(tile[i, w])
            count[SEEN, w] = seen
            while seen >= count[NEXT, w]:  # the published code's bins are cut within an image drawn more than once
                over = (seen - count[NEXT, w]) * gap[row]
                inside = held[INSIDE, w] + held[CARRIED, w] - over
                held[SQUARES, w] += inside * inside
                held[CARRIED, w] = over - held[INSIDE, w]
                count[NEXT, w] = count[NEXT, w] + size if count[NEXT, w] < count[LIMIT, w] else NEVER
                late[w] = 1
        if edge[row]:
            _end_width(held)
        if last[row]:
            for w in range(WIDE):
                if late[w] != 0:
                    late[w] = 0
                    seen = count[SEEN, w]
                    held[SQUARES_WHOLE, w] += held[INSIDE, w] * held[INSIDE, w] / (seen - count[START, w])
                    held[CARRIED, w] += held[INSIDE, w]
                    held[INSIDE, w] = 0.0
                    count[START, w] = seen


@compiled()
def _pass(
    weights: Any, rows: Any, gap: Any, last: Any, edge: Any, starts: Any, ends: Any, count: Any, held: Any, size: Any
) -> None:
    """Take all rows, tile by tile."""
    words, totals = np.zeros((TILE, EIGHTS), np.uint64), np.zeros((TILE + 1, EIGHTS), np.uint64)
    tile, drawn = words.view(np.uint8), totals.view(np.uint8)
    gaps, part, late = np.zeros(TILE), np.zeros(WIDE), np.zeros(WIDE, np.uint8)
    need, at = np.zeros(WIDE, np.uint8), np.zeros(WIDE, np.uint8)
    hits, which = np.zeros(WIDE, np.uint8), np.zeros(WIDE + 1, np.uint8)
    for t in range(starts.shape[0] - 1):
        start, n = starts[t], starts[t + 1] - starts[t]
        together = n <= TILE
        if together:
            gather(weights, rows, start, start + n, words)
            _add_up(words, n, totals)
            together = _most(drawn[n]) <= size  # else more than one bin may end
        if together:
            for i in range(TILE):
                gaps[i] = gap[start + i] if i < n else 0.0
            for k in range(_ending(drawn, n, count, need, at, hits, which)):
                one = np.intp(which[k])
                row = np.intp(at[one])
                _end(tile, drawn, gaps, ends[start + row] - start, one, row, count, held, size)
            for w in range(WIDE):
                part[w] = 0.0
            add(tile, gaps, part)
            for w in range(WIDE):
                held[INSIDE, w] += part[w]
                held[WITHIN, w] += part[w]
                count[SEEN, w] += np.int32(drawn[n, w])
            if edge[start + n - 1]:
                _end_width(held)
        else:
            for at_once in range(start, start + n, TILE):
                some = min(TILE, start + n - at_once)
                gather(weights, rows, at_once, at_once + some, words)
                _one_by_one(tile, at_once, some, gap, last, edge, count, held, late, size)


@compiled(nogil=True)
def rms(
    weights: Any, rows: Any, gap: Any, last: Any, edge: Any, starts: Any, ends: Any, total: Any, size: Any, out: Any
) -> None:
    """Fill ``out`` (WIDE, 4) with the calibration errors of a cell on a block of resamples.

    Args:
        weights: packed, uint64 (images, PACKED).
        rows: (n,) which image each row is of, by rising confidence.
        gap, last, edge, size, out: as of :func:`robench.metrics._loops.rms`.
        starts, ends: of :func:`tiles_of_groups`.
        total: int64 (WIDE,), how many rows are drawn.
    """
    count, held = np.zeros((4, WIDE), np.int32), np.zeros((7, WIDE))
    for w in range(WIDE):
        count[LIMIT, w] = max(total[w] // size - 1, 0) * size
        count[NEXT, w] = size if count[LIMIT, w] > 0 else NEVER
    _pass(weights, rows, gap, last, edge, starts, ends, count, held, size)
    for w in range(WIDE):
        if total[w] >= size:
            out[w, 0] = np.sqrt(held[SQUARES, w] / size / total[w])
        if total[w] > count[START, w]:
            held[SQUARES_WHOLE, w] += held[INSIDE, w] * held[INSIDE, w] / (total[w] - count[START, w])
        if total[w] > 0:
            out[w, 1] = np.sqrt(held[SQUARES_WHOLE, w] / total[w])
            out[w, 2] = held[SIZES, w] / total[w]
            out[w, 3] = held[TOTAL, w] / total[w]
