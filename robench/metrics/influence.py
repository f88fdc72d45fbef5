"""How much each image of a cell adds to a metric: what makes the standard error of any metric that of a mean.

A metric that is a smooth formula of sums over images changes, when an image's weight does, by the formula's gradient
times what the image adds to the sums (the infinitesimal jackknife; Efron and Tibshirani 1993, section 21.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from robench.metrics.cells import kernel
from robench.metrics.weighted import Array, Columns, Sums

_STEP = 1e-5  # of a sum, or of an image where the sum is small


@dataclass(frozen=True)
class PerImage:
    """A metric as the mean of a value per image, to first order.

    Attributes:
        index: int64 (n,), the images, rising.
        values: float64 (n,); their mean is the metric, and their spread that of the metric's estimate.
    """

    index: npt.NDArray[np.int64]
    values: Array


def per_image_values(name: str, columns: Columns) -> PerImage | None:
    """Return the images' values of a metric; None where it is not a formula of sums over images.

    Args:
        name: of the metric.
        columns: of a cell, (rows, ...) each, ``index`` among them.

    For a metric that is a mean over images the values are those that it is the mean of.

    >>> columns = {"index": np.arange(3), "predicted": np.array([1, 2, 2]), "target": np.array([1, 1, 2])}
    >>> (per_image_values("error", columns).values.round(6) + 0.0).tolist()
    [0.0, 1.0, 0.0]
    """
    found = kernel(name)
    if not isinstance(found, Sums):
        return None
    parts = [feature(columns) for feature in found.features]
    clips = {getattr(part, "clips", False) for part in parts}
    if len(clips) != 1:
        return None
    index, member = np.unique(np.asarray(columns["index"], np.int64), return_inverse=True)
    rows = np.arange(len(index)) if clips == {True} else member
    sums = [part.total() for part in parts]
    change = np.zeros(len(index))
    for position, part in enumerate(parts):
        added = part.times(_slope(found, sums, position))
        change += np.bincount(rows, weights=added, minlength=len(index))
    return PerImage(index, len(index) * change + found.of_sums(sums))


def _slope(found: Sums, sums: Sequence[Array], position: int) -> Array:
    """Return the derivatives of the metric by the sums at one position, of their shape."""
    if found.slopes is not None:
        return found.slopes(sums)[position]
    flat = np.asarray(sums[position], np.float64).reshape(-1)
    slopes = np.zeros(len(flat))
    for i, value in enumerate(flat):
        step = _STEP * max(abs(float(value)), 1.0)
        ends = []
        for sign in (1.0, -1.0):
            moved = flat.copy()
            moved[i] += sign * step
            ends.append(found.of_sums([*sums[:position], moved.reshape(sums[position].shape), *sums[position + 1 :]]))
        slopes[i] = (ends[0] - ends[1]) / (2.0 * step)
    return np.nan_to_num(slopes).reshape(sums[position].shape)
