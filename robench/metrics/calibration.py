"""Calibration errors from the confidence of the top class and whether it was right.

Confidences and answers are numpy arrays, lists or torch tensors; :func:`robench.metrics.arrays.top_label` says what is
refused, with a RobenchError; so are numbers of bins, and of images a bin, that are no whole number from 1 on.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from robench.metrics.arrays import positive, probability_rows, top_label

Array = npt.NDArray[np.float64]


def rms_calibration_error(confidence: npt.ArrayLike, correct: npt.ArrayLike, *, bin_size: int = 100) -> float:
    """Return the RMS calibration error as the published code computes it: the most confident bin is left out.

    Images are sorted by rising confidence (ties in their given order) and cut into bins of ``bin_size``; what is
    left over joins the last bin, and that last bin is not summed though its images count in n. So 10,000 images
    use 9,900; from 100 to 199 images the error is 0, and below 100 it is NaN.

    Args:
        confidence: (n,) in [0, 1].
        correct: (n,) of bool.
        bin_size: images a bin.

    Returns:
        A fraction in [0, 1].

    Source: ``calib_err`` of hendrycks/outlier-exposure and hendrycks/imagenet-r.
    """
    return _adaptive_rms(confidence, correct, bin_size, keep_last=False)


def rms_calibration_error_all_bins(confidence: npt.ArrayLike, correct: npt.ArrayLike, *, bin_size: int = 100) -> float:
    """Return the RMS calibration error as the paper's formula says: every bin is summed.

    Bins are those of :func:`rms_calibration_error`; fewer than ``bin_size`` images make one bin; none: NaN.

    Source: AugMix (Hendrycks et al. 2020), appendix on calibration metrics.
    """
    return _adaptive_rms(confidence, correct, bin_size, keep_last=True)


def _adaptive_rms(confidence: npt.ArrayLike, correct: npt.ArrayLike, bin_size: int, *, keep_last: bool) -> float:
    found, hit = top_label(confidence, correct)
    n = len(found)
    bins = n // positive(bin_size, "images a bin", 100)
    if n == 0 or (bins == 0 and not keep_last):
        return float("nan")
    gap = (found - hit)[np.argsort(found, kind="stable")]
    starts = np.arange(max(bins, 1)) * bin_size
    sizes = np.diff(np.append(starts, n))
    sums = np.add.reduceat(gap, starts)
    terms = sums**2 / sizes / n
    return float(np.sqrt(terms.sum() if keep_last else terms[:-1].sum()))


def ece(confidence: npt.ArrayLike, correct: npt.ArrayLike, *, bins: int = 15) -> float:
    """Return the expected calibration error over equal-width bins [a, b), the last one closed at 1.

    Args:
        confidence: (n,) in [0, 1].
        correct: (n,) of bool.
        bins: number of bins.

    Returns:
        Sum over bins of n_b / n times |mean accuracy - mean confidence|; NaN without images.

    Source: Guo et al. 2017, equation 3, with the bin edges of google-research/robustness_metrics.
    """
    found, hit = top_label(confidence, correct)
    if len(found) == 0:
        return float("nan")
    sums = np.bincount(bin_index(found, bins), weights=found - hit, minlength=bins)
    return float(np.abs(sums).sum() / len(found))


def overconfidence_gap(confidence: npt.ArrayLike, correct: npt.ArrayLike) -> float:
    """Return mean confidence minus accuracy: above 0 is overconfident; NaN without images."""
    found, hit = top_label(confidence, correct)
    return float((found - hit).mean()) if len(found) else float("nan")


def maximum_calibration_error(confidence: npt.ArrayLike, correct: npt.ArrayLike, *, bins: int = 15) -> float:
    """Return the largest |accuracy - confidence| over the equal-width bins that hold images; NaN without images.

    Source: Guo et al. 2017, equation 5.
    """
    count, gap = _bin_gaps(confidence, correct, bins)
    return float(np.abs(gap[count > 0]).max()) if count.any() else float("nan")


def adaptive_ece(confidence: npt.ArrayLike, correct: npt.ArrayLike, *, bins: int = 15) -> float:
    """Return the calibration error over bins of equal counts (sizes differ by one at most); NaN without images.

    Images are sorted by rising confidence, ties in their given order; fewer images than bins: a bin each.

    Source: Nixon et al. 2019 (adaptive calibration error of the top label).
    """
    sizes, gaps = _equal_count_gaps(confidence, correct, bins)
    return float((sizes * np.abs(gaps)).sum() / sizes.sum()) if len(sizes) else float("nan")


def debiased_ece(confidence: npt.ArrayLike, correct: npt.ArrayLike, *, bins: int = 15) -> float:
    """Return the debiased l2 calibration error over equal-count bins: the square root, 0 where it would be negative.

    From every bin's squared gap the variance of its accuracy, acc (1 - acc) / (n_b - 1), is taken off; bins of one
    image are left out. NaN without a bin of two.

    Source: Kumar, Liang and Ma 2019, section 5 and algorithm 4 (with the debiased estimator).
    """
    found, hit = top_label(confidence, correct)
    order = np.argsort(found, kind="stable")
    found, hit = found[order], hit[order]
    total, n = 0.0, 0
    for part in np.array_split(np.arange(len(order)), min(positive(bins, "bins", 15), len(order)) or 1):
        if len(part) > 1:
            accuracy = hit[part].mean()
            gap = found[part].mean() - accuracy
            total += len(part) * (gap**2 - accuracy * (1 - accuracy) / (len(part) - 1))
            n += len(part)
    return float(np.sqrt(max(0.0, total / n))) if n else float("nan")


def sweep_ece(confidence: npt.ArrayLike, correct: npt.ArrayLike) -> float:
    """Return the monotonic-sweep calibration error: equal-count bins, as many as keep accuracies from falling.

    The number of bins grows from 2 until the bins' accuracies are no longer non-decreasing in confidence; the last
    number before that is taken (1 if 2 already fails). NaN without images.

    Source: Roelofs et al. 2022, algorithm 1 (equal mass, p = 1).
    """
    found, hit = top_label(confidence, correct)
    n = len(found)
    if n == 0:
        return float("nan")
    hit = hit[np.argsort(found, kind="stable")]
    if (np.diff(hit) >= 0).all():  # no cut makes accuracies fall
        return adaptive_ece(confidence, correct, bins=n)
    hits = np.concatenate([[0.0], np.cumsum(hit)])
    best = 1
    for bins in range(2, n + 1):
        edges = _equal_edges(n, bins)
        accuracy = np.diff(hits[edges]) / np.diff(edges)
        if (np.diff(accuracy) < 0).any():
            break
        best = bins
    return adaptive_ece(confidence, correct, bins=best)


def classwise_ece(probabilities: npt.ArrayLike, target: npt.ArrayLike, *, bins: int = 15) -> float:
    """Return the mean over classes of the calibration error of each class's probability; NaN without images.

    Args:
        probabilities: (n, K) in [0, 1].
        target: (n,) labels.
        bins: equal-width bins.

    A class that never occurs as a target counts with its own (mere over-confidence) error.

    Raises:
        RobenchError: as :func:`robench.metrics.arrays.probability_rows`.

    Source: Kull et al. 2019, equation 3 (static calibration error of Nixon et al. 2019).
    """
    rows, labels = probability_rows(probabilities, target)
    n, classes = rows.shape
    if n == 0:
        return float("nan")
    onehot = labels[:, None] == np.arange(classes)
    return float(np.mean([ece(rows[:, k], onehot[:, k], bins=bins) for k in range(classes)]))


def _bin_gaps(confidence: npt.ArrayLike, correct: npt.ArrayLike, bins: int) -> tuple[npt.NDArray[np.int64], Array]:
    """Return each bin's count and mean confidence minus accuracy (0 where it is empty)."""
    found, hit = top_label(confidence, correct)
    index = bin_index(found, bins)
    count = np.bincount(index, minlength=bins)
    sums = np.bincount(index, weights=found - hit, minlength=bins)
    return count, sums / np.maximum(count, 1)


def _equal_edges(n: int, bins: int) -> npt.NDArray[np.int64]:
    """Return the edges of ``numpy.array_split``: the first n mod bins parts are one larger."""
    small, extra = divmod(n, bins)
    return np.concatenate([[0], np.cumsum(small + (np.arange(bins) < extra))])


def _equal_count_gaps(confidence: npt.ArrayLike, correct: npt.ArrayLike, bins: int) -> tuple[Array, Array]:
    found, hit = top_label(confidence, correct)
    n = len(found)
    if n == 0:
        return np.empty(0), np.empty(0)
    gap = (found - hit)[np.argsort(found, kind="stable")]
    edges = _equal_edges(n, min(positive(bins, "bins", 15), n))
    sizes = np.diff(edges).astype(np.float64)
    return sizes, np.add.reduceat(gap, edges[:-1]) / sizes


def bin_index(confidence: Array, bins: int) -> npt.NDArray[np.int64]:
    """Return each confidence's equal-width bin, 0 to bins - 1; a bin holds its lower edge, the last one also 1.0.

    Raises:
        RobenchError: the number of bins is no whole number, or below 1.
    """
    bins = positive(bins, "bins", 15)
    return np.minimum((np.asarray(confidence, np.float64) * bins).astype(np.int64), bins - 1)
