"""Calibration errors from the confidence of the top class and whether it was right."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

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
    confidence = np.asarray(confidence, np.float64)
    correct = np.asarray(correct, np.float64)
    n = len(confidence)
    bins = n // bin_size
    if n == 0 or (bins == 0 and not keep_last):
        return float("nan")
    order = np.argsort(confidence, kind="stable")
    gap = (confidence - correct)[order]
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
    confidence = np.asarray(confidence, np.float64)
    if len(confidence) == 0:
        return float("nan")
    gap = confidence - np.asarray(correct, np.float64)
    sums = np.bincount(bin_index(confidence, bins), weights=gap, minlength=bins)
    return float(np.abs(sums).sum() / len(confidence))


def overconfidence_gap(confidence: npt.ArrayLike, correct: npt.ArrayLike) -> float:
    """Return mean confidence minus accuracy: above 0 is overconfident; NaN without images."""
    confidence = np.asarray(confidence, np.float64)
    return float((confidence - np.asarray(correct, np.float64)).mean()) if len(confidence) else float("nan")


def bin_index(confidence: Array, bins: int) -> npt.NDArray[np.int64]:
    """Return each confidence's equal-width bin, 0 to bins - 1; a bin holds its lower edge, the last one also 1.0."""
    return np.minimum((np.asarray(confidence, np.float64) * bins).astype(np.int64), bins - 1)
