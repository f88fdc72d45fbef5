"""Both RMS calibration errors of many resamples at once; see :mod:`robench.metrics._wide_loops`.

A bin ends wherever a resample has drawn another hundred images, at another row in every resample. Of a tile's rows
only the numbers of draws are added up row by row, in bytes; gaps are added up for the tile, and once more, for the
resamples whose bin ends within it, up to the row where it does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from robench.compiled import compiled, prange
from robench.metrics._wide_loops import EIGHTS, TILE, WIDE, add, gather

NEVER = 2**30  # draws: more than there are
# what is kept of each resample, in numbers of draws and in sums of gaps
SEEN, NEXT, LIMIT, START = range(4)
INSIDE, CARRIED, SQUARES, SQUARES_WHOLE = range(4)


@compiled()
def _tiles(last: Any, starts: Any, ends: Any) -> Any:
    """Fill where tiles begin and where each row's group of equal confidences ends; return the number of tiles.

    A tile holds whole groups, at most ``TILE`` rows, or a single group that is larger.
    """
    n = last.shape[0]
    for i in range(n - 1, -1, -1):
        ends[i] = i if last[i] else ends[i + 1]
    tiles, i = 0, 0
    while i < n:
        stop = min(i + TILE, n)
        while stop > i and not last[stop - 1]:
            stop -= 1
        i = stop if stop > i else ends[i] + 1
        tiles += 1
        starts[tiles] = i
    return tiles


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


@compiled(fastmath={"contract"})
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


@compiled(fastmath={"contract"})
def _one_by_one(tile: Any, n: Any, gap: Any, last: Any, count: Any, held: Any, late: Any, size: Any) -> None:
    """Take rows one by one: of groups that are larger than a tile, and of images that are drawn very often."""
    for i in range(n):
        for w in range(WIDE):
            held[INSIDE, w] += tile[i, w] * gap[i]
            seen = count[SEEN, w] + np.int32(tile[i, w])
            count[SEEN, w] = seen
            while seen >= count[NEXT, w]:  # the published code's bins are cut within an image drawn more than once
                over = (seen - count[NEXT, w]) * gap[i]
                inside = held[INSIDE, w] + held[CARRIED, w] - over
                held[SQUARES, w] += inside * inside
                held[CARRIED, w] = over - held[INSIDE, w]
                count[NEXT, w] = count[NEXT, w] + size if count[NEXT, w] < count[LIMIT, w] else NEVER
                late[w] = 1
        if last[i]:
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
    weights: Any, rows: Any, gap: Any, last: Any, starts: Any, ends: Any, count: Any, held: Any, size: Any
) -> None:
    """Take all rows, tile by tile."""
    words, totals = np.zeros((TILE, EIGHTS), np.uint64), np.zeros((TILE + 1, EIGHTS), np.uint64)
    tile, drawn = words.view(np.uint8), totals.view(np.uint8)
    gaps, late = np.zeros(TILE), np.zeros(WIDE, np.uint8)
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
            gaps[:] = 0.0
            gaps[:n] = gap[start : start + n]
            for k in range(_ending(drawn, n, count, need, at, hits, which)):
                one = np.intp(which[k])
                row = np.intp(at[one])
                _end(tile, drawn, gaps, ends[start + row] - start, one, row, count, held, size)
            add(tile, gaps, held[INSIDE])
            for w in range(WIDE):
                count[SEEN, w] += np.int32(drawn[n, w])
        else:
            for at_once in range(start, start + n, TILE):
                stop = min(at_once + TILE, start + n)
                gather(weights, rows, at_once, stop, words)
                _one_by_one(tile, stop - at_once, gap[at_once:stop], last[at_once:stop], count, held, late, size)


@compiled()
def _rms(weights: Any, rows: Any, gap: Any, last: Any, starts: Any, ends: Any, total: Any, size: Any, out: Any) -> None:
    """Fill ``out`` (WIDE, 2) with both RMS calibration errors of a cell on a block of resamples."""
    count, held = np.zeros((4, WIDE), np.int32), np.zeros((4, WIDE))
    for w in range(WIDE):
        count[LIMIT, w] = max(total[w] // size - 1, 0) * size
        count[NEXT, w] = size if count[LIMIT, w] > 0 else NEVER
    _pass(weights, rows, gap, last, starts, ends, count, held, size)
    for w in range(WIDE):
        if total[w] >= size:
            out[w, 0] = np.sqrt(held[SQUARES, w] / size / total[w])
        if total[w] > count[START, w]:
            held[SQUARES_WHOLE, w] += held[INSIDE, w] * held[INSIDE, w] / (total[w] - count[START, w])
        if total[w] > 0:
            out[w, 1] = np.sqrt(held[SQUARES_WHOLE, w] / total[w])


@compiled(parallel=True)
def rms_each(blocks: Any, total: Any, cells: Any, rows: Any, gap: Any, last: Any, size: int) -> Any:
    """Return both RMS calibration errors of cells on every resample, (resamples, cells, 2), padded like ``blocks``.

    Args:
        blocks: packed weights, uint64 (blocks, images, PACKED).
        total: int64 (resamples, cells), padded, how many rows are drawn.
        cells: (cells + 1,) where each cell's rows begin, and their number.
        rows: which image each row is of, the cells one after another, as are gap and last.
        gap, last, size: as of :func:`robench.metrics._loops.rms`.
    """
    k = cells.shape[0] - 1
    found = np.full((blocks.shape[0] * WIDE, k, 2), np.nan)
    starts, ends = np.zeros(rows.shape[0] + k, np.int64), np.zeros(rows.shape[0], np.int64)
    tiles = np.zeros(k, np.int64)
    for c in range(k):
        begin, stop = cells[c], cells[c + 1]
        tiles[c] = _tiles(last[begin:stop], starts[begin + c : stop + c + 1], ends[begin:stop])
    for block in prange(blocks.shape[0]):
        first = block * WIDE
        for c in range(k):
            begin, stop = cells[c], cells[c + 1]
            _rms(
                blocks[block], rows[begin:stop], gap[begin:stop], last[begin:stop],
                starts[begin + c : begin + c + tiles[c] + 1], ends[begin:stop],
                total[first : first + WIDE, c], size, found[first : first + WIDE, c],
            )  # fmt: skip
    return found
