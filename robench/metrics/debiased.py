"""Calibration errors corrected for their bias, in value and interval alike.

A binned calibration error adds up the sizes of the bins' gaps between confidence and accuracy, and the gap of a few
images is seldom 0 even where the model's is: the fewer the images, the larger the error. At 200 images the plain ECE
of a well calibrated model lies several points too high, and a bootstrap interval around it, being of the same
estimator, leaves out the true value nearly always.

Both estimators here are of the value that endlessly many images would give:

- :func:`rms_calibration_error_debiased` takes from every bin's squared gap what chance adds to it. The sum is then
  unbiased, and may come out below zero; the root keeps its sign, and means over cells are taken of the squares.
- :func:`ece_debiased`: no function of a noisy gap is an unbiased estimate of its size, but one whose bias is as often
  above as below zero leaves next to none in a sum over bins. A gap of t standard errors has its size moved by
  -1.3 cos(1.6 t) exp(-t^2 / 2) of them: down where it is small, up around 1.6, not at all from 4 on. The bias is then
  0.31 standard errors where the model's gap is 0, and within 0.11 from a quarter of one on; that of the size as it
  is, 0.80. Bins of fewer than ``LEAST`` images are joined first, as a gap of a handful of right and wrong answers is
  far from normally distributed.

Bootstrap replicates lie around the estimate and not, as resamples' plain errors do, above it by the bias once more:
they are linear in what the resample changes (the infinitesimal jackknife; Efron and Tibshirani 1993, section 21.3).
Resampling the formulas themselves makes intervals too narrow or too wide, as the gaps of a resample carry chance
twice: the sign of a gap that has changed once too often no longer goes along with those of other cells. The
derivatives at the sample's gaps vary with these, so that their squares are on average too large (the inequality of
Chernoff 1981: the variance of a function of a normal variable is at most the mean of its squared derivative). So:

- For the ECE, how steeply a size follows its gap is :func:`_steepness`. Its square is, on average over the chance in
  the sample's gap, about the variance of the size (or a little more), and its mean that of the size's derivative,
  which is what the covariance of two sizes hangs on to first order.
- For the RMS error, derivatives are scaled down. A squared gap less its variance has the variance 4 g^2 v + 2 v^2 where
  g is the true gap and v the variance of the sample's; the squared derivative times v is on average 4 g^2 v + 4 v^2.
  Half of the difference is taken off: all of it would take too much off the covariances between cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from robench.metrics.arrays import positive, top_label
from robench.metrics.binning import BINS, bin_index
from robench.metrics.weighted import Array, Binned, Columns, Linear, Sums, correct

LEAST = 40  # images of a bin of the debiased ECE
DOWN, WAVE = 1.3, 1.6  # how far the size of a gap of t standard errors is moved: -DOWN cos(WAVE t) exp(-t^2 / 2)
STEEP, STEEPER, NARROW = 0.55, 5.5, 0.55  # of _steepness; fitted to the variance of a size and its mean derivative
TAKEN_OFF = 0.5  # of what chance in the gaps adds to squared derivatives of mean squares


def ece_debiased(confidence: npt.ArrayLike, correct: npt.ArrayLike, *, bins: int = 15) -> float:
    """Return the expected calibration error corrected for its bias.

    Bins are those of :func:`robench.metrics.ece`; from low to high, one of fewer than 40 images is joined with the
    next. With more and more images it becomes :func:`robench.metrics.ece`.

    Args:
        confidence: (n,) in [0, 1].
        correct: (n,) of bool.
        bins: number of bins of equal width.

    Returns:
        A fraction; slightly below 0 where no miscalibration can be told from chance. NaN without images.

    Raises:
        RobenchError: as :func:`robench.metrics.arrays.top_label`, or ``bins`` is not a whole number from 1 on.

    >>> round(ece_debiased([0.9] * 1000, [i % 10 > 1 for i in range(1000)]), 4)
    0.1
    """
    found, hit = top_label(confidence, correct)
    return ECE_DEBIASED.of_sums([_moments(found - hit, joined_bins(found, bins), bins).total()])


def rms_calibration_error_debiased(confidence: npt.ArrayLike, correct: npt.ArrayLike, *, bins: int = 15) -> float:
    """Return the root mean square gap between confidence and accuracy, corrected for its bias.

    Bins hold equal numbers of images, images of equal confidence together. From the mean square gap, what chance adds
    to it is taken off; the root of a negative rest is returned as a negative number, so that nothing is lost when
    squares are averaged over cells.

    Args:
        confidence: (n,) in [0, 1].
        correct: (n,) of bool.
        bins: number of bins.

    Returns:
        A fraction, its sign that of the debiased mean square; below 0 where no miscalibration can be told from
        chance. Bins of one image count as 0. NaN without images.

    Raises:
        RobenchError: as :func:`robench.metrics.arrays.top_label`, or ``bins`` is not a whole number from 1 on.

    Source: the unbiased estimate of a squared mean (a U-statistic) within bins, as Broecker 2012 and Kumar et al. 2019.

    >>> round(rms_calibration_error_debiased([0.9] * 1000, [i % 10 > 1 for i in range(1000)]), 4)
    0.0992
    """
    found, hit = top_label(confidence, correct)
    index = equal_count_index(found, bins)
    return RMS_DEBIASED.of_sums([_moments(found - hit, index, bins).total()])


def joined_bins(confidence: Array, bins: int) -> npt.NDArray[np.int64]:
    """Return each image's bin of equal width, where bins of fewer than ``LEAST`` images are joined with the next."""
    index = bin_index(confidence, bins)
    joined, held, current = np.zeros(bins, np.int64), 0, 0
    for k, images in enumerate(np.bincount(index, minlength=bins)):
        joined[k] = current
        held += images
        if held >= LEAST:
            held, current = 0, current + 1
    return np.asarray(np.minimum(joined, max(current - 1, 0))[index])  # what is left over joins the last


def equal_count_index(confidence: Array, bins: int) -> npt.NDArray[np.int64]:
    """Return each image's bin: parts of equal counts by rising confidence, cut behind images of equal confidence."""
    n, bins = len(confidence), positive(bins, "bins", BINS)
    ranked = np.sort(confidence)
    edges = np.linspace(0, n, min(bins, max(n, 1)) + 1).astype(np.int64)[1:-1]
    found = np.zeros(n, np.int64)
    for edge in np.unique(ranked[edges - 1]):  # a few passes, each faster than one of binary searches
        found += confidence > edge
    return found


def _moments(gap: Array, index: npt.NDArray[np.int64], bins: int) -> Binned:
    """Return gaps, their squares and ones, (3, n), within bins."""
    return Binned(np.stack([gap, gap * gap, np.ones(len(gap))]), index, bins)


def _columns(columns: Columns) -> tuple[Array, Array]:
    confidence = np.asarray(columns["confidence"], np.float64)
    return confidence, confidence - correct(columns)


def _joined(columns: Columns) -> Binned:
    confidence, gap = _columns(columns)
    return _moments(gap, joined_bins(confidence, BINS), BINS)


def _equal_count(columns: Columns) -> Binned:
    confidence, gap = _columns(columns)
    return _moments(gap, equal_count_index(confidence, BINS), BINS)


def _gaps(sums: Array) -> tuple[Array, Array, Array]:
    """Return every bin's gap, its standard error and its images, of sums (..., bins, 3)."""
    gaps, squares, images = np.moveaxis(sums, -1, 0)
    some = np.maximum(images, 1.0)
    gap = np.asarray(gaps / some)
    variance = np.maximum(squares / some - gap * gap, 0.0) / np.maximum(images - 1.0, 1.0)
    return gap, np.sqrt(np.where(images > 1, variance, 0.0)), images


def _in_errors(gap: Array, error: Array) -> Array:
    """Return gaps in their standard errors; far out where there is no error."""
    return np.where(error > 0, gap / np.where(error > 0, error, 1.0), np.sign(gap) * 99.0)


def _sizes(gap: Array, error: Array) -> Array:
    """Return the estimate of the size of the gap, of every bin."""
    t = _in_errors(gap, error)
    return np.asarray(np.abs(gap) - error * DOWN * np.cos(WAVE * t) * np.exp(-t * t / 2.0))


def _steepness(gap: Array, error: Array) -> Array:
    """Return how much the estimated size of a gap changes with it.

    >>> _steepness(np.array([-4.0, 0.0, 1.0, 4.0]), np.ones(4)).round(2).tolist()
    [-1.0, 0.0, 1.91, 1.0]
    """
    from scipy.special import erf

    t = _in_errors(gap, error)
    return np.asarray(erf(t / (np.sqrt(2.0) * STEEP)) * (1.0 + STEEPER * t * t * np.exp(-t * t / (2.0 * NARROW**2))))


def _mean_size(sums: Array) -> Array:
    gap, error, images = _gaps(sums)
    return np.asarray((images * _sizes(gap, error)).sum(axis=-1) / images.sum(axis=-1))


def _mean_size_slopes(sums: Sequence[Array]) -> list[Array]:
    """Return how much the mean size changes with the sums, (..., bins, 3)."""
    (own,) = sums
    gap, error, images = _gaps(own)
    slope = _steepness(gap, error) * np.sqrt(images / np.maximum(images - 1.0, 1.0))
    size = _sizes(gap, error) - slope * gap - _mean_size(own)[..., None]
    return [np.stack([slope, np.zeros_like(images), size], axis=-1) / images.sum(axis=-1)[..., None, None]]


def _mean_square(sums: Array) -> Array:
    gaps, squares, images = np.moveaxis(sums, -1, 0)
    less = np.maximum(images - 1.0, 1.0)
    terms = np.where(images > 1, (gaps * gaps - squares) / less, 0.0)  # images times the squared gap
    return np.asarray(terms.sum(axis=-1) / images.sum(axis=-1))


def signed_root(squares: Any) -> Array:
    """Return the roots of numbers of either sign, with their sign.

    >>> signed_root([4.0, -4.0]).tolist()
    [2.0, -2.0]
    """
    return np.asarray(np.sign(squares) * np.sqrt(np.abs(squares)), np.float64)


def _mean_square_slopes(own: Array) -> Array:
    """Return how much the mean square changes with the sums, (..., bins, 3)."""
    gap, error, images = _gaps(own)
    less = np.maximum(images - 1.0, 1.0)
    squares = np.where(images > 1, (gap * gap * images - own[..., 1] / np.maximum(images, 1.0)) / less, 0.0)
    steep = 4.0 * (images**2 * gap**2 * error**2).sum(axis=-1, keepdims=True)
    chance = 2.0 * (images**2 * error**4).sum(axis=-1, keepdims=True)
    scale = np.sqrt(np.maximum(1.0 - TAKEN_OFF * chance / np.where(steep > 0, steep, np.inf), 0.25))
    slope = np.where(images > 1, 2.0 * scale * gap * np.sqrt(images / less), 0.0)
    rest = squares - slope * gap - _mean_square(own)[..., None]
    return np.asarray(np.stack([slope, np.zeros_like(images), rest], axis=-1) / images.sum(axis=-1)[..., None, None])


def _root_slopes(sums: Sequence[Array]) -> list[Array]:
    """Return how much the signed root of the mean square changes with the sums, (..., bins, 3)."""
    (own,) = sums
    root = np.sqrt(np.abs(_mean_square(own)))[..., None, None]
    return [_mean_square_slopes(own) / (2.0 * np.maximum(root, 1e-9))]


ECE_DEBIASED = Sums((_joined,), _mean_size, Linear(_mean_size, _mean_size_slopes), _mean_size_slopes)
RMS_DEBIASED = Sums(
    (_equal_count,),
    lambda sums: signed_root(_mean_square(sums)),
    Linear(_mean_square, lambda sums: [_mean_square_slopes(*sums)], signed_root),
    _root_slopes,
)
