"""Calibration errors from the confidence of the top class and whether it was right.

Confidences and answers are numpy arrays, lists or torch tensors; :func:`robench.metrics.arrays.top_label` says what is
refused, with a RobenchError; so are numbers of bins, and of images per bin, that are not whole numbers from 1 on.
Bias-corrected estimators are in :mod:`robench.metrics.debiased`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from robench.metrics import kernels
from robench.metrics.arrays import positive, probability_rows, top_label
from robench.metrics.binning import BIN_SIZE, BINS, class_gaps, equal_width, rising
from robench.metrics.weighted import Loop, Rows


def rms_calibration_error(confidence: npt.ArrayLike, correct: npt.ArrayLike, *, bin_size: int = 100) -> float:
    """Return the RMS calibration error as the published code computes it: the most confident bin is omitted.

    Images are sorted by rising confidence (ties in their given order) and cut into bins of ``bin_size``; what is
    left over joins the last bin, and that last bin is not summed though its images count in n. So 10,000 images
    use 9,900; from 100 to 199 images the error is 0, and below 100 it is NaN. Where a bin's edge falls within images
    of equal confidence the value depends on their order (:func:`rms_depends_on_order`).

    Args:
        confidence: (n,) in [0, 1].
        correct: (n,) of bool.
        bin_size: images per bin.

    Returns:
        A fraction in [0, 1].

    Raises:
        RobenchError: as :func:`robench.metrics.arrays.top_label`, or ``bin_size`` is not a whole number from 1 on.

    Source: ``calib_err`` of hendrycks/outlier-exposure and hendrycks/imagenet-r.

    >>> confidence, correct = [0.5] * 100 + [0.9] * 100, [True, False] * 100
    >>> rms_calibration_error(confidence, correct), round(rms_calibration_error_all_bins(confidence, correct), 4)
    (0.0, 0.2828)
    """
    return _rms(confidence, correct, bin_size)[0]


def rms_calibration_error_all_bins(confidence: npt.ArrayLike, correct: npt.ArrayLike, *, bin_size: int = 100) -> float:
    """Return the RMS calibration error as the paper's formula says: every bin is summed.

    Bins are those of :func:`rms_calibration_error`, except that images of equal confidence share one: an edge that
    falls among them moves behind them. Fewer than ``bin_size`` images make one bin; none: NaN.

    Args:
        confidence: (n,) in [0, 1].
        correct: (n,) of bool.
        bin_size: images per bin.

    Returns:
        A fraction in [0, 1].

    Raises:
        RobenchError: as :func:`rms_calibration_error`.

    Source: AugMix (Hendrycks et al. 2020), appendix on calibration metrics.

    >>> round(rms_calibration_error_all_bins([0.9] * 1000, [i % 10 > 1 for i in range(1000)]), 4)
    0.1
    """
    return _rms(confidence, correct, bin_size)[1]


def rms_depends_on_order(confidence: npt.ArrayLike, correct: npt.ArrayLike, *, bin_size: int = 100) -> bool:
    """Return whether :func:`rms_calibration_error` depends on the order of the images.

    It does where a bin's edge falls among images of equal confidence of which some are right and some wrong.

    Args:
        confidence: (n,) in [0, 1].
        correct: (n,) of bool.
        bin_size: images per bin.

    Raises:
        RobenchError: as :func:`rms_calibration_error`.

    >>> rms_depends_on_order([1.0] * 300, [i > 30 for i in range(300)])
    True
    """
    found, hit = top_label(confidence, correct)
    size = positive(bin_size, "images per bin", BIN_SIZE)
    order = np.argsort(found, kind="stable")
    found, hit = found[order], hit[order]
    starts = np.concatenate([[0], np.flatnonzero(np.diff(found)) + 1]) if len(found) else np.empty(0, np.int64)
    stops = np.append(starts[1:], len(found))
    edges = np.arange(size, max(len(found) // size, 1) * size, size)  # the last bin takes the remainder
    cut = np.searchsorted(edges, starts, side="right") < np.searchsorted(edges, stops, side="left")
    hits = np.concatenate([[0.0], np.cumsum(hit)])
    right = hits[stops] - hits[starts]
    return bool((cut & (right > 0) & (right < stops - starts)).any())


def ece(confidence: npt.ArrayLike, correct: npt.ArrayLike, *, bins: int = 15) -> float:
    """Return the expected calibration error over equal-width bins [a, b), the last one closed at 1.

    Args:
        confidence: (n,) in [0, 1].
        correct: (n,) of bool.
        bins: number of bins.

    Returns:
        Sum over bins of n_b / n times |mean accuracy - mean confidence|, in [0, 1]; NaN without images.

    Raises:
        RobenchError: as :func:`robench.metrics.arrays.top_label`, or ``bins`` is not a whole number from 1 on.

    Source: Guo et al. 2017, equation 3, with the bin edges of google-research/robustness_metrics.

    >>> round(ece([0.9, 0.8, 0.6], [True, True, False]), 4)
    0.3
    """
    found, hit = top_label(confidence, correct)
    return kernels.ECE.of_sums([equal_width(found, found - hit, bins).total()])


def overconfidence_gap(confidence: npt.ArrayLike, correct: npt.ArrayLike) -> float:
    """Return mean confidence minus accuracy, in [-1, 1]: above 0 is overconfident; NaN without images.

    Args:
        confidence: (n,) in [0, 1].
        correct: (n,) of bool.

    Raises:
        RobenchError: as :func:`robench.metrics.arrays.top_label`.

    >>> overconfidence_gap([0.75, 0.75], [True, False])
    0.25
    """
    found, hit = top_label(confidence, correct)
    return kernels.OVERCONFIDENCE_GAP.of_sums([(found - hit).sum(), np.float64(len(found))])


def maximum_calibration_error(confidence: npt.ArrayLike, correct: npt.ArrayLike, *, bins: int = 15) -> float:
    """Return the largest |accuracy - confidence| over the equal-width bins that hold images, in [0, 1].

    Args:
        confidence: (n,) in [0, 1].
        correct: (n,) of bool.
        bins: number of bins.

    Raises:
        RobenchError: as :func:`ece`.

    NaN without images. Source: Guo et al. 2017, equation 5 (called MCE there).

    >>> round(maximum_calibration_error([0.9, 0.8, 0.6], [True, True, False]), 4)
    0.6
    """
    found, hit = top_label(confidence, correct)
    return kernels.MAX_CALIBRATION_ERROR.of_sums([equal_width(found, found - hit, bins).total()])


def adaptive_ece(confidence: npt.ArrayLike, correct: npt.ArrayLike, *, bins: int = 15) -> float:
    """Return the expected calibration error over bins of equal counts, in [0, 1]; NaN without images.

    Images are sorted by rising confidence and cut as ``numpy.array_split`` cuts (sizes differ by one at most), except
    that images of equal confidence share a bin: an edge that falls among them moves behind them. Fewer images than
    bins: one image per bin.

    Args:
        confidence: (n,) in [0, 1].
        correct: (n,) of bool.
        bins: number of bins.

    Raises:
        RobenchError: as :func:`ece`.

    Source: Nixon et al. 2019 (adaptive calibration error of the top label).

    >>> round(adaptive_ece([0.2, 0.4, 0.6, 0.8], [False, True, True, True], bins=2), 4)
    0.25
    """
    found, hit = top_label(confidence, correct)
    return _once(kernels.ADAPTIVE_ECE.loop, *rising(found, found - hit), positive(bins, "bins", BINS))


def debiased_ece(confidence: npt.ArrayLike, correct: npt.ArrayLike, *, bins: int = 15) -> float:
    """Return the debiased l2 calibration error over equal-count bins: the square root, 0 where it would be negative.

    From every bin's squared gap the variance of its accuracy, acc (1 - acc) / (n_b - 1), is taken off; bins of one
    image are omitted. Bins are those of :func:`adaptive_ece`. NaN without a bin of two.

    Args:
        confidence: (n,) in [0, 1].
        correct: (n,) of bool.
        bins: number of bins.

    Returns:
        A fraction in [0, 1].

    Raises:
        RobenchError: as :func:`ece`.

    Source: Kumar, Liang and Ma 2019, section 5 and algorithm 4 (with the debiased estimator).

    >>> round(debiased_ece([0.9] * 1000, [i % 10 > 1 for i in range(1000)]), 4)
    0.0992
    """
    found, hit = top_label(confidence, correct)
    order, found_, hit_, last = rising(found, found, hit)
    return _once(kernels.DEBIASED_ECE.loop, order, found_, hit_, last, positive(bins, "bins", BINS))


def sweep_ece(confidence: npt.ArrayLike, correct: npt.ArrayLike) -> float:
    """Return the monotonic-sweep calibration error: equal-count bins, as many as keep accuracies from falling.

    The number of bins grows from 2 until the bins' accuracies are no longer non-decreasing in confidence; the last
    number before that is taken (1 if 2 already fails). Images of equal confidence share a bin, as in
    :func:`adaptive_ece`. NaN without images.

    Args:
        confidence: (n,) in [0, 1].
        correct: (n,) of bool.

    Returns:
        A fraction in [0, 1].

    Raises:
        RobenchError: as :func:`robench.metrics.arrays.top_label`.

    Source: Roelofs et al. 2022, algorithm 1 (equal mass, p = 1).

    >>> round(sweep_ece([0.8] * 10, [True] * 5 + [False] * 5), 4)
    0.3
    """
    found, hit = top_label(confidence, correct)
    order, found_, hit_, last = rising(found, found, hit)
    return _once(kernels.SWEEP_ECE.loop, order, found_, hit_, last)


def classwise_ece(probabilities: npt.ArrayLike, target: npt.ArrayLike, *, bins: int = 15) -> float:
    """Return the mean over classes of the calibration error of each class's probability; NaN without images.

    Args:
        probabilities: (n, K) in [0, 1].
        target: int (n,) labels.
        bins: equal-width bins.

    Returns:
        A fraction in [0, 1]. A class that never occurs as a target counts with its own error (its mean probability).

    Raises:
        RobenchError: as :func:`robench.metrics.arrays.probability_rows`, or ``bins`` is not a whole number from 1 on.

    Source: Kull et al. 2019, equation 3 (static calibration error of Nixon et al. 2019).

    >>> round(classwise_ece([[0.8, 0.2], [0.6, 0.4]], [0, 1]), 4)
    0.4
    """
    rows, labels = probability_rows(probabilities, target)
    return float(kernels.CLASSWISE_ECE.loop.once(*class_gaps(rows, labels, bins))[0])


def _rms(confidence: npt.ArrayLike, correct: npt.ArrayLike, bin_size: int) -> tuple[float, float]:
    found, hit = top_label(confidence, correct)
    order, gap, last = rising(found, found - hit)
    size = positive(bin_size, "images per bin", BIN_SIZE)
    no_edges = np.zeros(len(order), bool)
    published, every, *_ = kernels.RMS_CALIBRATION_ERROR.loop.once(order, (gap, last, no_edges, size))
    return float(published), float(every)


def _once(loop: Loop, order: Rows, *arguments: Any) -> float:
    return float(loop.once(order, arguments)[0])
