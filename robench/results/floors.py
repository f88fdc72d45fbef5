"""The least standard error that so many images allow for a difference of two models in a summary value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from robench.catalogue import metric_of, row
from robench.metrics.influence import per_image_values
from robench.metrics.least_error import least_error
from robench.results.judging import standard_error
from robench.results.paired import slopes
from robench.results.scores import Scores
from robench.suites.base import Suite

Array = npt.NDArray[np.float64]


def floor_of(
    name: str,
    slope: Array | None,
    images: npt.NDArray[np.int64],
    value: float,
    index: Sequence[npt.NDArray[np.int64]] | None = None,
    parts: Sequence[Array] | None = None,
) -> float:
    """Return the least standard error of a difference in a summary value; 0 where it is not known.

    Args:
        name: of the summary value.
        slope: (cells,) of :func:`robench.results.paired.slopes`.
        images: (cells,) images of each cell.
        value: of the summary value; where it has no upper end, an image is taken to differ by so much.
        index: of each cell, which images these are; None: no cell has an image of another.
        parts: of each cell, each image's part of the difference; None: not known, so that images are taken to differ
            as far as they can.
    """
    if slope is None:
        return 0.0
    of = metric_of(name) or row(name)
    scale = 1.0 if np.isfinite(of.range).all() else max(abs(value), 1e-6)
    return least_error(slope, images, scale, index=index, parts=parts)


def floor_between(name: str, a: Scores, b: Scores, suite: Suite, value: float, replicates: Array) -> float:
    """Return the least standard error of a difference of two runs on the same images.

    What each image adds is only computed where it matters: where resamples vary less than if the images that were not
    seen differed as far as they can.

    Args:
        name: of the summary value.
        a, b: the runs' scores.
        suite: the protocol.
        value: of the first run.
        replicates: (resamples,) of the difference.
    """
    slope = slopes(name, a.cells, a.values, suite)
    floor = floor_of(name, slope, a.images, value, a.index)
    error = standard_error(replicates)
    if slope is None or error is None or error > floor:
        return floor
    other = slopes(name, b.cells, b.values, suite)
    parts = None if other is None else _parts(name, a, b, slope, other)
    return floor_of(name, slope, a.images, value, a.index, parts)


def _parts(name: str, a: Scores, b: Scores, first: Array, second: Array) -> list[Array] | None:
    """Return each image's part of the difference, of every cell; None where the metric is no formula of sums."""
    metric, found = metric_of(name), []
    for c in range(len(a.cells)):
        of_a, of_b = (None if metric is None else per_image_values(metric.name, s.columns[c]) for s in (a, b))
        if of_a is None or of_b is None or not np.array_equal(of_a.index, of_b.index):
            return None
        found.append(first[c] * of_a.values - second[c] * of_b.values)
    return found
