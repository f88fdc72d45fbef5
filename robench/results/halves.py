"""Which images are fitted on where the same run has to serve for the fit and for the measurement."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from robench.predictions import RunFolder

Index = npt.NDArray[np.int64]
_SEED = 0  # one for all, so that runs on the same images are split alike


def fit_half(index: npt.ArrayLike, target: npt.ArrayLike) -> Index:
    """Return the images to fit on: half of every class, at random, and the same whenever images and labels are.

    Data have an order: in one CIFAR-10 file classes take turns, so that the images of even index are those of five
    classes. So neither the index nor the place in the file may say which images are fitted on.

    Args:
        index: int (n,), which image a row is of; an image may occur in several rows.
        target: int (n,), its label.

    Returns:
        int64, rising: half of the images, rounded up.

    >>> half = fit_half(np.arange(20), np.arange(20) % 2)
    >>> len(half), int((half % 2 == 0).sum())
    (10, 5)
    """
    images, first = np.unique(np.asarray(index, np.int64), return_index=True)
    labels = np.asarray(target)[first]
    key = np.random.Generator(np.random.PCG64(_SEED)).random(len(images))
    return np.sort(images[np.lexsort((key, labels))[::2]])


def fit_half_of(folder: RunFolder, names: Sequence[str]) -> Index:
    """Return :func:`fit_half` of all images of some of a run's cells, whose indices mean the same images.

    Raises:
        RobenchError: a cell is damaged.
    """
    cells = [folder.read(cell, ()) for cell in names]
    if not cells:
        return np.empty(0, np.int64)
    return fit_half(np.concatenate([cell.index for cell in cells]), np.concatenate([cell.target for cell in cells]))
