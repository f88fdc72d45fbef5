"""Reliability diagrams: accuracy against confidence in equal-width bins."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from robench.metrics.arrays import top_label
from robench.metrics.binning import bin_index

Array = npt.NDArray[np.float64]
_Z95 = 1.959963984540054


class ReliabilityDiagram(NamedTuple):
    """Per bin: images, mean confidence, accuracy and its 95 % Wilson interval; NaN in empty bins."""

    count: npt.NDArray[np.int64]  # type: ignore[assignment]  # hides tuple.count
    confidence: Array
    accuracy: Array
    low: Array
    high: Array


def reliability_diagram(confidence: npt.ArrayLike, correct: npt.ArrayLike, *, bins: int = 15) -> ReliabilityDiagram:
    """Return the diagram of (n,) confidences in [0, 1] and (n,) booleans; bins as in :func:`ece`.

    Args:
        confidence: (n,) in [0, 1].
        correct: (n,) of bool.
        bins: number of bins of equal width.

    Raises:
        RobenchError: as :func:`robench.metrics.ece`.

    >>> diagram = reliability_diagram([0.2, 0.7, 0.9], [False, True, True], bins=2)
    >>> diagram.count.tolist(), diagram.accuracy.tolist()
    ([1, 2], [0.0, 1.0])
    """
    found, hit = top_label(confidence, correct)
    index = bin_index(found, bins)
    count = np.bincount(index, minlength=bins)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(index, weights=found, minlength=bins) / count
        accuracy = np.bincount(index, weights=hit, minlength=bins) / count
        low, high = wilson_interval(accuracy, count)
    return ReliabilityDiagram(count, mean, accuracy, low, high)


def wilson_interval(rate: Array, count: npt.NDArray[np.int64]) -> tuple[Array, Array]:
    """Return the 95 % interval of a binomial rate (Wilson 1927); NaN where there are no images."""
    spread = _Z95**2 / count
    centre = (rate + spread / 2) / (1 + spread)
    half = _Z95 * np.sqrt(rate * (1 - rate) / count + spread / (4 * count)) / (1 + spread)
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)
