"""Calibration errors corrected for their bias, in value and interval alike.

A binned calibration error adds up the sizes of the bins' gaps between confidence and accuracy, and the gap of a few
images is seldom 0 even where the model's is: the fewer the images, the larger the error. At 200 images the plain ECE
of a well calibrated model lies several points too high, and a bootstrap interval around it, being of the same
estimator, leaves out the true value nearly always.

Both estimators here are of the value that endlessly many images would give:

- :func:`rms_calibration_error_debiased` takes from every bin's squared gap what chance adds to it. The sum is then
  unbiased, and may come out below zero; the root keeps its sign, and means over cells are taken of the squares.
- :func:`ece_debiased`: no function of a noisy gap is an unbiased estimate of its size, but one whose bias is as often
  above as below zero leaves next to none in a sum over bins. It moves a gap's size by one standard error: down where
  the gap is within ``NEAR`` standard errors, up from there to ``FAR``, not at all beyond. Bins of fewer than ``LEAST``
  images are joined first, as a gap of a handful of right and wrong answers is far from normally distributed.

Bootstrap replicates lie around the estimate and not, as resamples' plain errors do, above it by the bias once more:
they are estimates in draws from a population whose error is known, moved by the difference between the two. For the
ECE that population is the images as they are. For the RMS error its bins' gaps are first scaled down until its error
is the estimate, as the spread of a square grows with the gap. The variance within a bin is scaled up by n / (n - 1),
since a resample's is smaller by that factor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from robench.metrics.arrays import positive, top_label
from robench.metrics.binning import BINS, bin_index
from robench.metrics.weighted import Array, Binned, Columns, Sums, correct

LEAST = 40  # images of a bin of the debiased ECE
NEAR, FAR = 1.2, 2.0  # standard errors


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
    return np.searchsorted(np.unique(ranked[edges - 1]), confidence, side="left")


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


def _sizes(gaps: Array, squares: Array, images: Array) -> Array:
    """Return images times the estimate of the size of the gap, of every bin."""
    gap = np.abs(gaps) / images
    variance = np.maximum(squares / images - gap * gap, 0.0) / (images - 1.0)
    error = np.where(images > 1, np.sqrt(variance), 0.0)
    move = np.where(gap < NEAR * error, -error, np.where(gap < FAR * error, error, 0.0))
    return np.where(images > 0, images * (gap + move), 0.0)


def _mean_size(sums: Array) -> Array:
    gaps, squares, images = np.moveaxis(sums, -1, 0)
    return np.asarray(_sizes(gaps, squares, images).sum(axis=-1) / images.sum(axis=-1))


def _mean_square(sums: Array) -> Array:
    gaps, squares, images = np.moveaxis(sums, -1, 0)
    terms = np.where(images > 1, (gaps * gaps - squares) / (images - 1.0), 0.0)  # images times the squared gap
    return np.asarray(terms.sum(axis=-1) / images.sum(axis=-1))


def signed_root(squares: Any) -> Array:
    """Return the roots of numbers of either sign, with their sign.

    >>> signed_root([4.0, -4.0]).tolist()
    [2.0, -2.0]
    """
    return np.asarray(np.sign(squares) * np.sqrt(np.abs(squares)), np.float64)


def _resampled(
    estimate: Callable[[Array], Array], population: Callable[[Array, Array, float], tuple[float, float]]
) -> Callable[[Sequence[Array], Sequence[Array]], Array]:
    """Return how resamples' sums become estimates in draws from a population, moved to lie around the sample's.

    ``population`` gives, from the bins' images, their gaps and the estimate, the factor that the gaps are scaled by
    and the error of the population with these gaps.
    """

    def replicates(drawn: Sequence[Array], ones: Sequence[Array]) -> Array:
        (sums,), (own,) = drawn, ones
        images, value = own[:, 2], float(estimate(own))
        mean = np.where(images > 0, own[:, 0] / images, 0.0)
        factor, truth = population(images, mean, value)
        kept, spread = factor * mean, np.where(images > 1, np.sqrt(images / (images - 1.0)), 1.0)
        gaps, squares, times = np.moveaxis(sums, -1, 0)
        rest = spread * (gaps - times * mean)
        rest_squares = spread * spread * (squares - 2.0 * mean * gaps + times * mean * mean)
        moved = [times * kept + rest, times * kept * kept + 2.0 * kept * rest + rest_squares, times]
        return np.asarray(estimate(np.stack(moved, axis=-1)) + (value - truth))

    return replicates


def _as_measured(images: Array, mean: Array, value: float) -> tuple[float, float]:
    return 1.0, float((images * np.abs(mean)).sum() / images.sum())


def _scaled_down(images: Array, mean: Array, value: float) -> tuple[float, float]:
    plain, wanted = float((images * mean * mean).sum() / images.sum()), max(value, 0.0)
    return (float(np.sqrt(wanted / plain)), wanted) if plain > 0 else (1.0, 0.0)


_squares_resampled = _resampled(_mean_square, _scaled_down)
ECE_DEBIASED = Sums((_joined,), _mean_size, _resampled(_mean_size, _as_measured))
RMS_DEBIASED = Sums(
    (_equal_count,),
    lambda sums: signed_root(_mean_square(sums)),
    lambda drawn, ones: signed_root(_squares_resampled(drawn, ones)),
)
