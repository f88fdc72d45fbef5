"""What the classes of a sample's images say: how far rounding takes cells' means off, and how classes' means vary.

Where classes are known, every stretch of the shuffled list holds them in proportion up to rounding
(:mod:`robench.suites.drawing`), and what an image's class says of its values is no longer left to the draws. It stays
in the values of new images, among which the classes fall by chance.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from robench.metrics.sample_rows import SampleRows

Floats = npt.NDArray[np.float64]


def rounding(rows: SampleRows, centred: Floats, part: Floats) -> Floats:
    """Return how far the cells' means are off as they hold the classes not exactly in proportion, (cells,).

    A cell's own classes' means, of two or three images each, are mostly chance, which would add to the variance as if
    it were rounding. They are drawn towards those of all cells as far as chance explains how far they lie apart (James
    and Stein 1961, the positive part).

    Args:
        rows: the drawn images.
        centred: float64 (rows,), values less their cell's mean.
        part: float64 (rows,), of these what their classes explain (:meth:`SampleRows.class_parts`).
    """
    if rows.classes is None:
        return np.zeros(len(rows.sizes))
    means, sizes = rows.class_means(part), rows.sizes
    if rows.own.any() and rows.pooled:
        of_all = rows.pooled_parts(centred)
        chance = (rows.kinds[1] - 1) * rows.sums((centred - part) ** 2) / (sizes * (1.0 - rows.fitted)) / sizes
        apart = (rows.shares * (means - of_all) ** 2).sum(axis=1)
        kept = np.maximum(1.0 - chance / np.maximum(apart, 1e-300), 0.0)
        means = np.where(rows.own[:, None], of_all + kept[:, None] * (means - of_all), means)
    off = ((rows.place[1] - rows.shares * sizes[:, None]) * means).sum(axis=1) / sizes
    return np.asarray(np.where(rows.alone | rows.whole, 0.0, off))


def covariances_of_classes(rows: SampleRows, part: Floats, within: Floats) -> Floats:
    """Return the covariances between cells of their classes' means, weighted by the classes' shares, (cells, cells).

    Less what chance adds: of means of ``m`` images each a class's mean has ``1 / m`` of the variance within.

    Args:
        rows: the drawn images.
        part: float64 (rows,), what the classes explain of values less their cell's mean.
        within: float64 (cells, cells), covariances of the values less their classes' means.
    """
    cells = len(rows.sizes)
    if rows.classes is None or not (rows.pooled or rows.own.any()):
        return np.zeros((cells, cells))
    means, free = rows.class_means(part), rows.kinds[1] - 1
    own = rows.own[:, None] & rows.own[None, :]
    of_all = (rows.common * within).sum() / len(rows.cell) ** 2 if rows.pooled else 0.0
    chance = free * np.where(own, rows.common * within / np.outer(rows.sizes, rows.sizes), of_all)
    return np.asarray((rows.shares * means) @ means.T - chance)
