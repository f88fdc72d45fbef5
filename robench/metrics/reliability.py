"""Reliability diagrams: accuracy against confidence in equal-width bins."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from robench.errors import RobenchError
from robench.metrics.arrays import as_array, top_label
from robench.metrics.binning import bin_index

Array = npt.NDArray[np.float64]
_Z95 = 1.959963984540054


class ReliabilityDiagram(NamedTuple):
    """Per bin: answers, mean confidence, accuracy and its 95 % Wilson interval; NaN in empty bins."""

    count: npt.NDArray[np.int64]  # type: ignore[assignment]  # hides tuple.count
    confidence: Array
    accuracy: Array
    low: Array
    high: Array


def reliability_diagram(
    confidence: npt.ArrayLike, correct: npt.ArrayLike, *, bins: int = 15, image: npt.ArrayLike | None = None
) -> ReliabilityDiagram:
    """Return the diagram of (n,) confidences in [0, 1] and (n,) booleans; bins as in :func:`ece`.

    Args:
        confidence: (n,) in [0, 1].
        correct: (n,) of bool.
        bins: number of bins of equal width.
        image: int (n,), which image each answer is on; None: each on one of its own. Answers on one image, under
            several corruptions, say less than as many on other images: the interval is that of so many fewer
            (:func:`design_effect`).

    Raises:
        RobenchError: as :func:`robench.metrics.ece`, or not one whole number per answer as its image.

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
        alike = np.ones(bins)
        if image is not None:
            of = as_array(image)
            if of.shape != found.shape or of.dtype.kind not in "iu":
                raise RobenchError(
                    f"Expected the image of every answer, whole numbers {found.shape}; found {of.dtype} {of.shape}.",
                    hint="Give the column `index` of the predictions.",
                )
            alike = design_effect(hit - accuracy[index], index, of, bins)
        low, high = wilson_interval(accuracy, count / alike)
    return ReliabilityDiagram(count, mean, accuracy, low, high)


def design_effect(off: Array, index: npt.NDArray[np.int64], image: npt.NDArray[np.int64], bins: int) -> Array:
    """Return how many times the variance of independent answers each bin's accuracy has, (bins,), at least 1.

    It is the variance of the images' sums over that of the answers, each about the bin's accuracy; where all answers
    of a bin are alike, the answers per image.

    Args:
        off: (n,), whether each answer is right, less its bin's accuracy.
        index: int (n,), the bins.
        image: int (n,), which image each answer is on.
        bins: how many there are.

    Source: Kish 1965, Survey Sampling, section 5.4 (clusters of unequal sizes, a ratio's linearised variance).

    >>> off, image = np.array([0.5, 0.5, -0.5, -0.5]), np.array([7, 7, 8, 8])
    >>> design_effect(off, np.zeros(4, int), image, 1).tolist()
    [2.0]
    """
    known, cluster = np.unique(image.astype(np.int64) * bins + index, return_inverse=True)
    of_bin = known % bins
    between = np.bincount(of_bin, weights=np.bincount(cluster, weights=off) ** 2, minlength=bins)
    alone = np.bincount(index, weights=off * off, minlength=bins)
    with np.errstate(invalid="ignore", divide="ignore"):
        per_image = np.bincount(index, minlength=bins) / np.bincount(of_bin, minlength=bins)
        effect = np.where(alone > 1e-9, between / alone, per_image)
    return np.asarray(np.fmax(effect, 1.0))


def wilson_interval(rate: Array, count: npt.NDArray[Any]) -> tuple[Array, Array]:
    """Return the 95 % interval of a binomial rate (Wilson 1927); NaN where there are no images."""
    spread = _Z95**2 / count
    centre = (rate + spread / 2) / (1 + spread)
    half = _Z95 * np.sqrt(rate * (1 - rate) / count + spread / (4 * count)) / (1 + spread)
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)
