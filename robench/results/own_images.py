"""Which cells of a run are of the same images: an index alone says so only within one set of images."""

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


def images_apart(indices: Mapping[str, Index], suite: Suite) -> dict[str, Index]:
    """Return the indices of every cell, moved so that two rows have one index only if they are of one image.

    ImageNetV2's three sets, say, each count their images from 0: drawn together by index, images that have nothing to
    do with each other would be resampled as one.

    Args:
        indices: cell -> int64 (n,), which image a row is of.
        suite: the protocol.

    Returns:
        Cell -> int64 (n,); unchanged where all cells are of one set of images.
    """
    sets = {cell: own_set(cell, suite) for cell in indices}
    if len(set(sets.values())) == 1:
        return dict(indices)
    start: dict[str | None, int] = {}
    after = 0
    for one in dict.fromkeys(sets.values()):
        start[one] = after
        after += 1 + max(int(index.max(initial=-1)) for cell, index in indices.items() if sets[cell] == one)
    return {cell: index.astype(np.int64) + start[sets[cell]] for cell, index in indices.items()}


def indices_of(predictions: Mapping[str, Predictions], suite: Suite) -> dict[str, Index]:
    """Return :func:`images_apart` of a run's cells."""
    return images_apart({cell: rows.index for cell, rows in predictions.items()}, suite)
