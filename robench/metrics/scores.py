"""Scores of whole distributions: Brier decomposition, top-5, and multi-label precision."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from robench.errors import RobenchError
from robench.metrics.arrays import as_array, floats, probability_rows, top_label
from robench.metrics.binning import bin_index
from robench.metrics.kernels import WEIGHTED_PR_AUC, falling_scores

Array = npt.NDArray[np.float64]


def brier_score(probabilities: npt.ArrayLike, target: npt.ArrayLike) -> Array:
    """Return each image's Brier score, sum over classes of (p - onehot)^2, (n,) in [0, 2].

    Raises:
        RobenchError: as :func:`robench.metrics.arrays.probability_rows`.

    Source: Brier 1950.

    Args:
        probabilities: (n, K) in [0, 1].
        target: int (n,) labels.

    >>> brier_score([[0.5, 0.5], [1.0, 0.0]], [0, 1]).tolist()
    [0.5, 2.0]
    """
    p, labels = probability_rows(probabilities, target)
    own = p[np.arange(len(p)), labels]
    return np.asarray((p * p).sum(axis=1) - 2.0 * own + 1.0)


class BrierParts(NamedTuple):
    """Top-label Brier score = reliability - resolution + uncertainty + rest.

    The first three lie in [0, 1]; the rest, of the spread within bins, may be below 0.
    """

    reliability: float
    resolution: float
    uncertainty: float
    rest: float


def brier_decomposition(confidence: npt.ArrayLike, correct: npt.ArrayLike, *, bins: int = 15) -> BrierParts:
    """Decompose the top-label Brier score mean (confidence - correct)^2 over equal-width bins.

    The rest comes from the spread of confidences within bins; with it the parts add up exactly. NaN without
    images.

    Source: Murphy 1973; Stephenson et al. 2008 for the within-bin terms.

    Args:
        confidence: (n,) in [0, 1].
        correct: (n,) of bool.
        bins: number of bins of equal width.

    Raises:
        RobenchError: as :func:`robench.metrics.ece`.

    >>> [round(part, 4) for part in brier_decomposition([0.75, 0.75], [True, False])]
    [0.0625, 0.0, 0.25, 0.0]
    """
    confidence, hit = top_label(confidence, correct)
    if len(hit) == 0:
        return BrierParts(*[float("nan")] * 4)
    index = bin_index(confidence, bins)
    count = np.maximum(np.bincount(index, minlength=bins), 1)
    mean = np.bincount(index, weights=confidence, minlength=bins) / count
    accuracy = np.bincount(index, weights=hit, minlength=bins) / count
    weight = np.bincount(index, minlength=bins) / len(confidence)
    overall = hit.mean()
    reliability = float((weight * (mean - accuracy) ** 2).sum())
    resolution = float((weight * (accuracy - overall) ** 2).sum())
    uncertainty = float(overall * (1 - overall))
    total = float(((confidence - hit) ** 2).mean())
    return BrierParts(reliability, resolution, uncertainty, total - (reliability - resolution + uncertainty))


def frequency_weighted_map(score: npt.ArrayLike, targets: npt.ArrayLike) -> float:
    """Return DeepFashion Remixed's mAP: areas under the precision-recall curves, weighted by class frequency.

    Args:
        score: (n, K), higher is more likely.
        targets: (n, K) of 0/1.

    Returns:
        In [0, 1]; a class without a positive has weight 0; NaN without any positive.

    Raises:
        RobenchError: shapes do not match, a score is NaN, or a target is not 0 or 1.

    The area is the trapezoid under the curve, not average precision, as the published script has it.

    Source: DeepFashion Remixed, ``get_map`` of hendrycks/imagenet-r.

    >>> frequency_weighted_map([[0.9, 0.2], [0.1, 0.8]], [[1, 0], [0, 1]])
    1.0
    """
    score, targets = floats(score), as_array(targets)
    if score.ndim != 2 or targets.shape != score.shape:
        raise RobenchError(
            f"Expected scores and targets (n, K); found shapes {score.shape} and {targets.shape}.",
            hint="Give one score, and one 0 or 1, for every image and class.",
        )
    if np.isnan(score).any() or not ((targets == 0) | (targets == 1)).all():
        raise RobenchError("Scores must not be NaN, targets must be 0 or 1.", hint="Check the model's output.")
    order, arguments = falling_scores(score, targets.astype(np.float64))
    return float(WEIGHTED_PR_AUC.loop.once(order, arguments)[0])
