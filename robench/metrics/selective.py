"""Whether confidence puts right answers before wrong ones: risk-coverage, response rate, soft F1.

Input as for :mod:`robench.metrics.calibration`.
"""

from __future__ import annotations

import numpy.typing as npt

from robench.metrics import kernels
from robench.metrics.arrays import top_label


def area_under_risk_coverage(confidence: npt.ArrayLike, correct: npt.ArrayLike) -> float:
    """Return the mean over k of the error among the k most confident images, in [0, 1]; NaN without images.

    Ties in confidence share one risk: coverage can only step over all of them, so their errors count in equal parts.

    Source: Geifman and El-Yaniv 2017 (AURC).

    Args:
        confidence: (n,) in [0, 1].
        correct: (n,) of bool.

    Raises:
        RobenchError: as :func:`robench.metrics.arrays.top_label`.

    >>> area_under_risk_coverage([0.9, 0.8, 0.7, 0.6], [True, True, True, False])
    0.0625
    """
    return float(kernels.AURC.loop.once(*kernels.falling_errors(*top_label(confidence, correct)))[0])


def area_under_response_rate_accuracy(confidence: npt.ArrayLike, correct: npt.ArrayLike) -> float:
    """Return AURRA: the mean over k of the accuracy of the k most confident images, in [0, 1].

    One minus :func:`area_under_risk_coverage`; the published code breaks ties by position instead.

    Source: ``aurra`` of hendrycks/imagenet-r.

    Args:
        confidence: (n,) in [0, 1].
        correct: (n,) of bool.

    Raises:
        RobenchError: as :func:`robench.metrics.arrays.top_label`.

    >>> area_under_response_rate_accuracy([0.9, 0.8, 0.7, 0.6], [True, True, True, False])
    0.9375
    """
    return 1.0 - area_under_risk_coverage(confidence, correct)


def soft_f1(confidence: npt.ArrayLike, correct: npt.ArrayLike) -> float:
    """Return the soft F1 of one minus confidence as a detector of errors, in [0, 1]; NaN where both are all zero.

    2 sum(u w) / sum(u + w) with u = 1 - confidence and w = 1 for a wrong answer.

    Source: ``soft_f1`` of hendrycks/outlier-exposure.

    Args:
        confidence: (n,) in [0, 1].
        correct: (n,) of bool.

    Raises:
        RobenchError: as :func:`robench.metrics.arrays.top_label`.

    >>> soft_f1([1.0, 0.0], [True, False])
    1.0
    """
    found, hit = top_label(confidence, correct)
    unsure, wrong = 1.0 - found, 1.0 - hit
    return kernels.SOFT_F1.of_sums([(unsure * wrong).sum(), (unsure + wrong).sum()])
