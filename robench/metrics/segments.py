"""Everything that a cell's metrics sum over images, laid out to be summed in one pass for many resamples.

Metrics share what they sum: the gaps of three calibration errors are the same numbers in other bins, and a mean is a
sum over all bins. So every distinct value is summed once, within segments that are as fine as all the bins together,
and a feature's bins are put together from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from robench.metrics.weighted import Array, Binned, Column, Rows


@dataclass(frozen=True)
class Place:
    """Where a part's sums are found: in which columns, and of which bin each segment is; None: of a plain sum."""

    columns: tuple[int, ...]
    index: npt.NDArray[np.integer[Any]] | None = None
    bins: int = 1


@dataclass(frozen=True)
class Segments:
    """Distinct values of rows, ordered so that rows of a segment stand together.

    Attributes:
        rows: uint32 (tiles, TILE), which image each row is of.
        starts: int64 (segments + 1,), where each segment's tiles begin, and their number.
        values: float64 (tiles, k, TILE), 0 where a segment's last tile is not full.
        places: one of each part.
    """

    rows: npt.NDArray[np.uint32]
    starts: npt.NDArray[np.int64]
    values: Array
    places: tuple[Place, ...]

    def apart(self, sums: Array) -> list[Array]:
        """Return each part's sums, (resamples,) or (resamples, bins, k), of sums (resamples, segments, values)."""
        return [_of_place(sums, place) for place in self.places]


def _of_place(sums: Array, place: Place) -> Array:
    if place.index is None:
        return np.asarray(sums[:, :, place.columns[0]].sum(axis=1))
    chosen = sums[:, :, list(place.columns)]
    found = np.zeros((len(sums), place.bins, len(place.columns)))
    for segment, into in enumerate(place.index):
        found[:, into] += chosen[:, segment]
    return found


def of_parts(parts: Sequence[Column | Binned], rows: Rows, images: int) -> list[tuple[list[int], Segments]]:
    """Return segments, and which parts each has: all parts together, but for bins that would cut each other to pieces.

    Args:
        parts: what is summed over the same rows.
        rows: int64 (n,), which image each row is of.
        images: how many there are.

    >>> two = Binned(np.ones((1, 4)), np.array([0, 0, 1, 1]), 2)
    >>> three = Binned(np.ones((1, 4)), np.array([0, 1, 1, 2]), 3)
    >>> ((which, found),) = of_parts([two, three], np.arange(4), 4)
    >>> which, found.starts.tolist(), found.values[:, 0, 0].tolist()
    ([0, 1], [0, 1, 2, 3, 4], [1.0, 1.0, 1.0, 1.0])
    """
    binned = [(i, part) for i, part in enumerate(parts) if isinstance(part, Binned)]
    columns = [i for i, part in enumerate(parts) if isinstance(part, Column)]
    if not binned:
        return [(columns, _of_columns([parts[i] for i in columns], rows, images))] if columns else []
    groups: list[tuple[list[int], npt.NDArray[np.int64]]] = []
    bins = {i: part.bins for i, part in binned}
    for i, part in binned:
        one = np.asarray(part.index, np.int64)
        for at, (members, joint) in enumerate(groups):
            finer = _joint(joint, one, part.bins)
            if finer.max(initial=0) < sum(bins[m] for m in [*members, i]):
                groups[at] = ([*members, i], finer)
                break
        else:
            groups.append(([i], one))
    groups[0][0].extend(columns)
    return [(members, _of_group([parts[m] for m in members], joint, rows)) for members, joint in groups]


def _joint(a: npt.NDArray[np.int64], b: npt.NDArray[np.int64], bins: int) -> npt.NDArray[np.int64]:
    """Return the number of each row's pair of bins, counted from 0 among the pairs that there are."""
    pair = a * bins + b
    if pair.max(initial=0) > 8 * len(pair) + 1000:
        return np.asarray(np.unique(pair, return_inverse=True)[1].reshape(-1), np.int64)
    there = np.bincount(pair) > 0
    return np.asarray((np.cumsum(there) - 1)[pair], np.int64)


def _of_columns(columns: Sequence[Any], rows: Rows, images: int) -> Segments:
    sums = [np.bincount(rows, weights=column.values, minlength=images).astype(np.float64) for column in columns]
    places = tuple(Place((i,)) for i in range(len(columns)))
    every = np.arange(images)
    return _tiled(every, every, np.array([0, images]), sums, places)


def _tiled(order: Rows, rows: Rows, starts: Rows, values: Sequence[Array], places: tuple[Place, ...]) -> Segments:
    from robench.metrics._wide_loops import tiles_of

    tiled_rows, tiled, first = tiles_of(order, np.asarray(rows, np.int64), starts, np.stack(values))
    return Segments(tiled_rows, first, tiled, places)


def _of_group(parts: Sequence[Any], joint: npt.NDArray[np.int64], rows: Rows) -> Segments:
    few = np.min_scalar_type(int(joint.max(initial=0)))
    order = np.argsort(joint.astype(few), kind="stable")  # by radix where there are few segments
    counts = np.bincount(joint)
    counts = counts[counts > 0]
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    distinct: list[Array] = []
    places = []
    for part in parts:
        own = [part.values] if isinstance(part, Column) else list(part.values)
        columns = tuple(_place_of(one, distinct) for one in own)
        index = None if isinstance(part, Column) else part.index[order[starts[:-1]]]
        places.append(Place(columns, index, getattr(part, "bins", 1)))
    return _tiled(order, rows, starts, distinct, tuple(places))


def _place_of(values: Array, distinct: list[Array]) -> int:
    """Return where these values stand among the distinct ones, to which they are added where they are new."""
    for i, other in enumerate(distinct):
        if np.array_equal(values, other):
            return i
    distinct.append(values)
    return len(distinct) - 1
