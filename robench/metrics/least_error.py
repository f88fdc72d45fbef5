"""What the images that were not seen may add to a difference of two models: the least standard error it can have."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from robench.errors import RobenchError

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_ADDED = 2.0  # images on which the models differ, one either way, that are added to those seen
_ALIKE = 1e-6  # of the largest difference an image can make: derivatives are exact to less


def least_error(
    gradient: npt.ArrayLike,
    images: npt.ArrayLike,
    scale: float = 1.0,
    *,
    index: Sequence[Integers] | None = None,
    parts: Sequence[Floats] | None = None,
) -> float:
    """Return the least standard error that so many images allow for a difference of two models.

    Two models that answer alike on all images seen may differ on others. As for paired proportions (Bonett and Price
    2012), two images are added, on one of which the first model is better and on one the second. They differ as far as
    an image can, in all cells that have it, where no image seen tells how far images differ. Otherwise their squared
    difference is the mean of those of the images on which the models differ and of one that differs as far as it can.

    Args:
        gradient: (cells,) derivative of the value by each cell's mean.
        images: (cells,) images of each cell.
        scale: by how much the value of an image can differ; 1 for right and wrong answers.
        index: for each cell int64 (n,), which images it has, each once; equal numbers in two cells are the same image.
            None: no cell has an image of another.
        parts: for each cell float64 (n,), by how much the derivative times each image's value differs between the
            models, in the order of ``index``; None: not known.

    Raises:
        RobenchError: not the same cells, or not as many parts as images.

    >>> round(least_error([0.5, 0.5], [1000, 1000]), 5)
    0.00071
    >>> shared = [np.arange(1000)] * 2
    >>> round(least_error([0.5, 0.5], [1000, 1000], index=shared), 5)
    0.00141
    >>> seen = np.where(np.arange(1000) < 99, 0.05, 0.0)  # of one cell, on 99 images: a tenth of what can be
    >>> round(least_error([0.5, 0.5], [1000, 1000], index=shared, parts=[seen, np.zeros(1000)]), 5)
    0.00016
    """
    slopes, counts = np.asarray(gradient, np.float64), np.asarray(images, np.int64)
    if slopes.shape != counts.shape or any(len(of) != len(counts) for of in (index, parts) if of is not None):
        raise RobenchError(
            f"Derivatives and images must be of the same cells; found shapes {slopes.shape} and {counts.shape}.",
            hint="Give one number for each cell.",
        )
    used = [int(c) for c in np.flatnonzero((slopes != 0) & (counts > 0))]
    if not used:
        return 0.0
    sizes = counts[used]
    rows = np.arange(sizes.sum()) if index is None else _numbered([index[c] for c in used])
    most = np.asarray(scale * np.bincount(rows, np.repeat(np.abs(slopes[used]) / sizes, sizes)), np.float64)
    size = 1.0 if parts is None else _mean_square([parts[c] for c in used], sizes, rows, most)
    return math.sqrt(size * _ADDED / (len(most) + _ADDED) * float((most**2).sum()))


def _numbered(index: Sequence[Integers]) -> Integers:
    """Return each row's image, counted from 0, cell after cell."""
    first = index[0]
    if all(np.array_equal(first, other) for other in index[1:]):
        return np.tile(np.arange(len(first)), len(index))
    return np.unique(np.concatenate(list(index)), return_inverse=True)[1]


def _mean_square(parts: Sequence[Floats], sizes: Integers, rows: Integers, most: Floats) -> float:
    """Return the mean squared difference of the images that differ and of one that differs as far as it can, 0 to 1."""
    if [len(of) for of in parts] != sizes.tolist():
        raise RobenchError(
            f"Every image needs its part of the difference; found {sum(len(of) for of in parts):,} parts of "
            f"{int(sizes.sum()):,} images.",
            hint="Give one number for each image of each cell.",
        )
    of_rows = np.concatenate(list(parts)) / np.repeat(sizes, sizes)
    apart = np.bincount(rows, np.abs(of_rows)) > _ALIKE * most
    share = np.minimum(np.abs(np.bincount(rows, of_rows))[apart] / most[apart], 1.0)
    return float((1.0 + (share**2).sum()) / (1.0 + apart.sum()))
