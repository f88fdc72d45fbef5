"""Which rows of a run's cells are of the same image: an index alone says so only within one set of images."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from robench.predictions import Predictions
from robench.results.protocols import clean_condition
from robench.suites.base import Cell, Suite

Index = npt.NDArray[np.int64]


def own_set(cell: str, suite: Suite) -> str | None:
    """Return the condition whose images a cell has for itself; None where an index means the suite's common image.

    >>> from robench.suites import get
    >>> own_set("imagenet-r", get("imagenet-r")), own_set("fog/1", get("cifar10-c"))
    ('imagenet-r', None)
    """
    condition = Cell.parse(cell).condition
    own = suite.own_images or (suite.own_clean and condition == clean_condition(suite))
    return condition if own else None


def images_apart(
    indices: Mapping[str, Index], suite: Suite, fingerprints: Mapping[str, Index | None] | None = None
) -> dict[str, Index]:
    """Return a number for every row, by which two rows are of one image if and only if their numbers are equal.

    ImageNetV2's three sets, say, each count their images from 0: drawn together by index, images that have nothing to
    do with each other would be resampled as one. Yet they were drawn from one pool, and two of them share 3,070 to
    4,996 of their 10,000 images (of their published lists): these have the same pixels.

    Args:
        indices: cell -> int64 (n,), which image a row is of.
        suite: the protocol.
        fingerprints: cell -> int64 (n,), of each row's pixels, or None where a run kept none; by these, images that
            are in several sets are found. None: no set is taken to have an image of another.

    Returns:
        Cell -> int64 (n,); the indices where all cells are of one set of images.
    """
    sets = {cell: own_set(cell, suite) for cell in indices}
    if len(set(sets.values())) == 1:
        return dict(indices)
    start: dict[str | None, int] = {}
    after = 0
    for one in dict.fromkeys(sets.values()):
        start[one] = after
        after += 1 + max(int(index.max(initial=-1)) for cell, index in indices.items() if sets[cell] == one)
    apart = {cell: index.astype(np.int64) + start[sets[cell]] for cell, index in indices.items()}
    return apart if fingerprints is None or not suite.own_images else _joined(apart, fingerprints)


def _joined(apart: Mapping[str, Index], fingerprints: Mapping[str, Index | None]) -> dict[str, Index]:
    """Give the images of later sets the numbers of those with the same pixels in earlier ones.

    Of images of one set with the same pixels only the first is taken for that of another set.
    """
    found = dict(apart)
    prints, numbers = np.empty(0, np.int64), np.empty(0, np.int64)
    for cell, number in apart.items():
        own = fingerprints.get(cell)
        if own is None or not len(number):
            continue
        images, rows, image_of_row = np.unique(number, return_index=True, return_inverse=True)
        different, firsts = np.unique(own[rows], return_index=True)
        _, here, there = np.intersect1d(different, prints, assume_unique=True, return_indices=True)
        images[firsts[here]] = numbers[there]
        found[cell] = images[image_of_row]
        new = np.setdiff1d(np.arange(len(different)), here, assume_unique=True)
        prints = np.concatenate([prints, different[new]])
        numbers = np.concatenate([numbers, images[firsts[new]]])
    return found


def indices_of(predictions: Mapping[str, Predictions], suite: Suite) -> dict[str, Index]:
    """Return :func:`images_apart` of a run's cells."""
    indices = {cell: rows.index for cell, rows in predictions.items()}
    return images_apart(indices, suite, {cell: rows.fingerprint for cell, rows in predictions.items()})
